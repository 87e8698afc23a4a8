"""What monitors see of one change of an execution: Celery's task events.

The task id is the execution's id, the state that of its row: pending PENDING, running and waiting STARTED, a failed
attempt that is followed by another RETRY, completed SUCCESS, failed or timed out FAILURE, cancelled REVOKED. A step
that was skipped is no task. No event holds a parameter, an output or the text of an error (``error_sentences``).
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from playbooks.states import Kind, Status, WaitingFor
from tasks.clock.error_sentences import sentence
from tasks.messages.flower_events import TaskEvent

#: kind → the task that carries it out
TASKS: dict[str, str] = {
    Kind.ACTION: "tocsin.run",
    Kind.DISPATCH: "tocsin.run",
    Kind.PLAYBOOK: "tocsin.begin",
    Kind.STEP: "tocsin.step",
}
_PREFIX = "execution."
_ENDS: dict[str, str] = {
    Status.COMPLETED: "task-succeeded",
    Status.FAILED: "task-failed",
    Status.TIMEOUT: "task-failed",
    Status.CANCELLED: "task-revoked",
}


def events_of(change: Any, worker: Callable[[Any], str], *, begun: bool) -> Iterator[TaskEvent]:
    """The events of one change.

    ``worker`` names the worker behind a change; ``begun`` says that an attempt at the same execution follows at once.
    """
    if change.kind is None or not change.event.startswith(_PREFIX):
        return
    word = change.event.removeprefix(_PREFIX)
    status = {"accepted": Status.PENDING, "carried": change.status}.get(word, word)
    details = json.loads(change.details) if change.details else {}
    identity, name = _identity(change), worker(change)
    for kind, fields in _lifecycle(change, status, details.get("attempt"), begun=begun):
        follows = kind == "task-started"  # the event before it has the rest
        yield TaskEvent(kind, change.execution_id, name, change.at, fields if follows else {**identity, **fields})


def _lifecycle(change: Any, status: str, attempt: int | None, *, begun: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Celery's names of what happened; ``attempt`` is None for a new row."""
    new = attempt is None
    if status == Status.RUNNING or (new and status == Status.WAITING):
        yield "task-received", {}
        yield "task-started", {}
    elif status in (Status.PENDING, Status.PAUSED) and new:
        if not begun:
            yield "task-sent", {}
    elif _is_retry(change, status, attempt or 0):
        yield "task-retried", {"exception": _reason(change)}
    elif status in _ENDS:
        if new:
            yield "task-received", {}
        yield _ENDS[status], _end(change, status)


def _is_retry(change: Any, status: str, attempt: int) -> bool:
    """Whether another attempt follows: after a failure, or after the worker was lost or gave the execution back."""
    if status == Status.PENDING:
        return bool(change.kind != Kind.PLAYBOOK)
    return status == Status.WAITING and bool(change.waiting_for == WaitingFor.RETRY or change.attempt > attempt)


def _reason(change: Any) -> str:
    return sentence(json.loads(change.error)) if change.error else "The attempt did not end."


def _end(change: Any, status: str) -> dict[str, Any]:
    if status == Status.COMPLETED:
        ran = change.started_at is not None and change.completed_at is not None
        return {"result": str(status), "runtime": (change.completed_at - change.started_at) / 1000 if ran else 0.0}
    if status == Status.CANCELLED:
        return {"terminated": False, "signum": None, "expired": False}
    return {"exception": sentence(json.loads(change.error) if change.error else None), "traceback": where(change)}


def where(change: Any) -> str:
    """The request that shows an execution with its error."""
    if change.kind == Kind.ACTION:
        return f"GET /api/actions/executions/{change.execution_id}"
    if change.kind == Kind.DISPATCH:
        return f"GET /v1/dispatch/{change.execution_id}"
    if change.kind == Kind.PLAYBOOK:
        return f"GET /api/playbooks/executions/{change.execution_id}"
    return f"GET /api/playbooks/executions/{change.run_id}/steps"


def _identity(change: Any) -> dict[str, Any]:
    """What every event of an execution has."""
    label = change.action_id or change.type
    root = change.root_id if change.kind == Kind.PLAYBOOK else change.run_id
    return {
        "name": TASKS[change.kind],
        "args": f"({label!r}, {change.execution_id!r})",
        "kwargs": "{}",
        "root_id": root or change.execution_id,
        "parent_id": change.parent_id or change.run_id,
        "retries": max(0, change.attempt - 1),
    }
