"""Recovery: handle a due row by its status, then publish its message.

pending    published again, unless the backlog explains its wait (``tasks.messages.backlog``)
running    its worker died, froze or overran: the row ends, or is retried on its own queue; a row lost twice, or with
           every worker of its queue, goes to ``quarantine``. While the database is away no worker can renew a lease,
           so after an outage each lease lasts once more (``tasks.clock.reach``)
waiting    the back-off or delay is over: the row goes on; the approval has expired: the row ends
runs       over their time: they fail, and their steps with them (``tasks.clock.run_recovery``)
ended      a step whose successors are not planned yet, or an action that playbooks listen for and that is not announced
           yet: a worker gets a message for it
"""

from collections.abc import Mapping
from dataclasses import replace

from config import logs
from config.settings import settings
from playbooks.states import Kind, Mode, Status, WaitingFor
from store import audit
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import recovery, steps, transitions
from store.executions.transitions import LIVE, TERMINAL
from store.gateway import approvals
from tasks.attempts import completion, lease
from tasks.attempts.failure import failure
from tasks.clock import run_recovery
from tasks.clock.deaths import deaths
from tasks.clock.reach import reach
from tasks.definitions import listeners
from tasks.fairness import fair_queue
from tasks.messages import canvas
from tasks.messages.model import TaskMessage
from tasks.messages.run_messages import begin_message, follow_message_of

#: how often an execution loses its worker before it goes to quarantine, and before it fails
QUARANTINE_AFTER, POISON_CAP = 2, 3
#: why a lease lapses, in an error's message
_SILENT = "the worker said nothing any more (it died, froze, was stopped, or could not write to the database)"
#: due rows handled, and rows postponed or republished, in one transaction
BATCH, AT_ONCE = 200, 1000

log = logs.logger(__name__)


def on_fair_queue(row: Row, message: TaskMessage) -> TaskMessage:
    """The message of a step on its fair queue."""
    if row.run_id is None or message.ahead:
        return message
    return replace(message, queue=fair_queue.of_run(message.queue, row.workspace_id, row.run_id))


def handle(
    connection: Connection, row: Row, pauses: Mapping[str, int], over: list[run_recovery.Over]
) -> TaskMessage | None:
    """Handle one due row; returns the message to publish after the commit."""
    if row.kind == Kind.ACTION and row.status in TERMINAL:
        return completion.handle(connection, row)
    if row.kind == Kind.PLAYBOOK and (row.status != Status.PENDING or run_recovery.is_late(row)):
        run_recovery.handle_run(connection, row, over)
        return None
    if row.kind == Kind.STEP and (row.status in TERMINAL or row.run_status not in LIVE):
        return run_recovery.handle_ended(connection, row, pauses)
    if row.kind == Kind.STEP and row.open is not None:
        return run_recovery.handle_container(connection, row, over, pauses)
    if row.status == Status.PENDING:
        again_at = db.now_ms() + pauses.get(row.queue, settings().lease_seconds * 1000)
        if row.run_status == Status.PAUSED:
            recovery.postpone(connection, row.id, at=again_at)
            return None
        recovery.published(connection, row.id, again_at=again_at)
        queue = "quarantine" if row.lapses and _is_unserved(row) else row.queue
        return message_of(row, queue, ahead=row.attempt > 0 and row.publishes == 0)  # it was handed back
    if row.status == Status.RUNNING:
        return _recover(connection, row)
    return _wait_is_over(connection, row)


def _wait_is_over(connection: Connection, row: Row) -> TaskMessage | None:
    if row.waiting_for == WaitingFor.DELAY and row.type == "delay":
        return _end(connection, row, Status.COMPLETED, None)
    if row.waiting_for in (WaitingFor.RETRY, WaitingFor.DELAY):
        return _retry(connection, row, row.queue)
    asked = approvals.pending_of(connection, row.id)
    error, status = failure("approval_expired", "Nobody decided in time."), Status.TIMEOUT
    if asked is not None and asked.on_timeout == "reject":
        error, status = failure("rejected", "Rejected: nobody decided in time."), Status.FAILED
    message = _end(connection, row, status, error)
    if asked is not None:
        approvals.settle(connection, asked.id, approvals.EXPIRED, by=audit.SYSTEM)
    return message


def _recover(connection: Connection, row: Row) -> TaskMessage | None:
    """End or retry a running row that is late or lost.

    Lost means that its worker no longer renews its lease.
    If both hold, the worker's death explains it, and the action is retried; not on processes that are killed at the
    end of their time, where the action itself may cause the silence.
    """
    silent = lease.silent(row, settings().lease_seconds * 1000)
    if silent and (respite := reach.respite_ms()):  # its worker may live, and write the end of the action
        recovery.postpone(connection, row.id, at=db.now_ms() + respite)
        return None
    unknown, possible = not row.idempotent, row.mode == Mode.LIVE
    lost = row.queue not in canvas.KILLABLE and silent
    if row.expires_at is not None and row.expires_at <= db.now_ms() and not lost:
        message = f"the action took longer than its timeout_seconds ({row.timeout_ms / 1000:g} s)"
        error = failure("timeout", message, outcome_unknown=unknown, effect_possible=possible)
        return _end(connection, row, Status.TIMEOUT, error)
    if unknown:
        message = f"While the action ran {_SILENT}; nobody knows whether it had its effect."
        error = failure("worker_lost", message, outcome_unknown=True, effect_possible=possible)
        return _end(connection, row, Status.FAILED, error)
    lapses = row.lapses + 1
    if lapses >= POISON_CAP:
        message = f"{POISON_CAP} times {_SILENT} while this action ran; it is not tried again."
        error = failure("attempts_exhausted", message, effect_possible=possible)
        return _end(connection, row, Status.FAILED, error)
    queue = row.queue if lapses < QUARANTINE_AFTER and not _is_unserved(row) else "quarantine"
    log.warning("worker lost; trying again", execution_id=row.id, lapses=lapses, queue=queue)
    return _retry(connection, row, queue, lapses=lapses)


def _is_unserved(row: Row) -> bool:
    """Whether no worker consumes a row's queue, but one consumes quarantine."""
    return deaths.unserved(row.queue) and not deaths.unserved("quarantine")


def _retry(connection: Connection, row: Row, queue: str, *, lapses: int | None = None) -> TaskMessage | None:
    due_at = db.now_ms() + settings().lease_seconds * 1000
    moved = transitions.transition(
        connection,
        row.id,
        Status.PENDING,
        fence=row.attempt,
        queue=queue,
        owner=None,
        in_doubt=lapses is not None,
        waiting_for=None,
        publishes=1,
        due_at=due_at,
        lapses=row.lapses if lapses is None else lapses,
    )
    return message_of(row, queue, ahead=lapses is not None) if moved is not None else None


def _end(connection: Connection, row: Row, status: Status, error: dict[str, object] | None) -> TaskMessage | None:
    """End a row.

    Returns the message with which a worker plans a step's successors.
    """
    mark = steps.follow_mark() if row.kind == Kind.STEP else _mark(connection, row, status)
    moved = transitions.transition(connection, row.id, status, fence=row.attempt, error=transitions.dump(error), **mark)
    if error is not None:
        log.warning("execution ended by tick", execution_id=row.id, status=status, code=error["code"])
    if not mark or moved is None:
        return None
    return follow_message_of(row) if row.kind == Kind.STEP else completion.message(row.id, row.action_id)


def _mark(connection: Connection, row: Row, status: Status) -> dict[str, object]:
    return completion.mark(row, status, listeners.awaited(row.workspace_id, connection))


def message_of(row: Row, queue: str, *, ahead: bool = False) -> TaskMessage:
    """The message that brings a row to a worker."""
    if row.kind == Kind.PLAYBOOK:
        return begin_message(row.id, row.action_id, queue)
    task = "tocsin.step" if row.kind == Kind.STEP else "tocsin.run"
    return TaskMessage(
        task=task,
        execution_id=row.id,
        label=row.action_id,
        queue=queue,
        timeout_ms=row.timeout_ms,
        run_id=row.run_id,
        ahead=ahead,
        workspace_id=row.workspace_id,
    )
