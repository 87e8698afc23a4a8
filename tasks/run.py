"""The task that carries out one triggered action: claim, do, conclude.

In order of time: the message brings an id; ``claim`` makes the row ours or says that it is not to be had (then
the message was stale and nothing happens); the executor does the outside work with no transaction open, under
a lease that ``tasks.lease`` keeps; ``conclude`` writes how it ended in one transaction. A worker that dies or
freezes anywhere between leaves a row whose lease lapses, and ``tasks.tick`` takes it from there.
"""

import json
import time

from celery import Task

from config import logs
from config.errors import Unavailable
from providers.base import Abandoned
from store import executions, group
from store.actions import Revision
from store.db import Row
from store.seal import SealBroken, unseal
from tasks import revisions
from tasks.app import app
from tasks.conclude import Attempt, Ending, conclude, failed
from tasks.lease import Hold, keeper
from tasks.perform import Work, attempt_at, let_go, perform, prepare

log = logs.logger(__name__)

#: Celery carries retries up to this long, seconds; tick wakes those that wait longer
CARRIED_BY_CELERY = 60


@app.task(bind=True, name="tocsin.run", max_retries=None, throws=())
def run(self: Task, execution_id: str) -> str:
    """Carry out one execution; returns a word about how this message ended."""
    logs.bind(execution_id=execution_id)
    try:
        ending = attempt(execution_id)
    finally:
        logs.unbind("execution_id", "request_id")
    if ending.retry_in is not None and ending.retry_in <= CARRIED_BY_CELERY:
        raise self.retry(countdown=ending.retry_in, retry=False)
    return ending.status


def attempt(execution_id: str) -> Ending:
    """Claim the execution and see it through."""
    keep = keeper()
    claimed = time.monotonic()
    try:
        row = group.commit(
            lambda connection: executions.claim(connection, execution_id, keep.owner, keep.lease_ms), single=True
        )
    except Unavailable:
        log.warning("cannot claim: the database is away; tick will publish it again")
        return Ending("unavailable")
    if row is None:
        return Ending("stale")
    logs.bind(request_id=row.request_id)
    with keep.hold(execution_id, row.attempt, row.timeout_ms, claimed) as held:
        return _carry_out(row, held)


def _carry_out(row: Row, held: Hold) -> Ending:
    revision = revisions.action_in_time(row.revision_id)
    this = attempt_at(row, revision.definition["retry"])
    try:
        ending = conclude(this, perform(_work(this, revision, held), held))
    except Abandoned:
        ending = Ending("abandoned")
    if ending.status in ("abandoned", "stale"):  # it was taken from us
        let_go(held)
    return ending


def _work(this: Attempt, revision: Revision, held: Hold) -> Work | Ending:
    try:
        hidden = unseal(this.row.sealed)
    except SealBroken as broken:
        return failed("sealed", str(broken))
    return prepare(this, revision, held, {**json.loads(this.row.input), **hidden}, hidden)
