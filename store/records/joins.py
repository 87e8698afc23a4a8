"""Join a group: what is gathered is counted in its pending window, or opens one, in the transaction that accepts it.

The first member of a group in a transaction counts itself in the window's row, which keeps the row from all others
until the commit; those that follow are counted in memory. Members and counts are written last, in few statements. On
PostgreSQL, where a round trip is dear, one that is alone in its transaction joins a pending window in one statement
with its record and body (``join_at_once``).
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from store.audit import RECORD, audit
from store.engine import db as database
from store.engine.db import Connection, now_ms
from store.engine.prepared import Prepared
from store.gateway.groups import (
    CLOSED,
    FIRST,
    FULL,
    PENDING,
    RESOLVED,
    Joined,
    Member,
    Window,
    event_groups,
    group_events,
)
from store.gateway.payloads import payloads
from store.ids import new_id
from store.records import notes
from store.records.notes import Note

_columns, _mine = event_groups.c, sa.update(event_groups).where(event_groups.c.id == sa.bindparam("mine"))

_FULL = "event_groups.size + 1 >= event_groups.max_size"
_JOIN = (
    " SET size = event_groups.size + 1,"
    f" state = CASE WHEN {_FULL} THEN 'closed' ELSE event_groups.state END,"
    f" due_at = CASE WHEN {_FULL} THEN :now ELSE event_groups.due_at END,"
    f" notify_at = CASE WHEN {_FULL} THEN :now ELSE event_groups.notify_at END,"
    f" closed_at = CASE WHEN {_FULL} THEN :now ELSE event_groups.closed_at END,"
    f" closed_by = CASE WHEN {_FULL} THEN '{FULL}' ELSE event_groups.closed_by END"
)
_PENDING = " WHERE workspace_id = :workspace_id AND group_key = :group_key AND state = 'pending'"
#: counts one more in the pending window of a group, which is full by then or not
_counting_to_the_last = sa.text(f"UPDATE event_groups{_JOIN}{_PENDING} RETURNING id, size, state, notify_at")
_joining = Prepared(_counting_to_the_last)
#: the same where the window is not full by then: it changes no column of an index, which is most of the cost on SQLite
_COUNT = " SET size = size + 1"
_counting = Prepared(
    sa.text(f"UPDATE event_groups{_COUNT}{_PENDING} AND size + 1 < max_size RETURNING id, size, max_size, notify_at")
)
_counted = Prepared(_mine.values(size=sa.bindparam("counted")))
_NEW = (
    "id",
    "workspace_id",
    "namespace",
    "group_key",
    "rule",
    "provider",
    "labels",
    "template",
    "max_size",
    "interval_ms",
    "wait_ms",
    "repeat_ms",
)
_INSERT = (
    "INSERT INTO event_groups (id, workspace_id, namespace, group_key, rule, provider, labels, template, max_size,"
    " interval_ms, wait_ms, repeat_ms, state, size, created_at, notify_at, due_at, summaries, tries)"
    " VALUES (:id, :workspace_id, :namespace, :group_key, :rule, :provider, :labels, :template, :max_size,"
    " :interval_ms, :wait_ms, :repeat_ms, 'pending', 1, :now, :notify_at, :notify_at, 0, 0)"
    " ON CONFLICT (workspace_id, group_key) WHERE state = 'pending' DO UPDATE"
)
_opening = Prepared(sa.text(f"{_INSERT}{_JOIN} RETURNING id, size, state, notify_at"))
_before = Prepared(
    sa.select(_columns.closed_at, _columns.closed_by, _columns.wait_ms, _columns.interval_ms)
    .where(
        _columns.group_key == sa.bindparam("group_key"),
        _columns.workspace_id == sa.bindparam("workspace_id"),
        _columns.id != sa.bindparam("mine"),
    )
    .order_by(_columns.created_at.desc())
    .limit(1)
)
_moving = Prepared(_mine.values(notify_at=sa.bindparam("at"), due_at=sa.bindparam("at")))
_closing = Prepared(
    _mine.where(_columns.state == PENDING).values(
        {
            "state": CLOSED,
            "closed_by": sa.bindparam("closed_by"),
            **dict.fromkeys(("notify_at", "due_at", "closed_at"), sa.bindparam("now")),
        }
    )
)
_MEMBER = tuple(column.name for column in group_events.c)
_adding = Prepared(sa.insert(group_events).values({name: sa.bindparam(name) for name in _MEMBER}).inline())
_statuses = Prepared(
    sa.select(group_events.c.fingerprint, group_events.c.resolved)
    .where(group_events.c.group_id == sa.bindparam("mine"))
    .order_by(group_events.c.seq)
)

_Key = tuple[str, str]


class _Pending:
    """A window to which this transaction has added: its row is its own until the commit."""

    __slots__ = ("id", "max_size", "notify_at", "size", "stored")

    def __init__(self, row: Any) -> None:
        self.id, self.max_size, self.notify_at = row.id, row.max_size, row.notify_at
        self.size = self.stored = row.size


class _Joins:
    """What joins groups in one transaction."""

    def __init__(self) -> None:
        self._windows: dict[_Key, _Pending] = {}
        self._members: list[dict[str, Any]] = []

    def counted(self, db: Connection, key: _Key) -> Joined | None:
        """Count one more in a window that this transaction has; None where it has none, or the row has to tell."""
        window = self._windows.get(key)
        if window is None:
            return None
        if window.size + 1 >= window.max_size:
            self.leave(db, key)
            return None
        window.size += 1
        return Joined(window.id, window.size, window.notify_at, closed=False)

    def first(self, db: Connection, key: _Key) -> Joined | None:
        """Count one more in the row of a pending window; None where none is pending or this fills it."""
        row = _counting.first(db, {"workspace_id": key[0], "group_key": key[1]})
        if row is None:
            return None
        self._windows[key] = _Pending(row)
        return Joined(row.id, row.size, row.notify_at, closed=False)

    def add(self, member: Member, joined: Joined, now: int) -> None:
        """Add a member that is counted."""
        subject, provider, action_type, resolved, given_id, fingerprint, status, severity = member
        self._members.append(
            {
                "group_id": joined.group_id,
                "seq": joined.size,
                "subject": subject,
                "given_id": given_id,
                "fingerprint": fingerprint,
                "status": status,
                "severity": severity,
                "provider": provider,
                "action_type": action_type,
                "resolved": resolved,
                "at": now,
            }
        )

    def leave(self, db: Connection, key: _Key) -> None:
        """Write down what is counted of a group, whose row tells what follows."""
        self.write(db)
        self._windows.pop(key, None)

    def write(self, db: Connection) -> None:
        """Write down members and counts."""
        if len(self._members) == 1:
            _adding.run(db, self._members[0])
        elif self._members:
            _adding.many(db, self._members)
        self._members = []
        for window in self._windows.values():
            if window.size != window.stored:
                _counted.run(db, {"mine": window.id, "counted": window.size})
                window.stored = window.size


def join(
    db: Connection,
    workspace_id: str,
    group_key: str,
    new: Callable[[], Window],
    member: Member,
    *,
    flush_resolved: bool,
) -> Joined:
    """Add a member to the pending window of its group, or to a ``new`` one; part of the transaction that accepts it.

    ``flush_resolved`` closes the window once nothing in it fires any more.
    """
    now, key = now_ms(), (workspace_id, group_key)
    joins, closed_by = database.last(db, _Joins), None
    joined = joins.counted(db, key) or joins.first(db, key)
    if joined is None:
        joined, closed_by = _told(db, new, {"workspace_id": workspace_id, "group_key": group_key, "now": now})
    joins.add(member, joined, now)
    if closed_by is None and flush_resolved and member.resolved and not joined.closed:
        joins.leave(db, key)
        closed_by = RESOLVED if _is_over(db, joined.group_id) else None
    if closed_by is None:
        return joined
    _closing.run(db, {"mine": joined.group_id, "now": now, "closed_by": closed_by})
    return Joined(joined.group_id, joined.size, now, closed=True)


def _told(db: Connection, new: Callable[[], Window], values: Mapping[str, Any]) -> tuple[Joined, str | None]:
    """The window after one has joined that may fill it or open it, as its row tells; why it is to be closed at once."""
    row, closed_by = _joining.first(db, values), None
    if row is None:
        row, closed_by = _opened(db, new(), values)
    return Joined(row.id, row.size, row.notify_at, row.state == CLOSED), closed_by


def _opened(db: Connection, window: Window, values: Mapping[str, Any]) -> tuple[Any, str | None]:
    """The window after one has joined that found none pending, and why it is to be closed at once.

    Another process may open it at the same moment: then this one joins. When the last window was closed is looked up
    afterwards, when no other window can be opened.
    """
    now = values["now"]
    new: dict[str, Any] = {name: getattr(window, name, None) for name in _NEW}
    new |= {"id": new_id("grp"), "labels": json.dumps(dict(window.labels), ensure_ascii=False), "now": now}
    at = now + window.wait_ms
    row = _opening.first(db, {**new, "notify_at": at})
    if row.id != new["id"]:
        return row, None
    last = _before.first(db, {**values, "mine": row.id})
    if last is not None and last.closed_at is not None:
        gathers = last.wait_ms if last.closed_by == FIRST else last.interval_ms
        if last.closed_at + last.interval_ms > now:  # the group is not a new one
            at = max(at if last.closed_by != FIRST else now, last.closed_at + gathers)
            _moving.run(db, {"mine": row.id, "at": at})
            return row._replace(notify_at=at), FULL if window.max_size == 1 else None
    if window.max_size == 1:
        return row, FULL
    return row, FIRST if window.first_at_once else None


def _is_over(db: Connection, group_id: str) -> bool:
    """Whether the last that each member of a window has said is that it is resolved."""
    rows, _ = _statuses.run(db, {"mine": group_id})
    last = {(row.fingerprint or place): row.resolved for place, row in enumerate(rows)}
    return all(last.values())


# in one statement


_joined = _counting_to_the_last.columns(id=sa.Text, size=sa.Integer, state=sa.Text, notify_at=sa.BigInteger).cte(
    "joined"
)


def _inserting(table: sa.Table, name: str, **known: sa.ColumnElement[Any]) -> sa.CTE:
    """The part that inserts one row of a table, if the window was found; open parameters begin with its name."""
    skipped = ("id", "xid") if table is audit else ()
    columns = [column for column in table.c if column.name not in skipped]
    values = [
        known.get(column.name, sa.bindparam(f"{name}_{column.name}", type_=column.type)).label(column.name)
        for column in columns
    ]
    rows = sa.select(*values).select_from(_joined)
    return sa.insert(table).from_select([column.name for column in columns], rows).cte(name)


_group = sa.func.jsonb_build_object("group_id", _joined.c.id, "group_size", _joined.c.size)
_details = sa.cast(sa.cast(sa.bindparam("audit_details", type_=sa.Text), JSONB).op("||")(_group), sa.Text)
_at_once = Prepared(
    sa.select(_joined).add_cte(
        _inserting(group_events, "member", group_id=_joined.c.id, seq=_joined.c.size),
        _inserting(payloads, "body"),
        _inserting(audit, "audit", details=_details),
    )
)


def join_at_once(db: Connection, group_key: str, member: Member, note: Note) -> Joined | None:
    """Add a member to the pending window of its group, with its record; None where none is pending."""
    entry, kept = notes.columns(note)
    values = {"workspace_id": note.workspace_id, "group_key": group_key, "now": entry["at"]}
    values |= {f"member_{name}": value for name, value in member._asdict().items()} | {"member_at": entry["at"]}
    values |= {f"body_{name}": value for name, value in kept.items()}
    values |= {f"audit_{name}": entry.get(name) for name in (*_AUDIT, *RECORD)}
    row = _at_once.first(db, values)
    return None if row is None else Joined(row.id, row.size, row.notify_at, row.state == CLOSED)


_AUDIT = ("workspace_id", "at", "actor", "event", "subject", "details")
