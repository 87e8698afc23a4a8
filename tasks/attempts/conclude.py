"""Conclude an attempt: turn a worker's result into the record.

``conclude`` decides between completed, failed and a retry, masks the secrets, and writes status, output,
logs and audit in one transaction. While the database is away it keeps trying: no other worker can claim the row
meanwhile, and one that does later has a higher attempt number, which fences this attempt off.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from config import logs, times
from gateway import gate_column
from playbooks.definitions.events import APPROVAL_NOTICE
from playbooks.states import Kind, Mode, Status, WaitingFor
from providers.base import Abandoned
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import transitions
from store.gateway import replies
from store.gateway.approvals import Approval
from tasks.attempts import approvals, circuits, completion
from tasks.attempts.failure import failure
from tasks.attempts.patience import commit_with_patience, with_patience
from tasks.definitions import revisions
from tasks.messages import publisher
from tasks.messages.model import Canvas
from tasks.policy import questions
from tasks.secrets.redact import Redactor

#: limits of what one execution keeps
MOST_LOG_LINES = 500
LONGEST_LOG_LINE = 2_048
#: characters of an answer, or of a script's last line, in the message of an error
_EXCERPT = 200
#: the longest pause before a retry, seconds
LONGEST_PAUSE = 3_600

#: mode → the last line of a log that ends well
_DONE = {
    Mode.LIVE: "Action completed successfully.",
    Mode.SANDBOX: "Sandbox run completed; every outward call was recorded instead of made.",
    Mode.DRY_RUN: "Dry run completed; nothing was done.",
}

log = logs.logger(__name__)


@dataclass(frozen=True)
class Ending:
    """The end of an attempt: the new status and its columns."""

    status: Status
    output: Any = None
    error: Mapping[str, Any] | None = None
    report: Mapping[str, Any] | None = None
    retryable: bool = False
    retry_after: float | None = None
    retry_in: float | None = None
    waiting_for: WaitingFor | None = None
    wait_seconds: float = 0
    #: what is asked about an execution that waits for an approval, and its account while it does
    asks: Approval | None = None
    gate: str | None = None
    #: the last line of the log of a completed attempt, in place of the usual one
    done: str | None = None


@dataclass(frozen=True)
class Unchanged:
    """A message that changed nothing; its ``status`` is stale, abandoned or unavailable."""

    status: str
    retry_in: None = None


def failed(
    code: str,
    message: str,
    *,
    status: Status = Status.FAILED,
    unknown: bool = False,
    retryable: bool = False,
    retry_after: float | None = None,
    details: Mapping[str, Any] | None = None,
) -> Ending:
    """A failed ending; ``unknown`` says that the effect may still have happened."""
    error = failure(code, message, outcome_unknown=unknown)
    if details:
        error["details"] = dict(details)
    return Ending(status, error=error, retryable=retryable, retry_after=retry_after)


@dataclass
class Attempt:
    """An attempt under way: its row, and its log so far."""

    row: Row
    owner: str
    retry: Mapping[str, Any]
    redact: Redactor
    logs: list[dict[str, str]] = field(default_factory=list)
    #: of a dispatch: its trace context, and the process that waits for its end
    trace: Mapping[str, str] = field(default_factory=dict)
    reply: str | None = None
    #: the provider to which a rule sends what its row names
    sent_to: str | None = None
    #: of a call that a circuit breaker concerns: by which provider it goes out
    way: circuits.Way | None = None

    def log(self, level: str, message: str) -> None:
        """Add a line to the execution's log."""
        if len(self.logs) < MOST_LOG_LINES:
            self.logs.append({"timestamp": times.now(), "level": level, "message": message[:LONGEST_LOG_LINE]})


def retry_delay(retry: Mapping[str, Any], failures: int, asked_for: float | None = None) -> float:
    """Seconds until the next try after ``failures``: doubled, jittered, at least ``asked_for``."""
    delay: float = float(retry["backoff_seconds"]) * 2 ** (failures - 1)
    if retry["jitter"]:
        delay *= random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, hides nothing
    return min(max(delay, asked_for or 0.0), LONGEST_PAUSE)


@dataclass(frozen=True)
class Settled:
    """An ending ready to be written: masked record and other columns."""

    ending: Ending
    record: Mapping[str, Any]
    changes: Mapping[str, Any]


def settle(this: Attempt, ending: Ending) -> Settled:
    """Decide between completed, failed and a retry, and mask the secrets."""
    row = this.row
    changes: dict[str, Any] = {}
    if ending.status == Status.WAITING:
        until = ending.asks.expires_at if ending.asks is not None else db.now_ms() + int(ending.wait_seconds * 1000)
        changes = {"waiting_for": ending.waiting_for, "due_at": until}
    elif ending.status == Status.FAILED:
        ending, changes = _retry_or_fail(this, ending)
    elif ending.status == Status.COMPLETED:
        this.log("INFO", ending.done or _DONE[row.mode])
    if ending.error is not None:
        possible = bool(ending.error["outcome_unknown"]) and row.mode == Mode.LIVE
        told = {"effect_possible": True} if possible else {}
        unknown = possible and not row.idempotent
        ending = replace(ending, error={**ending.error, "outcome_unknown": unknown, **told})
        if row.kind == Kind.DISPATCH:  # its sender is informed
            ending = replace(ending, error={**(ending.error or {}), "retryable": ending.retryable})
    record = {
        "output": this.redact(ending.output),
        "error": _telling(this.redact(ending.error)),
        "report": this.redact(ending.report),
        "logs": this.redact(this.logs),
    }
    return Settled(ending, record, changes)


def _telling(error: Any) -> Any:
    """The masked error, with the beginning of what was answered or printed.

    It is cut after masking, so that no part of a secret is left over.
    """
    details = error.get("details") if isinstance(error, dict) else None
    found = (details.get("stderr") or details.get("body")) if isinstance(details, dict) else None
    excerpt = " ".join(found.split())[:_EXCERPT] if isinstance(found, str) else ""
    return {**error, "message": f"{error['message']}: {excerpt}"} if excerpt else error


def conclude(this: Attempt, ending: Ending) -> Ending | Unchanged:
    """Write the end of an attempt.

    ``stale`` if another worker or a cancel has taken the row.
    """
    counting = counted(this, ending)
    settled, row = settle(this, ending), this.row
    account = {} if this.way is None else circuits.account(this.way, gate_column.read(row.gate))
    mark = completion.mark(row, settled.ending.status)
    asks, told = _asking(this, settled), list[Canvas]()
    if ending.gate is not None:
        account = {**account, "gate": ending.gate}

    def finish(connection: Connection) -> bool:
        ended = transitions.finish(
            connection,
            row.id,
            settled.ending.status,
            owner=this.owner,
            attempt=row.attempt,
            record=settled.record,
            **settled.changes,
            **mark,
            **account,
        )
        if ended and asks is not None:
            told[:] = asks(connection)
        if ended and counting is not None:
            counting.write(connection)
        return ended

    if not commit_with_patience(finish, single=asks is None and counting is None):
        return Unchanged("stale")
    if counting is not None:
        counting.tell()
    if mark:
        told.append(completion.message(row.id, row.action_id))
    if told:
        publisher.publish_after_commit(*told)
    if this.reply is not None and settled.ending.status in transitions.TERMINAL:
        replies.tell(this.reply, row.id)
    ended(this, settled)
    return settled.ending


def _asking(this: Attempt, settled: Settled) -> approvals.Writing | None:
    """What writes the approval that an attempt asks for, which ends by waiting for it.

    Raises:
        Abandoned: the database stayed away.
    """
    row, asks = this.row, settled.ending.asks
    if settled.ending.waiting_for == WaitingFor.APPROVAL:
        expires_at = settled.changes["due_at"]
        asks = questions.of_definition(
            columns_of(row), _config_of(row), settled.record["output"], expires_at=expires_at
        )
    if asks is None:
        return None
    found, given = asks, transitions.load(row.input, {})
    payload = given.get("payload") if row.kind == Kind.DISPATCH else given
    gate = gate_column.read(row.gate)
    before = APPROVAL_NOTICE if gate is not None and gate.origin == "approval" else None
    writing = with_patience(lambda: approvals.prepared(found, payload, row.mode, before))
    if writing is None:
        raise Abandoned
    return writing


def _config_of(row: Any) -> Mapping[str, Any]:
    """The config of a row's action."""
    config: Mapping[str, Any] = revisions.action_with_patience(row.revision_id).definition["config"]
    return config


def columns_of(row: Any) -> dict[str, Any]:
    """The columns of a row that has been claimed."""
    return dict(row._asdict()) if hasattr(row, "_asdict") else dict(vars(row))


def counted(this: Attempt, ending: Ending) -> circuits.Counting | None:
    """What the end of an attempt means for the circuit breaker of its provider."""
    if ending.status == Status.WAITING:
        return None
    return circuits.counting(this.way, this.row.id, circuits.end_of(ending.status, retryable=ending.retryable))


def ended(this: Attempt, settled: Settled) -> None:
    """Log the end of an attempt; a failure as a warning with its code and its message, masked as it is stored."""
    ending, error = settled.ending, settled.record["error"]
    known = {"status": ending.status, "attempt": this.row.attempt, "action_id": this.row.action_id}
    if ending.error is None:
        log.info("execution ended", **known)
    else:
        message = error.get("message") if isinstance(error, dict) else None
        log.warning("execution failed", **known, code=ending.error.get("code"), error=message)


def _retry_or_fail(this: Attempt, ending: Ending) -> tuple[Ending, dict[str, Any]]:
    """Retry if that may help and is allowed.

    An at-most-once action is never repeated in doubt.
    """
    row, error = this.row, dict(ending.error or {})
    failures = row.failures + 1
    in_doubt = bool(error.get("outcome_unknown")) and not row.idempotent
    this.log("ERROR", f"{error.get('code')}: {error.get('message')}")
    if not ending.retryable or in_doubt or failures >= this.retry["max_attempts"]:
        return ending, {"failures": failures}
    pause = retry_delay(this.retry, failures, ending.retry_after)
    this.log("INFO", f"Attempt {failures} of {this.retry['max_attempts']} failed; trying again in {pause:.1f} s.")
    due_at = db.now_ms() + int(pause * 1000) + transitions.RETRY_GRACE
    waiting = Ending(Status.WAITING, error=error, retry_in=pause)
    return waiting, {"failures": failures, "waiting_for": WaitingFor.RETRY, "due_at": due_at}
