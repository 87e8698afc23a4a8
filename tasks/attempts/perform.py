"""Perform the outside call of one attempt.

``prepare`` gathers everything the executor needs, secrets included; they exist in clear only from there to the
executor's return. ``perform`` lets the executor make the call with no transaction open, and returns every possible end
as an ``Ending``.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from config import logs
from config.errors import Unavailable
from event_loop import loop
from playbooks.states import Mode, Status, WaitingFor
from providers import registry
from providers.base import Abandoned, Call, ProviderError, TimedOut, Waiting
from store.definitions.actions import Revision
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import leases
from store.sealing.seal import SealBroken
from tasks.attempts import circuits, fallbacks, provider_calls
from tasks.attempts.conclude import Attempt, Ending, failed
from tasks.attempts.lease import HeldLease, keeper
from tasks.attempts.patience import commit_with_patience
from tasks.bundles import loading
from tasks.secrets import sealing
from tasks.secrets.redact import NO_SECRETS, redactor, texts

#: what an attempt lacks → the code of its error
_LACKING: dict[type[Exception], str] = {
    SealBroken: "sealed",
    loading.BundleMissing: "bundle_missing",
    provider_calls.MissingVariable: "environment",
}

log = logs.logger(__name__)


@dataclass(frozen=True)
class Work:
    """A call, and the executor that makes it."""

    executor: Any
    call: Call
    interruptible: bool


def attempt_at(row: Row, retry: Mapping[str, Any]) -> Attempt:
    """The attempt of a row that this process has just claimed."""
    return Attempt(
        row=row,
        owner=keeper().owner,
        retry=retry,
        logs=json.loads(row.logs) if row.logs else [],
        redact=NO_SECRETS,
    )


def prepare(
    this: Attempt,
    revision: Revision,
    held: HeldLease,
    parameters: Mapping[str, Any],
    hidden: Mapping[str, Any],
    dispatch: Mapping[str, Any] | None = None,
) -> Work | Ending:
    """Gather everything the executor needs; ``hidden`` are the secret parameters.

    Where a provider stands for an action, the parameters are the payload of ``dispatch``.
    """
    row = this.row
    try:
        this.way = circuits.through(row, revision, dispatch or parameters, this.sent_to)
        revision, parameters, hidden = fallbacks.sent(
            this.way, row.workspace_id, revision, parameters, hidden, dispatch
        )
    except circuits.CircuitOpen as refusal:
        return _not_called(this, failed(circuits.OPEN, str(refusal), details=refusal.details))
    if this.way is not None and this.way.by != this.way.asked:
        this.log("INFO", f"The circuit breaker of {this.way.asked} is open; it goes out by {this.way.by}.")
    definition, provided = revision.definition, provider_calls.is_provider(revision)
    try:
        opened = sealing.opened_config(row.workspace_id if revision.workspace_id else "", revision)
        config = sealing.restore_secrets(dict(definition["config"]), opened)
        config, named = provider_calls.filled_in(config) if provided else (config, [])
        bundle = loading.load(row.workspace_id, config) if loading.is_bundled(definition) else None
    except (SealBroken, loading.BundleMissing, provider_calls.MissingVariable) as missing:
        return _not_called(this, failed(_LACKING[type(missing)], str(missing)))
    values = bundle.secrets.values() if bundle is not None else ()
    this.redact = redactor([*texts(hidden), *sealing.telling(opened), *named, *values])
    call = Call(
        execution_id=row.id,
        idempotency_key=row.id,
        config=config,
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
        timeout_seconds=row.timeout_ms / 1000,
        log=this.log,
        still_ours=held.still_ours,
        checkpoint=held.checkpoint,
        aborted=held.aborted,
        workspace_id=row.workspace_id,
        trace=this.trace,
        number=provider_calls.counting(revision.id),
        shown=lambda text: str(this.redact(text)),
        bundle=bundle,
    )
    interruptible = definition["executor"] == "local" and "handler" in definition["config"] and bundle is None
    return Work(registry.executor(definition["executor"]), call, interruptible)


def _not_called(this: Attempt, ending: Ending) -> Ending:
    """The end of an attempt that calls nothing: it says nothing about a provider."""
    circuits.let_go(this.way, this.row.id)
    this.way = None
    return ending


def perform(work: Work | Ending, held: HeldLease) -> Ending:
    """Let the executor make the call.

    An ``Ending`` instead of work is returned unchanged.

    Raises:
        Abandoned: another worker or a cancel has taken the attempt.
    """
    if isinstance(work, Ending):
        return work
    call = work.call
    act: Callable[[Call], Any] = work.executor.plan if call.mode == Mode.DRY_RUN else work.executor.perform
    if work.interruptible:
        held.interrupt = _interrupter()
    try:
        output = act(call) if getattr(work.executor, "ON_LOOP", False) else loop.offload(act, call)
        held.interrupt = None
    except Abandoned:
        raise
    except SoftTimeLimitExceeded:
        held.interrupt = None
        if held.aborted():
            raise Abandoned from None
        return _timed_out(TimedOut(), call)
    except Waiting as waiting:
        return Ending(
            Status.WAITING, output=waiting.output, waiting_for=WaitingFor.APPROVAL, wait_seconds=waiting.seconds
        )
    except TimedOut as error:
        return _timed_out(error, call)
    except ProviderError as error:
        return _provider_failed(error)
    except Exception as error:
        log.exception("executor raised an unexpected error")
        return failed("internal_error", f"The executor broke ({type(error).__name__}); the worker's log says where.")
    report = {**vars(call.report), "output": output} if call.mode == Mode.SANDBOX else None
    return Ending(Status.COMPLETED, output=output, report=report)


def give_up(held: HeldLease) -> None:
    """Give up an attempt of this process.

    An attempt that may be repeated is handed back, so that another worker can claim it at once. One that was taken from
    this process is released; a cancel may wait for that.
    """
    owner = keeper().owner
    begun = held.begun

    def hand_back(connection: Connection) -> bool:
        return leases.hand_back(connection, held.execution_id, owner, held.attempt, begun=begun)

    if held.safe and commit_with_patience(hand_back):
        log.info("execution handed back", attempt=held.attempt)
        return
    try:
        with db.write(single=True) as connection:
            leases.release(connection, held.execution_id, owner, held.attempt)
    except Unavailable:
        log.warning("execution not released: database unavailable")


def _provider_failed(error: ProviderError) -> Ending:
    return failed(
        error.code,
        error.message,
        unknown=error.unknown,
        retryable=error.retryable,
        retry_after=error.retry_after,
        details=error.details,
    )


def _timed_out(error: TimedOut, call: Call) -> Ending:
    message = f"{error.message} ({call.timeout_seconds:g} s)"
    return failed(error.code, message, status=Status.TIMEOUT, unknown=True)


def _interrupter() -> Callable[[], None] | None:
    """A function that stops Python code in the main thread.

    None in a threads pool.
    """
    if callable(signal.getsignal(signal.SIGUSR1)):  # billiard's children turn it into SoftTimeLimitExceeded
        return lambda: os.kill(os.getpid(), signal.SIGUSR1)
    return None
