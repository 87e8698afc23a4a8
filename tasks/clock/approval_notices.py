"""Look after the notices of approvals that wait: send again what failed, and remind.

In order of time: the transaction that asks sets ``notify_at``; when that has come, tick looks whether the notice has
arrived. One that was not accepted, or has failed, is sent again, after pauses that double; where the rule wants
reminders, the next one is sent when its time has come. Each is accepted in the transaction that moves ``notify_at``,
so that no two processes send it.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from config import logs
from config.errors import CallerError
from playbooks.states import Status
from store.engine import db
from store.engine.db import Connection, Row
from store.gateway import approvals
from store.records import approvals as waiting
from tasks.clock.duty import TimeSlice
from tasks.intake import notices
from tasks.intake.dispatches.gate import Ready
from tasks.messages import publisher
from tasks.messages.model import Canvas
from tasks.policy.questions import LOOKED_AFTER

#: between two looks, seconds; approvals in one round
EVERY, BATCH = 5.0, 50
_LOST = frozenset({Status.FAILED, Status.TIMEOUT})

#: when this process looks next, on the monotonic clock
_next = 0.0

log = logs.logger(__name__)


def look_after(time_slice: TimeSlice) -> int:
    """Look after the notices that are due, every few seconds; returns their number.

    Raises:
        Unavailable: the database is away.
    """
    global _next  # noqa: PLW0603
    if time.monotonic() < _next:
        return 0
    found = look_now(time_slice)
    _next = time.monotonic() + (0 if found == BATCH else EVERY)
    return found


def look_now(time_slice: TimeSlice) -> int:
    """Look after the notices that are due; returns their number.

    Raises:
        Unavailable: the database is away.
    """
    due = db.read_one(approvals.due_notices, limit=BATCH)
    for row in due:
        if time_slice.is_over():
            break
        _look_after(row)
    return len(due)


def _look_after(row: Row) -> None:
    now, with_execution = db.now_ms(), db.read_one(waiting.execution, row.execution_id)
    if with_execution is None or with_execution.status != Status.WAITING or row.expires_at <= now:
        with db.write() as connection:
            approvals.noticed(connection, row.id, row.notify_at, {"notify_at": None})
        return
    lost = _lost(row)
    reminder_at = row.created_at + row.reminder_ms * row.notices if row.reminder_ms and row.notices else None
    if row.notices and not lost and (reminder_at is None or reminder_at > now):
        with db.write() as connection:
            later = {"notify_at": reminder_at, "tries": 0, "notice_error": None}
            approvals.noticed(connection, row.id, row.notify_at, later)
        return
    _send(row, with_execution, "its notice has failed" if lost else None)


def _lost(row: Row) -> bool:
    """Whether none of the last notices has arrived, or will."""
    ids = json.loads(row.notice_ids) if row.notice_ids else []
    found = [one for notice_id in ids if (one := db.read_one(waiting.execution, notice_id)) is not None]
    return bool(found) and all(one.status in _LOST for one in found)


def _send(row: Row, execution: Row, why: str | None) -> None:
    given: Mapping[str, Any] = json.loads(execution.input or "{}")  # an approval step has none
    payload = given.get("payload") if row.namespace and "payload" in given else given
    try:
        ready = notices.ready(row, payload, row.notices)
    except CallerError as refusal:
        if refusal.retryable:
            raise
        _try_later(row, str(refusal))
        return
    try:
        messages = db.change(lambda connection: _sent(connection, row, ready, why))
    except _TakenError:
        return
    if messages:
        publisher.publish_after_commit(*messages)


def _sent(connection: Connection, row: Row, ready: list[Ready], why: str | None) -> list[Canvas]:
    now = db.now_ms()
    rows, messages = notices.sent(connection, ready)
    tries = row.tries + 1 if why is not None or not rows else 0
    pause = _pause(tries) if tries else LOOKED_AFTER
    changes: dict[str, Any] = {"notify_at": now + pause, "tries": tries, "notice_error": why}
    if rows:
        changes |= {"notices": row.notices + 1, "notice_ids": json.dumps([one["id"] for one in rows])}
    else:
        changes["notice_error"] = "A rule has stopped the notice."
    if not approvals.noticed(connection, row.id, row.notify_at, changes):
        raise _TakenError
    return messages


class _TakenError(Exception):
    """Another process has looked after it meanwhile; nothing is written."""


def _try_later(row: Row, why: str) -> None:
    log.warning("notice of an approval not sent; trying again", approval=row.id, reason=why)
    changes = {"notify_at": db.now_ms() + _pause(row.tries + 1), "tries": row.tries + 1, "notice_error": why}
    with db.write() as connection:
        approvals.noticed(connection, row.id, row.notify_at, changes)


def _pause(tries: int) -> int:
    return min(notices.LONGEST, int(notices.SOONEST * 2 ** (tries - 1)))
