"""What dispatches carried that made no execution, apart from the trail, which never holds bodies.

A body is redacted before it comes here. It is deleted after a time; its record keeps the SHA-256 of its text.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, metadata
from store.engine.prepared import Prepared

payloads = sa.Table(
    "payloads",
    metadata,
    #: that of the record
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    #: what else the dispatch said of itself, JSON (``gateway.kept_members``); NULL before 0029
    sa.Column("members", sa.Text),
    sa.Index("ix_payloads_at", "at"),
)

_KEPT = ("subject", "workspace_id", "at", "body", "members")
_adding = Prepared(sa.insert(payloads).values({name: sa.bindparam(name) for name in _KEPT}).inline())


def add(db: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Keep bodies; part of the caller's transaction."""
    _adding.many(db, rows) if len(rows) > 1 else _adding.run(db, rows[0])


def digest(body: str) -> str:
    """What the record of a body holds of it."""
    return hashlib.sha256(body.encode()).hexdigest()


def forget(db: Connection, *, before: int, limit: int = 500) -> int:
    """Delete bodies kept before ``before`` (ms), the oldest first; returns how many.

    At most ``limit`` a call, so that the lock is held briefly.
    """
    is_sqlite = db.dialect.name == "sqlite"
    place: sa.ColumnElement[Any] = sa.literal_column("rowid" if is_sqlite else "ctid")  # found again without a search
    some = sa.select(place).select_from(payloads).where(payloads.c.at < before).order_by(payloads.c.at)
    bite = some.limit(limit).scalar_subquery()
    mine = place.in_(bite) if is_sqlite else place == sa.any_(sa.func.array(bite))
    return db.execute(sa.delete(payloads).where(mine)).rowcount
