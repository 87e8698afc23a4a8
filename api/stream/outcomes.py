"""The outcome of a record, as the audit trail and the row of its execution tell it: without bodies and messages."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from config.times import stamp
from gateway import gate_column
from gateway.gate_column import Gate
from gateway.outcomes import (
    ChainStarted,
    CircuitOpen,
    Deduplicated,
    Executed,
    Failed,
    Grouped,
    Muted,
    Outcome,
    Rerouted,
    Response,
    Scheduled,
    Silenced,
    StateChanged,
    Suppressed,
    Throttled,
)
from tasks.clock.error_sentences import sentence

#: in place of what a provider answered
_NOTHING = Response(None)
#: what the trail does not say of a chain
_UNKNOWN = frozenset({"total_steps", "first_step"})
_ENDED = {"cancelled": "It was cancelled.", "skipped": "It was skipped."}


class Seen(NamedTuple):
    """What is known of a record: its row, the details there, and of its execution the error and the gate."""

    row: Any
    details: Mapping[str, Any]
    error: Mapping[str, Any]
    gate: Gate | None


def seen(row: Any, details: Mapping[str, Any], execution: Any | None) -> Seen:
    """The record of a row of the trail; ``execution`` has ``error`` and ``gate``."""
    if execution is None:
        return Seen(row, details, {}, None)
    error = json.loads(execution.error) if execution.error else {}
    return Seen(row, details, error if isinstance(error, dict) else {}, gate_column.read(execution.gate))


def plain(record: Seen) -> dict[str, Any]:
    """The outcome in the form of the document."""
    word, outcome = record.row.outcome, of(record)
    if word in _ENDED or outcome is None:
        return {"outcome": word}
    known = {name: value for name, value in outcome.members().items() if value != "" and name not in _UNKNOWN}
    if isinstance(outcome, Executed | Rerouted):
        known["response"] = _NOTHING.tagged()
    return {"outcome": word, **known}


def tagged(record: Seen) -> Any:
    """The outcome as existing clients read it."""
    outcome = of(record)
    return record.row.outcome if outcome is None else outcome.tagged()


def of(record: Seen) -> Outcome | None:
    """The outcome; None for a word that is not known here."""
    make = _MADE.get(record.row.outcome)
    return None if make is None else make(record)


def _rerouted(record: Seen) -> Outcome:
    original = record.gate.original_provider if record.gate is not None else None
    return Rerouted(original or "", str(record.row.provider or ""), _NOTHING)


def _suppressed(record: Seen) -> Outcome:
    denied = bool(record.details.get("denied")) or record.error.get("code") == "denied"
    return Suppressed(str(record.row.rule or ""), _reason(record), denied=denied)


def _muted(record: Seen) -> Outcome:
    interval = record.details.get("interval") or (record.gate.interval if record.gate is not None else None)
    return Muted(str(interval or ""), str(_reason(record) or ""), record.row.rule)


def _reason(record: Seen) -> str | None:
    return record.details.get("reason") or (record.gate.reason if record.gate is not None else None)


def _silenced(record: Seen) -> Outcome:
    silence: Any = record.details.get("silence") or (record.gate.silence if record.gate is not None else {})
    until = silence.get("until")
    return Silenced(
        str(silence.get("id", "")), str(silence.get("comment", "")), stamp(until) if until else "", record.row.rule
    )


def _deduplicated(record: Seen) -> Outcome:
    return Deduplicated(record.details.get("of") or (record.gate.of if record.gate is not None else None))


def _throttled(record: Seen) -> Outcome:
    seconds = record.details.get("retry_after_seconds")
    if seconds is None and record.gate is not None and record.gate.until is not None:
        return Throttled(str(record.row.rule or ""), max(0, record.gate.until - record.row.at))
    return Throttled(str(record.row.rule or ""), int(seconds or 1) * 1_000)


def _failed(record: Seen) -> Outcome:
    code = str(record.error.get("code", "failed"))
    said = sentence(record.error) if record.error else "It failed."
    return Failed(code, said, retryable=bool(record.error.get("retryable")), attempts=_attempts(record))


def _ended(record: Seen) -> Outcome:
    word = record.row.outcome
    return Failed(word, _ENDED[word], retryable=False, attempts=_attempts(record))


def _attempts(record: Seen) -> int:
    return int(record.details.get("attempt") or 0)


def _circuit_open(record: Seen) -> Outcome:
    details = record.error.get("details") or {}
    return CircuitOpen(str(details.get("provider", record.row.provider)), tuple(details.get("fallback_chain", ())))


def _chain_started(record: Seen) -> Outcome:
    said = record.details
    return ChainStarted(str(said.get("chain_id", "")), str(said.get("chain", "")), 0, "")


def _grouped(record: Seen) -> Outcome:
    said = record.details
    return Grouped(str(said.get("group_id", "")), int(said.get("group_size") or 0), str(said.get("notify_at", "")))


def _state_changed(record: Seen) -> Outcome:
    said = record.details
    fingerprint, before, after = (str(said.get(name, "")) for name in ("fingerprint", "previous_state", "new_state"))
    return StateChanged(fingerprint, before, after, bool(said.get("notify")), said.get("refused"))


_MADE = {
    "executed": lambda record: Executed(_NOTHING),  # noqa: ARG005 - as the others are called
    "rerouted": _rerouted,
    "suppressed": _suppressed,
    "muted": _muted,
    "silenced": _silenced,
    "deduplicated": _deduplicated,
    "throttled": _throttled,
    "failed": _failed,
    "cancelled": _ended,
    "skipped": _ended,
    "circuit_open": _circuit_open,
    "chain_started": _chain_started,
    "scheduled": lambda record: Scheduled(record.row.given_id or record.row.subject, ""),
    "grouped": _grouped,
    "state_changed": _state_changed,
}
