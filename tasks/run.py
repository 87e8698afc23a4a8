"""The task that carries out one execution: claim, do, conclude.

In order of time: the message brings an id; ``claim`` makes the row ours or says that it is not to be had (then
the message was stale and nothing happens); the executor does the outside work with no transaction open, under
a lease that ``tasks.lease`` keeps; ``conclude`` writes how it ended in one transaction. A worker that dies or
freezes anywhere between leaves a row whose lease lapses, and ``tasks.tick`` takes it from there.
"""

import functools
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import Task
from celery.exceptions import SoftTimeLimitExceeded

from config import logs
from config.errors import Unavailable
from config.settings import settings
from providers import registry
from providers.base import Abandoned, Call, ProviderError, TimedOut, Waiting
from store import actions, db, executions, group
from store.actions import Revision
from store.db import Row
from store.seal import SealBroken, unseal
from tasks import secrets
from tasks.app import app
from tasks.conclude import Attempt, Ending, conclude, failed
from tasks.lease import Hold, keeper
from tasks.redact import Redactor

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
    revision = _revision_in_time(row.revision_id)
    this = Attempt(
        row=row,
        owner=keeper().owner,
        retry=revision.definition["retry"],
        logs=json.loads(row.logs) if row.logs else [],
        redact=Redactor(()),
    )
    try:
        ending = conclude(this, _perform(_prepare(this, revision, held), held))
    except Abandoned:
        ending = Ending("abandoned")
    if ending.status in ("abandoned", "stale"):  # it was taken from us; a cancel may wait for this word
        _let_go(held)
    return ending


@dataclass(frozen=True)
class _Work:
    executor: Any
    call: Call
    interruptible: bool


def _prepare(this: Attempt, revision: Revision, held: Hold) -> _Work | Ending:
    """Everything the executor needs, secrets included; they exist in clear from here to its return only."""
    row, definition = this.row, revision.definition
    try:
        sealed_values, sealed_config = unseal(row.sealed), unseal(revision.sealed)
    except SealBroken as broken:
        return failed("sealed", str(broken))
    this.redact = Redactor([*_texts(sealed_values), *_texts(sealed_config)])
    parameters = {**json.loads(row.input), **sealed_values}
    call = Call(
        execution_id=row.id,
        idempotency_key=row.id,
        config=secrets.put_back(dict(definition["config"]), sealed_config),
        parameters=parameters,
        context={
            **parameters,
            "parameters": parameters,
            "target": row.target,
            "execution": {"id": row.id, "attempt": row.attempt},
            "action": {"id": row.action_id, "name": definition["name"]},
        },
        mode=row.mode,
        expires_at=time.monotonic() + row.timeout_ms / 1000,
        log=this.log,
        checkpoint=held.checkpoint,
        aborted=held.aborted,
    )
    interruptible = definition["executor"] == "local" and "handler" in definition["config"]
    return _Work(registry.executor(definition["executor"]), call, interruptible)


def _perform(work: _Work | Ending, held: Hold) -> Ending:
    """Let the executor do it, and put every way it can end into words."""
    if isinstance(work, Ending):
        return work
    call = work.call
    act: Callable[[Call], Any] = work.executor.plan if call.mode == "dry_run" else work.executor.perform
    if work.interruptible:
        held.interrupt = _interrupter()
    try:
        output = act(call)
        held.interrupt = None
    except Abandoned:
        raise
    except SoftTimeLimitExceeded:
        held.interrupt = None
        if held.aborted():
            raise Abandoned from None
        return failed("timeout", str(TimedOut()), status="timeout", unknown=True)
    except Waiting as waiting:
        return Ending("waiting", output=waiting.output, waiting_for="approval", wait_seconds=waiting.seconds)
    except TimedOut as error:
        return failed(error.code, error.message, status="timeout", unknown=True)
    except ProviderError as error:
        return _provider_failed(error)
    except Exception as error:
        log.exception("executor broke")
        return failed("internal_error", f"The executor broke ({type(error).__name__}); the worker's log says where.")
    report = {**vars(call.report), "output": output} if call.mode == "sandbox" else None
    return Ending("completed", output=output, report=report)


def _provider_failed(error: ProviderError) -> Ending:
    return failed(
        error.code,
        error.message,
        unknown=error.unknown,
        retryable=error.retryable,
        retry_after=error.retry_after,
        details=error.details,
    )


def _interrupter() -> Callable[[], None] | None:
    """How to stop Python code in this process's main thread; None where that is not possible (threads pool)."""
    if callable(signal.getsignal(signal.SIGUSR1)):  # billiard's children turn it into SoftTimeLimitExceeded
        return lambda: os.kill(os.getpid(), signal.SIGUSR1)
    return None


def _let_go(held: Hold) -> None:
    try:
        with db.write(single=True) as connection:
            executions.let_go(connection, held.execution_id, keeper().owner, held.attempt)
    except Unavailable:
        log.warning("could not say that the execution was let go")


def _revision_in_time(revision_id: str) -> Revision:
    """The revision, also when the database goes away just now: as long as the lease lasts nothing is lost."""
    give_up = time.monotonic() + settings().lease_seconds
    while True:
        try:
            return _revision(revision_id)
        except Unavailable:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.5)


@functools.lru_cache(maxsize=1024)
def _revision(revision_id: str) -> Revision:
    with db.read() as connection:
        return actions.revision(connection, revision_id)


def _texts(value: Any) -> list[str]:
    """Every text inside a JSON value."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [str(value)] if value is not None else []
