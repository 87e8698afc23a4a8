"""The sealed secrets of bundles: given by an admin, opened by workers, never shown."""

import sqlalchemy as sa

from store.engine.db import Connection, Row, metadata, now_ms
from store.ids import new_id
from store.sealing.seal import Cell, seal, unseal

bundle_secrets = sa.Table(
    "bundle_secrets",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("bundle", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("updated_by", sa.Text, nullable=False),
    sa.Index("ix_bundle_secrets_name", "workspace_id", "bundle", "name", unique=True),
)

_VALUE = "value"


def cell(workspace_id: str, row_id: str, bundle: str, name: str) -> Cell:
    """The cell of a secret: it opens for its bundle and under its name only."""
    return Cell("bundle secret", workspace_id, "bundle_secrets", row_id, f"{bundle}/{name}")


def _mine(workspace_id: str, bundle: str, name: str | None = None) -> list[sa.ColumnElement[bool]]:
    table = bundle_secrets.c
    where: list[sa.ColumnElement[bool]] = [table.workspace_id == workspace_id, table.bundle == bundle]
    return where if name is None else [*where, table.name == name]


def put(db: Connection, workspace_id: str, bundle: str, name: str, value: str, actor: str) -> None:
    """Give a secret its value, or another one."""
    known = db.scalar(sa.select(bundle_secrets.c.id).where(*_mine(workspace_id, bundle, name)).with_for_update())
    row_id = known or new_id("bsec")
    sealed = seal({_VALUE: value}, cell(workspace_id, row_id, bundle, name))
    now = {"sealed": sealed, "updated_at": now_ms(), "updated_by": actor}
    if known is not None:
        db.execute(sa.update(bundle_secrets).where(bundle_secrets.c.id == row_id).values(now))
        return
    new = {"id": row_id, "workspace_id": workspace_id, "bundle": bundle, "name": name, **now}
    db.execute(sa.insert(bundle_secrets).values(new))


def known(db: Connection, workspace_id: str, bundle: str) -> list[Row]:
    """The secrets that have a value: ``name``, ``updated_at``, ``updated_by``."""
    table = bundle_secrets.c
    query = sa.select(table.name, table.updated_at, table.updated_by).where(*_mine(workspace_id, bundle))
    return list(db.execute(query.order_by(table.name)))


def opened(db: Connection, workspace_id: str, bundle: str) -> dict[str, str]:
    """The values of a bundle's secrets.

    Raises:
        SealBroken: one does not open.
    """
    rows = db.execute(sa.select(bundle_secrets).where(*_mine(workspace_id, bundle)))
    return {row.name: unseal(row.sealed, cell(workspace_id, row.id, bundle, row.name))[_VALUE] for row in rows}


def remove(db: Connection, workspace_id: str, bundle: str, name: str | None = None) -> bool:
    """Forget a secret, or all of a bundle; whether there was one."""
    return db.execute(sa.delete(bundle_secrets).where(*_mine(workspace_id, bundle, name))).rowcount > 0
