"""The bodies that show recurring actions."""

import json
from typing import Any

from api.http.times import stamp
from gateway.outcomes import Scheduled, Silenced
from gateway.recurring import words, written
from gateway.recurring.written import ACTION, DISPATCH
from gateway.redacted import redacted
from playbooks.states import Status
from store.engine.db import Row
from store.executions.transitions import TERMINAL
from store.gateway import end_record
from store.records.recurring import status_of
from store.recurring.firings import ACCEPTED
from tasks.control.backfill import Backfilled
from tasks.intake.recurring import calendars

#: next times that are shown
_SHOWN = 5
#: what is said at first of what goes on: its end says more
_GOES_ON = frozenset({ACCEPTED, Scheduled.name, Silenced.name})


def created(row: Row) -> dict[str, Any]:
    """What is answered to a new one."""
    return {**_named(row), "next": _next(row)}


def summary(row: Row) -> dict[str, Any]:
    """A recurring action in a list."""
    return {
        **_named(row),
        "description": row.description,
        "namespace": row.namespace,
        "tenant": row.workspace_id,
        "provider": row.provider,
        "action_type": row.action_type,
        "labels": json.loads(row.labels),
        "execution_count": row.executions,
        "last_executed_at": stamp(row.last_at),
        "last_outcome": row.last_outcome,
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
    }


def detail(row: Row, execution: Row | None, end: Row | None) -> dict[str, Any]:
    """A recurring action, with what its last firing has made; ``end`` is how that ended if it is kept no more."""
    payload = redacted(json.loads(row.payload))
    last = None
    if row.last_at is not None:
        said = {"execution_time": stamp(row.last_at), "execution_id": row.last_execution_id}
        status, error = (None, None) if execution is None else (execution.status, execution.error)
        last = {**said, **_became(row.last_outcome, status, error or row.last_error)}
        if execution is None and row.last_execution_id is not None:
            last["outcome"] = _known(row.last_outcome, end)
    return {
        **summary(row),
        "target": _target(row, payload),
        "payload": payload,
        "metadata": {"labels": json.loads(row.labels)},
        "dedup_key": row.dedup_key,
        "next": _next(row),
        "ends_at": stamp(row.ends_at),
        "end_date": stamp(row.ends_at),
        "max_executions": row.max_executions,
        "catch_up": row.catch_up,
        "overlap": row.overlap,
        "jitter_seconds": row.jitter_ms // 1000,
        "skip_during": json.loads(row.skip_during) if row.skip_during else [],
        "last_execution": last,
        "failures": row.failures,
        "paused_at": stamp(row.paused_at),
        "paused_by": row.paused_by,
        "pause_reason": row.pause_reason,
        "created_by": row.created_by,
    }


def firing(row: Row) -> dict[str, Any]:
    """One firing, with what has become of its execution."""
    became = _became(row.outcome, row.execution_status, row.execution_error)
    if row.execution_id is not None and row.execution_status is None:
        became["outcome"] = _known(row.outcome, None)
    return {
        "execution_time": stamp(row.due_at),
        "execution_id": row.execution_id,
        **became,
        "fired_at": stamp(row.fired_at),
        "reason": json.loads(row.reason) if row.reason else None,
        "missed_to": stamp(row.missed_to),
        "backfilled_by": row.backfilled_by,
    }


def backfilled(done: Backfilled) -> dict[str, Any]:
    """What became of the times of a backfill."""
    repeated = sum(1 for one in done.results if one.repeated)
    accepted = sum(1 for one in done.results if one.execution_id is not None)
    results = [
        {
            "execution_time": stamp(one.at),
            "outcome": one.outcome,
            "execution_id": one.execution_id,
            "status": None,
            "error": one.error,
        }
        for one in done.results
    ]
    shown = {"accepted": accepted - repeated, "repeated": repeated, "results": results}
    return {**shown, "next_start": stamp(done.next_at)}


def _became(outcome: str | None, status: str | None, error: str | None) -> dict[str, Any]:
    """What has become of a firing that was decided so at first."""
    if outcome in _GOES_ON and status in TERMINAL:
        outcome = end_record.word(Status(status), error)
    shown = error if status is None or status in TERMINAL else None
    return {"outcome": outcome, "status": status, "error": json.loads(shown) if shown else None}


def _known(outcome: str | None, end: Row | None) -> str | None:
    """What is known of a firing whose execution is kept no more, or that has made none; None: only that it went on."""
    if outcome not in _GOES_ON or end is None:
        return None if outcome == ACCEPTED else outcome
    status = Status(end.event.rpartition(".")[2])
    word = end_record.word(status, None)
    return word if status == Status.COMPLETED or end.outcome is None else str(end.outcome)


def _named(row: Row) -> dict[str, Any]:
    next_at = stamp(row.next_at)
    return {
        "id": row.id,
        "recurring_id": row.id,
        "name": row.name,
        "status": status_of(row),
        "enabled": bool(row.enabled),
        "cron_expr": row.cron,
        "cron_expression": row.cron,
        "timezone": row.timezone,
        "description_in_words": words.described(row.cron, row.timezone),
        "next_execution": next_at,
        "next_execution_at": next_at,
    }


def _next(row: Row) -> list[str | None]:
    number = _SHOWN if row.max_executions is None else min(_SHOWN, row.max_executions - row.executions)
    shown = written.times_of(row).shown(row.next_at, number, calendars.closed(row))
    return [stamp(at) for at in shown]


def _target(row: Row, payload: Any) -> dict[str, Any] | None:
    if row.target == DISPATCH:
        return None
    asset = {"target": row.asset} if row.target == ACTION else {}
    return {row.target: row.action_type, "parameters": payload, **asset}
