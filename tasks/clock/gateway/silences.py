"""Look after silences: remind of an end, say what was kept back, let go what is held, note that one is over.

In order of time: each change of a silence sets ``next_at``; when that has come, tick does what is due, and sets the
next time. A summary or a reminder is a dispatch of the silence's tenant with the origin ``silence``; it is accepted in
the transaction that moves ``next_at``, so that no two processes send it. One that cannot be sent is tried again after
pauses that double, and the silence shows why. What a silence holds goes out by the times of its rows; here it is only
forgotten, and what was about to be held when the silence was ended is let go.
"""

import functools
from typing import Any

from config import logs
from config.errors import CallerError, Unavailable
from config.times import stamp
from gateway.grants import ANY, Grant
from gateway.requests import Dispatch
from gateway.silences.in_force import SUMMARISE
from store import audit
from store.access import Caller
from store.engine import db
from store.engine.db import Connection, Row
from store.gateway import silences
from store.records import held
from store.records import silences as found_silences
from tasks.clock.duty import TimeSlice
from tasks.control.silences import SETTLED, next_at, times_of
from tasks.intake import notices
from tasks.intake.dispatches import gate as dispatch_gate
from tasks.intake.dispatches.gate import Ready
from tasks.intake.dispatches.rows import Asked, Providers
from tasks.messages import publisher
from tasks.messages.model import Canvas

#: silences in one round
BATCH = 50
#: the namespace and the action types of their dispatches
NAMESPACE, SUMMARY, REMINDER = "silences", "silence_summary", "silence_reminder"
#: how long what is held is looked after once a silence has ended, ms: a step that was about to wait does so by then
AFTERWARDS = 60_000
#: kinds of what was kept back that a summary names
_MOST_NAMED = 50

log = logs.logger(__name__)


def look_after(time_slice: TimeSlice) -> int:
    """Look after the silences that are due; returns their number.

    Raises:
        Unavailable: the database is away.
    """
    due = db.read_one(silences.due, limit=BATCH)
    for row in due:
        if time_slice.is_over():
            break
        try:
            _look_after(row, db.now_ms())
        except Unavailable:
            raise
        except Exception:  # no silence keeps others from their turn
            log.exception("silence not looked after", silence=row.id)
            _try_later(row, db.now_ms(), "It could not be looked after: the log says why.")
    return len(due)


def _look_after(row: Row, now: int) -> None:
    over = row.ended_at is not None or (row.ends_at is not None and row.ends_at <= now)
    values: dict[str, Any] = {"tries": 0, "notice_error": None}
    ready: list[Ready] = []
    try:
        if row.after == SUMMARISE and _period_is_over(row, now, over=over):
            ready += _summary(row, now)
            values["summed_at"] = now
        if not over and _is_to_remind(row, now):
            ready.append(_ready(row, REMINDER, _reminder(row)))
            values["reminded"] = True
    except CallerError as refusal:
        if refusal.retryable:
            raise
        _try_later(row, now, str(refusal))
        return
    messages = db.change(functools.partial(_written, row=row, now=now, over=over, values=values, ready=ready))
    if messages:
        publisher.publish_after_commit(*messages)


def _period_is_over(row: Row, now: int, *, over: bool) -> bool:
    if over:
        return True
    period = times_of(row).period(now - SETTLED)
    return not period.active and row.cron is not None


def _is_to_remind(row: Row, now: int) -> bool:
    return row.remind_ms is not None and not row.reminded and now >= row.ends_at - row.remind_ms


def _written(
    connection: Connection, *, row: Row, now: int, over: bool, values: dict[str, Any], ready: list[Ready]
) -> list[Canvas]:
    """Accept what is to be sent, and note what was done; nothing where another process was faster."""
    if row.ended_at is not None:
        held.move(connection, row.id, row.ended_at)
    left = held.forget_released(connection, row.id)
    if over:
        ended_at = row.ended_at or row.ends_at
        again = now + 1_000 if left and now < ended_at + AFTERWARDS else None
        values = {**values, "next_at": again, "ended_at": ended_at, "ended_by": row.ended_by or audit.SYSTEM}
    else:
        values = {**values, "next_at": next_at(_Seen(row, values), now)}
    if not silences.looked_after(connection, row, values):
        return []
    if over and row.ended_at is None:
        audit.record(connection, _tenant(row), audit.SYSTEM, "silence.expired", row.id, tenant=row.workspace_id)
    return notices.sent(connection, ready)[1]


class _Seen:
    """A row with the values that it is about to have."""

    def __init__(self, row: Row, values: dict[str, Any]) -> None:
        self._row = row
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


def _try_later(row: Row, now: int, why: str) -> None:
    log.warning("silence not looked after; trying again", silence=row.id, reason=why)
    pause = min(notices.LONGEST, notices.SOONEST * 2**row.tries)
    with db.write() as connection:
        silences.looked_after(
            connection, row, {"tries": min(row.tries + 1, 16), "notice_error": why, "next_at": now + pause}
        )


def _summary(row: Row, now: int) -> list[Ready]:
    """What was kept back since the last summary, if anything was, or there is too much to be sure."""
    covered = Grant(tenants=(row.workspace_id,), exact=bool(row.exact))
    with db.read() as connection:
        found, complete = found_silences.kept_back(connection, row.id, (covered,), row.summed_at, now)
    number = sum(found.values())
    if not number and complete:
        return []
    kinds = [
        {"provider": provider, "action_type": action_type, "count": count}
        for (provider, action_type), count in found.most_common(_MOST_NAMED)
    ]
    named = ", ".join(f"{one['count']} {one['action_type']} by {one['provider']}" for one in kinds[:10])
    named = f": {named}" if named else ""
    text = f"{'' if complete else 'At least '}{number} kept back by the silence {row.id} ({row.comment}){named}."
    more = {"count": number, "complete": complete, "kinds": kinds, "since": stamp(row.summed_at), "until": stamp(now)}
    return [_ready(row, SUMMARY, {"subject": f"{number} kept back during a silence", "text": text, **more})]


def _reminder(row: Row) -> dict[str, Any]:
    text = f"The silence {row.id} ({row.comment}) ends at {stamp(row.ends_at)}."
    return {"subject": "A silence is about to end", "text": text}


def _ready(row: Row, action_type: str, payload: dict[str, Any]) -> Ready:
    """A dispatch about a silence, ready to be accepted.

    Raises:
        CallerError: it cannot be sent.
    """
    tenant = _tenant(row)
    caller = Caller(key_id=audit.SYSTEM, workspace_id=tenant, role="operator", permissions=frozenset({"dispatch"}))
    said = {"message": payload["text"], "silence_id": row.id, "comment": row.comment, "author": row.author}
    ends = stamp(row.ends_at) if row.ends_at is not None else None
    dispatch = Dispatch(
        namespace=NAMESPACE,
        tenant=tenant,
        provider=str(row.notify),
        action_type=action_type,
        payload={**payload, **said, "ends_at": ends},
        labels={"silence": row.id},
    )
    return dispatch_gate.prepared(Providers(), Asked(caller=caller, dispatch=dispatch, origin="silence"))


def _tenant(row: Row) -> str:
    """The tenant for which it sends: that of its author where it is of all."""
    return str(row.workspace_id) if row.workspace_id != ANY else str(row.author_workspace)
