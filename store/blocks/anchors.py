"""Anchors: the newest seal of each hour, noted when it is logged and sent elsewhere."""

from typing import Any

import sqlalchemy as sa

from store import trail
from store.blocks.seals import audit_seals
from store.engine import texts
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
#: SQLite takes a text for a number, and a text is greater than all of them
_anchored = audit_anchors.c.number <= sa.literal(trail.MOST, sa.BigInteger)
_newest = Prepared(
    sa.select(audit_anchors)
    .where(audit_anchors.c.hour <= sa.bindparam("hour_", type_=sa.BigInteger))
    .order_by(audit_anchors.c.hour.desc())
    .limit(1)
)
_differing = Prepared(
    sa.select(audit_anchors.c.number)
    .outerjoin(audit_seals, audit_seals.c.number == audit_anchors.c.number)
    .where(sa.or_(audit_seals.c.hash.is_(None), audit_seals.c.hash != audit_anchors.c.hash), _anchored)
    .order_by(audit_anchors.c.number)
    .limit(1)
)
_insert = sa.text(
    "INSERT INTO audit_anchors (hour, number, hash, at, dispatch_id)"
    " VALUES (:hour, :number, :hash, :at, :dispatch_id) ON CONFLICT DO NOTHING"
)


def newest(db: Connection, hour: int = trail.MOST) -> Any:
    """The newest anchor up to an hour; None before the first."""
    return texts.read(db, lambda: _newest.first(db, {"hour_": hour}))


def differing(db: Connection) -> int | None:
    """The number of the first anchored seal that the chain does not have; None where it has all.

    All are compared: blocks that were cut off are behind an earlier anchor once the chain has grown, and was anchored,
    again.
    """
    row = _differing.first(db, {})
    return None if row is None else int(row.number)


def add(db: Connection, seal: Any, hour: int, dispatch_id: str | None) -> bool:
    """Note the anchor of an hour; false where another process has."""
    values = {"hour": hour, "number": seal.number, "hash": seal.hash, "at": now_ms(), "dispatch_id": dispatch_id}
    return db.execute(_insert, values).rowcount == 1
