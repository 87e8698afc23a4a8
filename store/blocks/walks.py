"""The check of the whole trail that maintenance makes each day: how far it has come, and what the last one found."""

import json
from typing import Any

import sqlalchemy as sa

from store.blocks.findings import Progress
from store.engine.db import Connection, metadata, now_ms
from store.engine.prepared import Prepared

audit_walks = sa.Table(
    "audit_walks",
    metadata,
    sa.Column("begun_at", sa.BigInteger, primary_key=True, autoincrement=False),
    #: the last seal that was checked
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("seals_checked", sa.BigInteger, nullable=False),
    sa.Column("records_checked", sa.BigInteger, nullable=False),
    #: what the check has come to (``Progress.members``), as JSON
    sa.Column("faults", sa.Text, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
)
_two = Prepared(sa.select(audit_walks).order_by(audit_walks.c.begun_at.desc()).limit(2))


def newest(db: Connection) -> list[Any]:
    """The last two walks, the newest first: of these one may go on, and one has ended."""
    return _two.run(db, {})[0]


def begin(db: Connection) -> int:
    """Begin a walk; returns its time."""
    now = now_ms()
    db.execute(sa.insert(audit_walks).values(begun_at=now, **_values(Progress())))
    return now


def progress(row: Any) -> Progress:
    """How far a walk has come."""
    return Progress.of(json.loads(row.faults))


def note(db: Connection, begun_at: int, before: int, done: Progress) -> bool:
    """Note how far a walk has come; false where another process has gone on from ``before``."""
    mine = sa.and_(audit_walks.c.begun_at == begun_at, audit_walks.c.number == before, audit_walks.c.ended_at.is_(None))
    values = {**_values(done), "ended_at": now_ms() if done.ended else None}
    return db.execute(sa.update(audit_walks).where(mine).values(values)).rowcount == 1


def _values(done: Progress) -> dict[str, Any]:
    return {
        "number": done.number,
        "seals_checked": done.seals,
        "records_checked": done.records,
        "faults": json.dumps(done.members()),
    }
