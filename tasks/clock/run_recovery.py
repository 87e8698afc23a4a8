"""Recovery of due runs, and of steps that need no worker.

A run over its time fails, and its steps with it; steps left behind by an ended run end. A running run without any
step under way, which should never exist, fails rather than hangs. For a container whose last branch has ended, tick
publishes a message; a container over its time fails with its steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config import logs
from playbooks.states import Status, WaitingFor
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import recovery, runs, steps, transitions
from tasks import queue_order
from tasks.attempts.failure import failure
from tasks.messages.model import TaskMessage
from tasks.messages.run_messages import follow_message_of, join_message
from tasks.runs import stop
from tasks.runs.errors import of_run
from tasks.runs.run import ends_of_row

#: the time that a worker has to plan before tick publishes another message, ms
PATIENCE = 10_000
#: tick goes on ending the steps of an ended run after this, ms
AGAIN = 500

log = logs.logger(__name__)


@dataclass(frozen=True)
class Over:
    """An ended run, or a container, whose steps must end too."""

    run_id: str
    container: str | None = None


def end_steps(over: Sequence[Over]) -> None:
    """End the steps of ended runs and containers for a moment."""
    for each in over:
        if each.container is not None:
            stop.end_steps_of(each.run_id, each.container)
    run_ids = [each.run_id for each in over if each.container is None]
    if run_ids:
        stop.end_steps(run_ids, "system")


def is_late(row: Row) -> bool:
    """Whether the time of a run or a container is up."""
    return row.expires_at is not None and row.expires_at <= db.now_ms()


def handle_run(connection: Connection, row: Row, over: list[Over]) -> None:
    """Handle a run that is late, unchecked, or has left steps behind."""
    if row.status in transitions.TERMINAL:
        recovery.postpone(connection, row.id, at=db.now_ms() + AGAIN)
    elif is_late(row):
        _fail(connection, row, "timeout", "The playbook took longer than its timeout_minutes.")
    elif row.status == Status.RUNNING and not runs.has_living_steps(connection, row.id):
        _fail(connection, row, "stalled", "Nothing of this run was under way any more.")
    else:
        runs.look_again(connection, row.id, at=min(row.expires_at, db.now_ms() + runs.PATROL))
        return
    over.append(Over(row.id))


def _fail(connection: Connection, row: Row, code: str, message: str) -> None:
    announces = ends_of_row(runs.read(connection, row.id), connection)
    error = of_run(code, message)
    end = steps.End(status=Status.FAILED, error=error, parent_id=row.parent_id, clears=True, announces=announces)
    steps.end_run(connection, row.id, end, "system")
    log.warning("run ended by tick", execution_id=row.id, code=code)


def handle_ended(connection: Connection, row: Row, pauses: Mapping[str, int]) -> TaskMessage | None:
    """Handle a step that has ended, or whose run has."""
    if row.status not in transitions.TERMINAL:
        transitions.transition(connection, row.id, Status.CANCELLED)
        return None
    if row.run_status not in transitions.LIVE:
        steps.to_follow(connection, row.id, row.run_id)
        return None
    recovery.postpone(connection, row.id, at=db.now_ms() + _patience(pauses))
    return follow_message_of(row)


def handle_container(
    connection: Connection, row: Row, over: list[Over], pauses: Mapping[str, int]
) -> TaskMessage | None:
    """Handle a container whose branches have ended, or whose time is up."""
    if not is_late(row):
        if row.waiting_for == WaitingFor.INTERVAL:
            steps.end_pause(connection, row.id)
        recovery.postpone(connection, row.id, at=db.now_ms() + _patience(pauses))
        return join_message(row.id)
    error = failure("timeout", "the step took longer than its timeout_seconds")
    mark = steps.follow_mark()
    ended = transitions.transition(connection, row.id, Status.FAILED, error=transitions.dump(error), **mark)
    over.append(Over(row.run_id, row.id))
    return follow_message_of(row) if ended is not None else None


def _patience(pauses: Mapping[str, int]) -> int:
    """The time a worker has, ms; its message may wait behind ``bulk``."""
    return max(PATIENCE, pauses.get(queue_order.BULK, 0))
