"""Anchors: the newest seal of each hour, noted when it is logged and sent elsewhere."""

from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, metadata, now_ms
from store.engine.prepared import Prepared

audit_anchors = sa.Table(
    "audit_anchors",
    metadata,
    #: hours since 1970
    sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
    #: the seal
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    #: the execution that sends it; NULL where it is only logged
    sa.Column("dispatch_id", sa.Text),
)
HOUR = 3_600_000
_newest = Prepared(sa.select(audit_anchors).order_by(audit_anchors.c.hour.desc()).limit(1))
_insert = sa.text(
    "INSERT INTO audit_anchors (hour, number, hash, at, dispatch_id)"
    " VALUES (:hour, :number, :hash, :at, :dispatch_id) ON CONFLICT DO NOTHING"
)


def newest(db: Connection) -> Any:
    """The newest anchor; None before the first."""
    return _newest.first(db, {})


def add(db: Connection, seal: Any, hour: int, dispatch_id: str | None) -> bool:
    """Note the anchor of an hour; false where another process has."""
    values = {"hour": hour, "number": seal.number, "hash": seal.hash, "at": now_ms(), "dispatch_id": dispatch_id}
    return db.execute(_insert, values).rowcount == 1
