"""Groups: what is gathered, to go out in one summary.

A row is one window of a group: what comes while it is ``pending`` joins it, in the transaction in which it is accepted.
A window is closed when its time has come, when it is full, or before; from then on its members are fixed, and the next
one opens another window. It is ``notified`` in the transaction that accepts its summary. ``due_at`` is when tick looks
at it if nothing else happens. Only one window of a group is pending, so that the database decides which process opens
it; what changes a window later names what it was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from store.engine import sets
from store.engine.db import Connection, Row, metadata, now_ms
from store.engine.prepared import Prepared

PENDING, CLOSED, NOTIFIED = "pending", "closed", "notified"
#: why a window was closed
TIME, FULL, RESOLVED, FIRST, CALLER = "time", "full", "resolved", "first", "caller"

event_groups = sa.Table(
    "event_groups",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("group_key", sa.Text, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    #: the provider of the summary
    sa.Column("provider", sa.Text, nullable=False),
    #: what its members have in common, as JSON
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("template", sa.Text),
    sa.Column("max_size", sa.Integer, nullable=False),
    #: the shortest time between two summaries of a group
    sa.Column("interval_ms", sa.BigInteger, nullable=False),
    #: how long what follows is gathered, where this window was closed with its first member
    sa.Column("wait_ms", sa.BigInteger, nullable=False),
    sa.Column("repeat_ms", sa.BigInteger),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("notify_at", sa.BigInteger, nullable=False),
    sa.Column("due_at", sa.BigInteger),
    sa.Column("closed_at", sa.BigInteger),
    sa.Column("closed_by", sa.Text),
    sa.Column("notified_at", sa.BigInteger),
    #: how many summaries were accepted, and the last of them
    sa.Column("summaries", sa.Integer, nullable=False),
    sa.Column("summary_id", sa.Text),
    #: how often a summary could not be made since the last one, and why
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.Index("ix_event_groups_key", "group_key", "created_at"),
)


def _partial(name: str, *columns: sa.Column[Any], where: str, unique: bool = False) -> None:
    these = sa.text(where)
    sa.Index(f"ix_event_groups_{name}", *columns, unique=unique, sqlite_where=these, postgresql_where=these)


_columns = event_groups.c
_partial("pending", _columns.workspace_id, _columns.group_key, where="state = 'pending'", unique=True)
_partial("due", _columns.due_at, where="due_at IS NOT NULL")
_partial("open", _columns.created_at, _columns.id, where="notified_at IS NULL")
_partial("tenant", _columns.workspace_id, _columns.created_at, _columns.id, where="notified_at IS NULL")
_partial("notified", _columns.notified_at, where="notified_at IS NOT NULL")

group_events = sa.Table(
    "group_events",
    metadata,
    sa.Column("group_id", sa.Text, primary_key=True),
    #: its place in the window, from 1
    sa.Column("seq", sa.Integer, primary_key=True),
    #: that of its record, under which its payload is kept (``store.gateway.payloads``)
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("given_id", sa.Text),
    sa.Column("fingerprint", sa.Text),
    sa.Column("status", sa.Text),
    sa.Column("severity", sa.Text),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("action_type", sa.Text, nullable=False),
    sa.Column("resolved", sa.Boolean, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, kw_only=True)
class Window:
    """What a rule says of the group that a member joins."""

    workspace_id: str
    namespace: str
    group_key: str
    rule: str
    provider: str
    labels: Mapping[str, str]
    template: str | None
    max_size: int
    wait_ms: int
    interval_ms: int
    repeat_ms: int | None
    first_at_once: bool


class Member(NamedTuple):
    """What joins a group."""

    subject: str
    provider: str
    action_type: str
    resolved: bool
    given_id: str | None = None
    fingerprint: str | None = None
    status: str | None = None
    severity: str | None = None


class Joined(NamedTuple):
    """The window that has taken a member; ``closed`` where that was its last."""

    group_id: str
    size: int
    notify_at: int
    closed: bool


_MINE = _columns.id == sa.bindparam("mine")
_mine = sa.update(event_groups).where(_MINE)


def claim(db: Connection, *, limit: int, lease: int, ids: Sequence[str] | None = None) -> list[Row]:
    """Close windows that are due, and take them for ``lease`` ms; a claimed one is due again afterwards.

    The longest due come first, of all or of ``ids``.
    """
    now, dialect = now_ms(), db.dialect.name
    values = {"now": now, "lapses": now + lease, "most": limit, "closed_by": TIME}
    if ids is None:
        return _claim[dialect].run(db, values)[0]
    return _claim_some[dialect].run(db, {**values, "ids": sets.given(dialect, ids)})[0]


def close(db: Connection, group_id: str, *, lease: int) -> Row | None:
    """Close a window for a caller, and take it; None where it was notified before."""
    now = now_ms()
    found: Row | None = _close.first(db, {"mine": group_id, "now": now, "lapses": now + lease, "closed_by": CALLER})
    return found


def _closed() -> dict[str, Any]:
    pending, now = _columns.state == PENDING, sa.bindparam("now", type_=sa.BigInteger)
    return {
        "state": sa.case((pending, CLOSED), else_=_columns.state),
        "closed_at": sa.func.coalesce(_columns.closed_at, now),
        "closed_by": sa.case((pending, sa.bindparam("closed_by", type_=sa.Text)), else_=_columns.closed_by),
        "due_at": sa.bindparam("lapses"),
    }


def _claiming(*which: sa.ColumnElement[bool]) -> Prepared:
    is_due = _columns.due_at <= sa.bindparam("now", type_=sa.BigInteger)
    due = sa.select(_columns.id).where(is_due, *which).order_by(_columns.due_at).limit(sa.bindparam("most"))
    mine = _columns.id.in_(due.with_for_update(skip_locked=True).scalar_subquery())
    return Prepared(sa.update(event_groups).where(mine).values(_closed()).returning(event_groups))


#: of each dialect: of all, and of some
_claim = {dialect: _claiming() for dialect in sets.DIALECTS}
_claim_some = {dialect: _claiming(sets.is_among(dialect, _columns.id, "ids")) for dialect in sets.DIALECTS}
_close = Prepared(
    sa.update(event_groups).where(_MINE, _columns.notified_at.is_(None)).values(_closed()).returning(event_groups)
)
_read = Prepared(sa.select(event_groups).where(_MINE))


def read(db: Connection, group_id: str) -> Row | None:
    """A window; None where there is none of that id."""
    found: Row | None = _read.first(db, {"mine": group_id})
    return found


_locked = {
    dialect: Prepared(
        sa.select(event_groups)
        .where(sets.is_among(dialect, _columns.id, "ids"))
        .order_by(_columns.id)
        .with_for_update()
    )
    for dialect in sets.DIALECTS
}


def locked(db: Connection, ids: Sequence[str]) -> dict[str, Row]:
    """Windows, which no other transaction changes until this one ends."""
    dialect = db.dialect.name
    return {row.id: row for row in _locked[dialect].run(db, {"ids": sets.given(dialect, ids)})[0]}


_notified = Prepared(
    _mine.values(
        state=NOTIFIED,
        notified_at=sa.func.coalesce(_columns.notified_at, sa.bindparam("now")),
        due_at=sa.bindparam("due_at"),
        summaries=_columns.summaries + 1,
        summary_id=sa.bindparam("summary_id"),
        tries=0,
        error=sa.null(),
    )
)


def notified(db: Connection, sent: Sequence[tuple[Any, str]]) -> None:
    """Note of locked windows that their summaries are accepted: each row, and the summary."""
    now = now_ms()
    values = [
        {"mine": row.id, "now": now, "summary_id": summary, "due_at": now + row.repeat_ms if row.repeat_ms else None}
        for row, summary in sent
    ]
    if values:
        _notified.many(db, values)


def postpone(db: Connection, group_id: str, *, at: int, error: str) -> None:
    """Note that a summary could not be made; it is tried again at ``at`` (ms)."""
    changed = {"due_at": at, "tries": _columns.tries + 1, "error": error}
    db.execute(sa.update(event_groups).where(_columns.id == group_id, _columns.due_at.is_not(None)).values(changed))


def end(db: Connection, group_id: str) -> bool:
    """Do not repeat a window that was notified; returns whether it would have been."""
    mine = sa.and_(_columns.id == group_id, _columns.notified_at.is_not(None), _columns.due_at.is_not(None))
    return db.execute(sa.update(event_groups).where(mine).values(due_at=None)).rowcount == 1


def forget(db: Connection, *, before: int, limit: int = 200) -> int:
    """Delete windows notified before ``before`` (ms) with their members; returns how many windows."""
    old = sa.select(_columns.id).where(_columns.notified_at < before).order_by(_columns.notified_at).limit(limit)
    ids = list(db.scalars(old))
    if ids:
        db.execute(sa.delete(group_events).where(group_events.c.group_id.in_(ids)))
        db.execute(sa.delete(event_groups).where(_columns.id.in_(ids)))
    return len(ids)
