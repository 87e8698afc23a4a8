"""The check of the whole trail that maintenance makes each day: how far it has come, and what the last one found.

A MAC says that the installation itself has noted it: ``/health`` believes no other, and no other keeps a check
from being made.
"""

import json
from typing import Any, NamedTuple

import sqlalchemy as sa

from store.blocks.findings import Progress
from store.engine import texts
from store.engine.db import Connection, metadata, now_ms
from store.engine.prepared import Prepared
from store.sealing.macs import Vouched

audit_walks = sa.Table(
    "audit_walks",
    metadata,
    sa.Column("begun_at", sa.BigInteger, primary_key=True, autoincrement=False),
    #: the last seal that was checked
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("seals_checked", sa.BigInteger, nullable=False),
    sa.Column("records_checked", sa.BigInteger, nullable=False),
    #: what the check has come to (``Progress.members``) and the MAC of the row, as JSON
    sa.Column("faults", sa.Text, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
)
#: rows that are read, of which an intruder may have added some; by how much the clocks of processes may differ, ms
_MOST, _LENIENT = 50, 60_000
_begun = audit_walks.c.begun_at <= sa.bindparam("until_", type_=sa.BigInteger)
_newest = Prepared(sa.select(audit_walks).where(_begun).order_by(audit_walks.c.begun_at.desc()).limit(_MOST))
_VOUCHED = Vouched("audit walk", ("begun_at", "number", "seals_checked", "records_checked", "faults", "ended_at"))


class _Walk(NamedTuple):
    """A row as its MAC covers it."""

    begun_at: int
    number: int
    seals_checked: int
    records_checked: int
    faults: str
    ended_at: int | None
    mac: str = ""


def newest(db: Connection) -> list[Any]:
    """The last two walks, the newest first: of these one may go on, and one has ended."""
    return [row for row in _read(db) if _is_right(row)][:2]


def _read(db: Connection) -> list[Any]:
    return texts.read(db, lambda: _newest.run(db, {"until_": now_ms() + _LENIENT})[0])


def _is_right(row: Any) -> bool:
    """Whether the installation has noted a walk."""
    try:
        members = json.loads(row.faults)
        mac = str(members.pop("mac"))
        return _VOUCHED.is_right(_Walk(**{**row._asdict(), "faults": json.dumps(members)}, mac=mac))
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def begin(db: Connection) -> int:
    """Begin a walk; returns its time. What an intruder has noted goes."""
    now = now_ms()
    wrong = [row.begun_at for row in _read(db) if not _is_right(row)]
    db.execute(
        sa.delete(audit_walks).where(sa.or_(audit_walks.c.begun_at.in_(wrong), ~_begun)), {"until_": now + _LENIENT}
    )
    db.execute(sa.insert(audit_walks).values(_values(now, Progress())))
    return now


def progress(row: Any) -> Progress:
    """How far a walk has come."""
    members = json.loads(row.faults)
    return Progress.of({name: value for name, value in members.items() if name != "mac"})


def note(db: Connection, begun_at: int, before: int, done: Progress) -> bool:
    """Note how far a walk has come; false where another process has gone on from ``before``."""
    mine = sa.and_(audit_walks.c.begun_at == begun_at, audit_walks.c.number == before, audit_walks.c.ended_at.is_(None))
    values = _values(begun_at, done, now_ms() if done.ended else None)
    return db.execute(sa.update(audit_walks).where(mine).values(values)).rowcount == 1


def _values(begun_at: int, done: Progress, ended_at: int | None = None) -> dict[str, Any]:
    members = done.members()
    row = _Walk(begun_at, done.number, done.seals, done.records, json.dumps(members), ended_at)._asdict()
    del row["mac"]
    return {**row, "faults": json.dumps({**members, "mac": _VOUCHED.mac(row)})}
