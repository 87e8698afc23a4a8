"""Bundles and their versions.

A bundle has a name in its workspace and one active version, or none. A version never changes; its ``digest`` names the
content, whose bytes ``store.bundles.archives`` keeps once, however many versions and workspaces have it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from config.errors import NotFound
from store.engine.db import Connection, Row, metadata, now_ms
from store.paging import Found, Order, Part, Total, read

bundles = sa.Table(
    "bundles",
    metadata,
    sa.Column("workspace_id", sa.Text, sa.ForeignKey("workspaces.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    #: the version whose functions are in the catalogue
    sa.Column("active", sa.Text),
    #: counts the changes; a change names the number that it has read
    sa.Column("changes", sa.Integer, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)

bundle_versions = sa.Table(
    "bundle_versions",
    metadata,
    sa.Column("workspace_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    #: what ``bundle.toml`` says, and what the functions say of themselves, as JSON
    sa.Column("manifest", sa.Text, nullable=False),
    sa.Column("functions", sa.Text, nullable=False),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Index("ix_bundle_versions_digest", "digest"),
)


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of a bundle."""

    name: str
    version: str
    digest: str
    manifest: Mapping[str, Any]
    functions: list[dict[str, Any]]
    bytes: int
    created_at: int
    created_by: str


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A bundle as it is now."""

    name: str
    active: str | None
    changes: int
    created_at: int
    updated_at: int


def _version(row: Row) -> Version:
    members = {name: getattr(row, name) for name in ("name", "version", "digest", "bytes", "created_at", "created_by")}
    return Version(**members, manifest=json.loads(row.manifest), functions=json.loads(row.functions))


def _kept(row: Row) -> Kept:
    return Kept(**{name: getattr(row, name) for name in ("name", "active", "changes", "created_at", "updated_at")})


def search(db: Connection, workspace_id: str, part: Part) -> Found:
    """A part of a workspace's bundles by name, each a pair of the bundle and its active version."""
    mine = bundles.c.workspace_id == workspace_id
    order = Order((bundles.c.name,), (False,))
    rows, after = read(db, sa.select(bundles).where(mine), order, part, ("name",))
    total = _total(db, bundles, mine) if part.counted else None
    names = {row.name: row.active for row in rows if row.active is not None}
    table = bundle_versions.c
    wanted = sa.and_(table.workspace_id == workspace_id, table.name.in_(names))
    found = db.execute(sa.select(bundle_versions).where(wanted)) if names else ()
    active = {row.name: _version(row) for row in found if names[row.name] == row.version}
    return Found([(_kept(row), active.get(row.name)) for row in rows], after, total)


def _total(db: Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> Total:
    return Total(db.execute(sa.select(sa.func.count()).select_from(table).where(where)).scalar_one())


def find(db: Connection, workspace_id: str, name: str, *, lock: bool = False) -> Kept | None:
    """A bundle, or None; with ``lock`` no other caller changes it before this transaction ends."""
    query = sa.select(bundles).where(bundles.c.workspace_id == workspace_id, bundles.c.name == name)
    row = db.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _kept(row)


def get(db: Connection, workspace_id: str, name: str, *, lock: bool = False) -> Kept:
    """A bundle.

    Raises:
        NotFound: there is none of this name.
    """
    found = find(db, workspace_id, name, lock=lock)
    if found is None:
        raise NotFound(f"There is no bundle {name!r}.")
    return found


def versions_of(db: Connection, workspace_id: str, name: str) -> list[Version]:
    """The versions of a bundle, the newest first."""
    table = bundle_versions.c
    query = sa.select(bundle_versions).where(table.workspace_id == workspace_id, table.name == name)
    return [_version(row) for row in db.execute(query.order_by(table.created_at.desc(), table.version.desc()))]


def version_page(db: Connection, workspace_id: str, name: str, part: Part) -> Found:
    """A part of a bundle's versions, the newest first.

    Raises:
        NotFound: there is no bundle of this name.
    """
    get(db, workspace_id, name)
    table = bundle_versions.c
    mine = sa.and_(table.workspace_id == workspace_id, table.name == name)
    order = Order((table.created_at, table.version), (True, True))
    rows, after = read(db, sa.select(bundle_versions).where(mine), order, part, ("created_at", "version"))
    total = _total(db, bundle_versions, mine) if part.counted else None
    return Found([_version(row) for row in rows], after, total)


def find_version(db: Connection, workspace_id: str, name: str, version: str) -> Version | None:
    """A version of a bundle, or None."""
    table = bundle_versions.c
    mine = (table.workspace_id == workspace_id, table.name == name, table.version == version)
    row = db.execute(sa.select(bundle_versions).where(*mine)).first()
    return None if row is None else _version(row)


def get_version(db: Connection, workspace_id: str, name: str, version: str) -> Version:
    """A version of a bundle.

    Raises:
        NotFound: there is none.
    """
    found = find_version(db, workspace_id, name, version)
    if found is None:
        raise NotFound(f"The bundle {name!r} has no version {version!r}.")
    return found


def has(db: Connection, workspace_id: str, name: str, digest: str) -> bool:
    """Whether a bundle of this name has a version with this content."""
    table = bundle_versions.c
    mine = (table.workspace_id == workspace_id, table.name == name, table.digest == digest)
    return db.execute(sa.select(table.version).where(*mine).limit(1)).first() is not None


def add(db: Connection, workspace_id: str, version: Version) -> None:
    """Add a version, and its bundle unless it is there."""
    now = now_ms()
    if find(db, workspace_id, version.name) is None:
        new = {"workspace_id": workspace_id, "name": version.name, "changes": 0, "created_at": now, "updated_at": now}
        db.execute(sa.insert(bundles).values(new))
    values = {**vars(version), "manifest": json.dumps(version.manifest), "functions": json.dumps(version.functions)}
    db.execute(sa.insert(bundle_versions).values(workspace_id=workspace_id, **values))


def activate(db: Connection, workspace_id: str, kept: Kept, version: str | None) -> bool:
    """Make a version the active one; false if the bundle was changed since it was read."""
    mine = sa.and_(
        bundles.c.workspace_id == workspace_id, bundles.c.name == kept.name, bundles.c.changes == kept.changes
    )
    new = {"active": version, "changes": kept.changes + 1, "updated_at": now_ms()}
    return db.execute(sa.update(bundles).where(mine).values(new)).rowcount == 1


def remove_version(db: Connection, workspace_id: str, name: str, version: str) -> None:
    """Remove a version."""
    table = bundle_versions.c
    mine = sa.and_(table.workspace_id == workspace_id, table.name == name, table.version == version)
    db.execute(sa.delete(bundle_versions).where(mine))


def remove(db: Connection, workspace_id: str, name: str) -> None:
    """Remove a bundle with its versions."""
    for table in (bundle_versions, bundles):
        db.execute(sa.delete(table).where(table.c.workspace_id == workspace_id, table.c.name == name))
