"""Once a second: look at every row that is due and do the one thing it needs.

Beat sends the message; any number of beats and control workers do no harm, because due rows are locked and each
is moved by a guarded transition. What is decided in the transaction is published after it.

pending    put on its queue (again); the pause doubles, but never beyond what the backlog explains
running    its worker died, froze or overran: end it, or have it tried again on the queue of suspects
waiting    the back-off is over: pending again; the approval has expired: ended
"""

import time

from config import logs
from config.errors import Unavailable
from config.settings import settings
from store import db, executions
from store import redis as redis_store
from store.db import Connection, Row
from tasks import canvas, lease
from tasks.app import app
from tasks.canvas import Ring

#: an execution that took down its worker this often is given up
POISON_CAP = 3
#: a queue drains at least this many executions a second (only used to pace publishing again)
SLOWEST_DRAIN = 50
#: rows looked at in one transaction, and for how long one tick goes on, seconds
BATCH = 200
PATIENCE = 0.9

log = logs.logger(__name__)


@app.task(name="tocsin.tick", ignore_result=True)
def tick() -> int:
    """Look after every due row; returns how many there were."""
    started, seen = time.monotonic(), 0
    try:
        _notice_empty_broker()
        while time.monotonic() - started < PATIENCE:
            rings, number = _look()
            seen += number
            missed = canvas.publish(rings)
            if missed:
                _try_again_soon(missed)
                break
            if number < BATCH:
                break
    except Unavailable as error:
        log.warning("tick skipped: the database is away", reason=str(error))
    return seen


def _notice_empty_broker() -> None:
    """A Redis that forgot our mark forgot our messages too: publish every pending row now."""
    if not settings().redis_is_broker or not redis_store.emptied():
        return
    with db.write() as connection:
        number = executions.publish_soon(connection, at=db.now_ms())
    redis_store.set_mark()
    if number:
        log.warning("redis was emptied; publishing every pending execution again", executions=number)


def _look() -> tuple[list[Ring], int]:
    with db.write() as connection:
        rows = executions.due(connection, limit=BATCH)
        pause = _pause(connection) if any(row.status == "pending" for row in rows) else 0
        rings = [ring for row in rows if (ring := _attend(connection, row, pause)) is not None]
    return rings, len(rows)


def _pause(connection: Connection) -> int:
    """The longest pause between two publishings that the backlog explains, ms."""
    shortest = settings().lease_seconds * 1000
    return max(shortest, executions.backlog(connection) * 1000 // SLOWEST_DRAIN)


def _attend(connection: Connection, row: Row, longest_pause: int) -> Ring | None:
    """Do what one row needs; returns what is to be published after the commit."""
    if row.status == "pending":
        pause = min(settings().lease_seconds * 1000 * 2 ** min(row.publishes, 10), longest_pause)
        executions.published(connection, row.id, again_at=db.now_ms() + pause)
        return _ring(row, row.queue)
    if row.status == "running":
        return _recover(connection, row)
    if row.waiting_for == "retry":
        return _again(connection, row, row.queue)
    error = {"code": "approval_expired", "message": "Nobody decided in time.", "outcome_unknown": False}
    _end(connection, row, "timeout", error)
    return None


def _recover(connection: Connection, row: Row) -> Ring | None:
    """A running row whose time is up or whose worker no longer keeps its lease.

    When both hold the worker's death explains it, and the action is tried again; not on processes that are killed
    at the end of their time, where silence may be the action's own doing.
    """
    unknown = not row.idempotent
    lost = row.queue not in canvas.KILLABLE and lease.silent(row, settings().lease_seconds * 1000)
    if row.expires_at is not None and row.expires_at <= db.now_ms() and not lost:
        message = "the action took longer than its timeout_seconds"
        _end(connection, row, "timeout", {"code": "timeout", "message": message, "outcome_unknown": unknown})
        return None
    if unknown:
        message = "The worker died or froze while the action ran; it may or may not have had its effect."
        _end(connection, row, "failed", {"code": "worker_lost", "message": message, "outcome_unknown": True})
        return None
    if row.lapses + 1 >= POISON_CAP:
        message = f"The worker died or froze {POISON_CAP} times while this action ran; it is not tried again."
        _end(connection, row, "failed", {"code": "attempts_exhausted", "message": message, "outcome_unknown": False})
        return None
    log.warning("worker lost; trying again", execution_id=row.id, lapses=row.lapses + 1)
    return _again(connection, row, "suspects", lapses=row.lapses + 1)


def _again(connection: Connection, row: Row, queue: str, *, lapses: int | None = None) -> Ring | None:
    due_at = db.now_ms() + settings().lease_seconds * 1000
    moved = executions.transition(
        connection,
        row.id,
        "pending",
        fence=row.attempt,
        queue=queue,
        owner=None,
        waiting_for=None,
        publishes=1,
        due_at=due_at,
        lapses=row.lapses if lapses is None else lapses,
    )
    return _ring(row, queue) if moved is not None else None


def _end(connection: Connection, row: Row, status: str, error: dict[str, object]) -> None:
    executions.transition(connection, row.id, status, fence=row.attempt, error=executions.dump(error))
    log.warning("execution ended by tick", execution_id=row.id, status=status, code=error["code"])


def _ring(row: Row, queue: str) -> Ring:
    return Ring(execution_id=row.id, action_id=row.action_id, queue=queue, timeout_ms=row.timeout_ms)


def _try_again_soon(missed: list[Ring]) -> None:
    with db.write() as connection:
        executions.publish_soon(connection, [ring.execution_id for ring in missed], at=db.now_ms() + 1000)
    log.warning("the broker is away; publishing again in a second", executions=len(missed))
