"""Throttles: what has gone out within a window, exactly.

A window begins with the first execution that it lets through. Each of the three ways to count is a change of the one
row of (workspace, rule, key), made in the transaction that accepts the execution: another one that comes at the same
time waits for that row, and then sees the count as it is.

* ``count``: at most so much within the window.
* ``count_distinct``: at most a number of different values within the window; a value that has passed passes again.
* ``take_slot``: each gets a time of its own, a window divided by the most apart, first come first served.
"""

from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, metadata
from store.engine.prepared import Prepared
from store.gateway import lapsed

throttles = sa.Table(
    "throttles",
    metadata,
    sa.Column("workspace_id", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("window_start", sa.BigInteger, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    #: the first free slot, in microseconds: a millisecond may have room for several
    sa.Column("next_slot", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Index("ix_throttles_expires_at", "expires_at"),
)
#: the different values that a window has let through
throttle_members = sa.Table(
    "throttle_members",
    metadata,
    sa.Column("workspace_id", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("window_start", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Index("ix_throttle_members_expires_at", "expires_at"),
)

#: (workspace, rule, key)
Place = tuple[str, str, str]

_INSERT = (
    "INSERT INTO throttles (workspace_id, rule, key, window_start, count, next_slot, expires_at)"
    " VALUES (:workspace_id, :rule, :key, :now, :count, :next_slot, :ends_at)"
    " ON CONFLICT (workspace_id, rule, key) DO UPDATE SET"
)
_OVER = "throttles.window_start <= :since"
_WINDOW = (
    f" window_start = CASE WHEN {_OVER} THEN excluded.window_start ELSE throttles.window_start END,"
    f" expires_at = CASE WHEN {_OVER} THEN excluded.expires_at ELSE throttles.expires_at END,"
)
_counting = Prepared(
    sa.text(
        f"{_INSERT}{_WINDOW} count = CASE WHEN {_OVER} THEN 1 ELSE throttles.count + 1 END"
        f" WHERE {_OVER} OR throttles.count < :most RETURNING window_start"
    )
)
#: locks the row and begins a window where one is over, but counts nothing yet
_opening = Prepared(
    sa.text(
        f"{_INSERT}{_WINDOW} count = CASE WHEN {_OVER} THEN 0 ELSE throttles.count END RETURNING window_start, count"
    )
)
_pacing = Prepared(
    sa.text(
        f"{_INSERT} next_slot = CASE WHEN throttles.next_slot > :at THEN throttles.next_slot ELSE :at END + :apart,"
        " expires_at = CASE WHEN throttles.expires_at > :ends_at THEN throttles.expires_at ELSE :ends_at END"
        " WHERE throttles.next_slot <= :latest RETURNING next_slot"
    )
)
_MINE = (
    throttles.c.workspace_id == sa.bindparam("workspace_id"),
    throttles.c.rule == sa.bindparam("rule"),
    throttles.c.key == sa.bindparam("key"),
)
_standing = Prepared(sa.select(throttles.c.window_start, throttles.c.next_slot, throttles.c.count).where(*_MINE))
_counted = Prepared(
    sa.text(
        "UPDATE throttles SET count = count + 1 WHERE workspace_id = :workspace_id AND rule = :rule AND key = :key"
        " RETURNING count"
    )
)
_member = Prepared(
    sa.text(
        "SELECT value FROM throttle_members WHERE workspace_id = :workspace_id AND rule = :rule AND key = :key"
        " AND value = :value AND window_start = :window_start"
    )
)
_joining = Prepared(
    sa.text(
        "INSERT INTO throttle_members (workspace_id, rule, key, value, window_start, expires_at)"
        " VALUES (:workspace_id, :rule, :key, :value, :window_start, :ends_at)"
        " ON CONFLICT (workspace_id, rule, key, value) DO UPDATE"
        " SET window_start = excluded.window_start, expires_at = excluded.expires_at RETURNING value"
    )
)


def _values(place: Place, now: int, window: int, **more: Any) -> dict[str, Any]:
    named = dict(zip(("workspace_id", "rule", "key"), place, strict=True))
    return {**named, "now": now, "since": now - window, "ends_at": now + window, "count": 1, "next_slot": 0, **more}


def count(db: Connection, place: Place, *, now: int, window: int, most: int) -> int | None:
    """Count one more within the window of ``window`` ms; None, or the time at which a full one ends."""
    values = _values(place, now, window, most=most)
    if _counting.first(db, values) is not None:
        return None
    return int(_standing.first(db, values).window_start) + window


def count_distinct(db: Connection, place: Place, value: str, *, now: int, window: int, most: int) -> int | None:
    """Count a value that the window has not let through; None, or the time at which a full one ends."""
    values = _values(place, now, window, count=0)
    opened = _opening.first(db, values)
    values |= {"value": value, "window_start": opened.window_start, "ends_at": opened.window_start + window}
    if _member.first(db, values) is not None:
        return None
    if opened.count >= most:
        return int(opened.window_start) + window
    _joining.run(db, values)
    _counted.run(db, values)
    return None


def take_slot(db: Connection, place: Place, *, now: int, window: int, most: int, latest: int) -> tuple[bool, int]:
    """Take the next free slot: whether one was left up to ``latest``, and its time; else when to try again."""
    apart = -(-window * 1000 // most)
    values = _values(place, now, window, next_slot=now * 1000 + apart, at=now * 1000, apart=apart, latest=latest * 1000)
    values["ends_at"] = latest + window
    taken = _pacing.first(db, values)
    if taken is not None:
        return True, _ms(taken.next_slot - apart)
    first_free = _standing.first(db, values).next_slot
    return False, _ms(first_free) - (latest - now)


def full_until(db: Connection, place: Place, value: str | None, *, window: int, most: int) -> int | None:
    """When a window that is full for this value ends, or None; read only."""
    values = _values(place, 0, window, value=value)
    row = _standing.first(db, values)
    if row is None or row.count < most:
        return None
    if value is not None and _member.first(db, {**values, "window_start": row.window_start}) is not None:
        return None
    return int(row.window_start) + window


def next_slot(db: Connection, place: Place) -> int | None:
    """The time of the first free slot, or None; read only."""
    row = _standing.first(db, _values(place, 0, 0))
    return None if row is None else _ms(row.next_slot)


def _ms(microseconds: int) -> int:
    return int(-(-microseconds // 1000))


def forget(db: Connection, *, before: int, limit: int = 1000) -> int:
    """Delete windows that have ended before ``before`` (ms), at most ``limit`` of each table; returns how many."""
    tables = (throttles, throttle_members)
    return sum(lapsed.forget(db, table, before=before, limit=limit) for table in tables)
