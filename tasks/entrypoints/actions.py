"""The task that carries out one triggered action: claim, do, conclude.

In order of time: the message brings an id; ``claim`` makes the row ours or says that it is not to be had (then the
message was stale and nothing happens); the executor does the outside work with no transaction open, under a lease that
``tasks.attempts.lease`` keeps; ``conclude`` writes how it ended in one transaction. A worker that dies or freezes
anywhere between leaves a row whose lease lapses, and ``tasks.clock.recovery`` takes it from there. Executions that were
accepted together may come in one message; each goes this way by itself (``tasks.fairness.slots``).
"""

import functools
import json
import time
from collections.abc import Callable

from celery import Task

from config import logs
from config.errors import Unavailable
from providers.base import Abandoned
from store.definitions.actions import Revision
from store.engine import group_commit
from store.engine.db import Row
from store.executions import transitions
from store.sealing.seal import SealBroken
from tasks.app import app
from tasks.attempts.conclude import Attempt, Ending, conclude, failed
from tasks.attempts.lease import Hold, keeper
from tasks.attempts.perform import Work, attempt_at, give_up, perform, prepare
from tasks.definitions import revisions
from tasks.fairness import slots
from tasks.messages import canvas, flower_events, requeue
from tasks.messages.canvas import Ring
from tasks.secrets.sealing import opened_parameters

log = logs.logger(__name__)

#: Celery carries retries up to this long, seconds; tick wakes those that wait longer
CARRIED_BY_CELERY = 60


@app.task(bind=True, name="tocsin.run", max_retries=None, throws=())
def run(self: Task, *execution_ids: str) -> str:
    """Carry out an execution, or several side by side; returns a word about how this message ended."""
    if len(execution_ids) == 1:
        return slots.alone(self, lambda: _alone(self, execution_ids[0]))
    return slots.side_by_side(self, functools.partial(_beside_others, str(self.request.id)))


def _alone(task: Task, execution_id: str) -> str:
    ending = attempt(execution_id)
    if ending.retry_in is not None and ending.retry_in <= CARRIED_BY_CELERY:
        raise requeue.again_after(task, ending.retry_in)
    return ending.status


def _beside_others(message_id: str, execution_id: str) -> str:
    """The same for a member of a bundle: it has no message of its own that could be tried again or shown in Flower."""
    started, rings = time.monotonic(), list[Ring]()

    def taken(row: Row) -> None:
        rings.append(Ring(execution_id=row.id, label=row.action_id, queue=row.queue, timeout_ms=row.timeout_ms))
        flower_events.began(rings[0], message_id)

    ending = attempt(execution_id, taken)
    for ring in rings:
        flower_events.ended(ring, ending.status, started)
        if ending.retry_in is not None and ending.retry_in <= CARRIED_BY_CELERY:
            canvas.publish([ring], countdown=ending.retry_in)  # should the broker be away, tick sees to it
    return ending.status


def attempt(execution_id: str, taken: Callable[[Row], None] | None = None) -> Ending:
    """Claim the execution, tell ``taken`` its row, and see it through."""
    logs.bind(execution_id=execution_id)
    try:
        return _attempt(execution_id, taken)
    finally:
        logs.unbind("execution_id", "request_id")


def _attempt(execution_id: str, taken: Callable[[Row], None] | None) -> Ending:
    keep = keeper()
    claimed = time.monotonic()
    try:
        row = group_commit.commit(
            lambda connection: transitions.claim(connection, execution_id, keep.owner, keep.lease_ms), single=True
        )
    except Unavailable:
        keep.doubt()
        log.warning("cannot claim: the database is away; tick will publish it again")
        return Ending("unavailable")
    if row is None:
        return Ending("stale")
    if taken is not None:
        taken(row)
    logs.bind(request_id=row.request_id)
    with keep.hold(execution_id, row.attempt, row.timeout_ms, claimed, repeatable=row.idempotent) as held:
        return _carry_out(row, held)


def _carry_out(row: Row, held: Hold) -> Ending:
    revision = revisions.action_in_time(row.revision_id)
    this = attempt_at(row, revision.definition["retry"])
    try:
        ending = conclude(this, perform(_work(this, revision, held), held))
    except Abandoned:
        ending = Ending("abandoned")
    if ending.status in ("abandoned", "stale"):
        give_up(held)
    return ending


def _work(this: Attempt, revision: Revision, held: Hold) -> Work | Ending:
    try:
        hidden = opened_parameters(this.row)
    except SealBroken as broken:
        return failed("sealed", str(broken))
    return prepare(this, revision, held, {**json.loads(this.row.input), **hidden}, hidden)
