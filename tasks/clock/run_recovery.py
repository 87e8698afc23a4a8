"""What tick does for runs and for the steps that no worker carries out itself.

A run over its time fails, and its steps with it; what a run that is over has left behind is ended. A run of which
nothing is under way any more, which should never be, is failed rather than left hanging. A holder whose last branch has
ended is attended to by a worker; one over its time fails with all it holds.
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

#: a worker that was asked to plan is given this long before another one is asked, ms
PATIENCE = 10_000
#: what a run that is over has left behind is gone on with after this, ms
AGAIN = 500

log = logs.logger(__name__)


@dataclass(frozen=True)
class Over:
    """A run that has ended, or a holder in it, whose steps have to end too."""

    run_id: str
    holder: str | None = None


def end_steps(over: Sequence[Over]) -> None:
    """End the steps of those that are over, in transactions of their own, as far as that is soon done."""
    for each in over:
        if each.holder is not None:
            stop.end_held(each.run_id, each.holder)
    run_ids = [each.run_id for each in over if each.holder is None]
    if run_ids:
        stop.end_steps(run_ids, "system")


def is_late(row: Row) -> bool:
    """Whether the time of a run or a holder is up."""
    return row.expires_at is not None and row.expires_at <= db.now_ms()


def attend(connection: Connection, row: Row, over: list[Over]) -> None:
    """A run that is over its time, or that has not been looked at for long, or that has left steps behind."""
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
    error = of_run(code, message)
    steps.end_run(
        connection, row.id, steps.End(status=Status.FAILED, error=error, parent_id=row.parent_id, clears=True), "system"
    )
    log.warning("run ended by tick", execution_id=row.id, code=code)


def attend_ended(connection: Connection, row: Row, pauses: Mapping[str, int]) -> TaskMessage | None:
    """A step that has ended, or whose run has."""
    if row.status not in transitions.TERMINAL:
        transitions.transition(connection, row.id, Status.CANCELLED)
        return None
    if row.run_status not in transitions.LIVE:
        steps.to_follow(connection, row.id, row.run_id)
        return None
    recovery.postpone(connection, row.id, at=db.now_ms() + _patience(pauses))
    return follow_message_of(row)


def attend_holder(connection: Connection, row: Row, over: list[Over], pauses: Mapping[str, int]) -> TaskMessage | None:
    """A step that holds others: its branches have ended, the next pass is due, or its time is up."""
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
    """How long a worker is given, ms: its message may stand behind all that is in ``bulk``."""
    return max(PATIENCE, pauses.get(queue_order.BULK, 0))
