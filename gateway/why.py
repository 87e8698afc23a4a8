"""Why something was stopped, held or sent elsewhere, in sentences and as data.

All of it is read off what its record and its execution keep: the account of the gate, the error, the details. Each
reason has a ``kind`` and what it names; its sentence says the same for people.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.times import stamp
from config.types import Json
from playbooks.states import Status

#: the kinds of reasons
KINDS = (
    "rule",
    "silence",
    "calendar",
    "deduplication",
    "throttle",
    "schedule",
    "approval",
    "breaker",
    "stop",
    "shadow",
    "problem",
    "error",
)
_RULES = {
    "deny": "denies it",
    "suppress": "suppresses it",
    "deduplicate": "lets it out once within its time",
    "throttle": "limits how many go out",
    "reroute": "sends it to another provider",
    "modify": "changes its payload",
    "chain": "starts a chain in its place",
    "schedule": "sends it later",
    "group": "gathers it with others",
    "state_machine": "moves its event",
    "require_approval": "asks for an approval",
    "allow": "lets it out",
}


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is kept of an execution, or of a dispatch that made none; times are milliseconds.

    ``outcome`` is None while it has not ended. ``gate`` is the account, ``details`` are those of the record.
    """

    outcome: str | None = None
    status: str | None = None
    provider: str | None = None
    verdict: str = "allow"
    rule: str | None = None
    at: int = 0
    #: when what a silence holds still goes out: its end may have been moved
    held_until: int | None = None
    gate: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] = field(default_factory=dict)


def explained(known: Known) -> Json:
    """The reasons, the most telling first, and the sentences that say the same."""
    told = list(_told(known))
    if not told:
        told = [(None, _plainly(known))]
    return {"sentences": [sentence for _, sentence in told], "reasons": [reason for reason, _ in told if reason]}


Told = tuple[Json | None, str]


def _told(known: Known) -> Iterator[Told]:
    silence = known.details.get("silence") or known.gate.get("silence")
    if silence:
        yield _silence(known, silence)
    interval = known.details.get("interval") or known.gate.get("interval")
    if interval:
        yield _calendar(known, str(interval))
    elif known.rule is not None:
        yield _rule(known)
    yield from _checks(known)
    yield from _waits(known)
    yield from _elsewhere(known)
    yield from _doubts(known)


def _silence(known: Known, silence: Mapping[str, Any]) -> Told:
    rule, kept = known.rule, known.outcome == "silenced"
    waits = known.held_until is not None
    until = stamp(known.held_until if known.held_until is not None else silence["until"])
    reason: Json = {
        "kind": "silence",
        "silence_id": silence["id"],
        "comment": silence["comment"],
        "after": silence["after"],
        "window": bool(silence.get("window")),
        "until": until,
        "held": not kept,
        "would": known.verdict,
        "would_rule": rule,
    }
    what = "window of the silence" if silence.get("window") else "silence"
    if kept:
        sentence = f"The {what} {silence['id']!r} kept it from going out; it passes at {until}: {silence['comment']}."
    elif waits:
        sentence = f"The {what} {silence['id']!r} holds it; it goes out at {until}: {silence['comment']}."
    else:
        sentence = f"The {what} {silence['id']!r}, which was to pass at {until}, held it: {silence['comment']}."
    return reason, _ended(sentence)


def _calendar(known: Known, interval: str) -> Told:
    because = known.details.get("reason") or known.gate.get("reason")
    condition = known.details.get("condition") or known.gate.get("condition")
    said = {"interval": interval, "rule": known.rule, "reason": because, "condition": condition}
    sentence = f"The rule {known.rule!r}, which concerns it, lets nothing out at its time: {because}."
    return {"kind": "calendar", **said, "would": known.verdict}, _ended(sentence)


def _rule(known: Known) -> Told:
    condition = known.details.get("condition") or known.gate.get("condition")
    because = known.details.get("reason") or known.gate.get("reason")
    reason: Json = {
        "kind": "rule",
        "rule": known.rule,
        "verdict": known.verdict,
        "reason": because,
        "condition": condition,
        "applied": known.outcome != "silenced",
    }
    does = _RULES.get(known.verdict, known.verdict)
    if known.outcome == "silenced":
        sentence = f"Without it the rule {known.rule!r} would have applied, which {does}"
    else:
        sentence = f"The rule {known.rule!r} {does}"
    sentence += f", because {condition}" if condition else ""
    return reason, _ended(f"{sentence}: {because}." if because else f"{sentence}.")


def _checks(known: Known) -> Iterator[Told]:
    of = known.details.get("of") or known.gate.get("of")
    if known.outcome == "deduplicated" and of:
        yield {"kind": "deduplication", "of": of}, f"Its equal {of} went out before."
    if known.outcome == "throttled":
        seconds = known.details.get("retry_after_seconds")
        until = known.gate.get("until") or (known.at + seconds * 1_000 if seconds else None)
        passes = stamp(until) if until else None
        sentence = "The limit of the rule is reached" + (f"; its window passes at {passes}." if passes else ".")
        yield {"kind": "throttle", "rule": known.rule, "until": passes}, sentence


def _waits(known: Known) -> Iterator[Told]:
    gate = known.gate
    if gate.get("approval"):
        yield _approval(known)
    if known.error.get("code") == "stopped":
        yield {"kind": "stop", "message": known.error.get("message")}, _ended(str(known.error.get("message")))
    if (
        known.outcome is None
        and known.status == Status.WAITING
        and gate.get("until")
        and gate.get("outcome")
        in (
            None,
            "scheduled",
        )
    ):
        until = stamp(gate["until"])
        kind = "throttle" if known.verdict == "throttle" else "schedule"
        yield {"kind": kind, "rule": known.rule, "until": until}, f"It waits, and goes on at {until}."


def _approval(known: Known) -> Told:
    approval, code = known.gate["approval"], known.error.get("code")
    if known.outcome is None and known.gate.get("outcome") == "pending_approval":
        status, said = Status.PENDING.value, f"It waits for the approval {approval}."
    elif code in ("rejected", "approval_expired"):
        status, said = str(code).removeprefix("approval_"), f"The approval {approval} ended it: {code}."
    else:
        status, said = "approved", f"The approval {approval} let it go out."
    return {"kind": "approval", "approval_id": approval, "status": status}, said


def _elsewhere(known: Known) -> Iterator[Told]:
    gate, details = known.gate, known.error.get("details") or {}
    if known.outcome == "circuit_open":
        provider, tried = details.get("provider", known.provider), list(details.get("fallback_chain", ()))
        also = f", nor by {' or '.join(tried)}" if tried else ""
        sentence = f"The circuit breaker of {provider!r} is open: nothing went out by it{also}."
        yield {"kind": "breaker", "provider": provider, "fallback_chain": tried, "used": None}, sentence
    asked, used = gate.get("asked_provider"), gate.get("provider")
    if asked and used and asked != used:
        sentence = f"The circuit breaker of {asked!r} was open: it went out by {used!r}."
        yield {"kind": "breaker", "provider": asked, "fallback_chain": [used], "used": used}, sentence


def _doubts(known: Known) -> Iterator[Told]:
    shadows = known.details.get("shadows") or [
        {"rule": rule, "verdict": verdict} for rule, verdict in known.gate.get("shadows", ())
    ]
    for shadow in shadows:
        sentence = f"The rule {shadow['rule']!r}, in shadow mode, would have decided {shadow['verdict']}."
        yield {"kind": "shadow", **shadow}, sentence
    problems = [(one["rule"], one["detail"]) for one in known.details.get("problems") or ()]
    for rule, detail in problems or known.gate.get("problems", ()):
        did_match = rule == known.rule or rule in [shadow["rule"] for shadow in shadows]
        so = "matched all the same, as its on_error says" if did_match else "did not match"
        sentence = f"The rule {rule!r} could not be decided, and {so}: {detail}."
        yield {"kind": "problem", "rule": rule, "detail": detail}, _ended(sentence)
    code = known.error.get("code")
    if known.outcome == "failed" and code and known.verdict != "deny":
        sentence = f"It failed: {known.error.get('message') or code}."
        yield {"kind": "error", "code": code, "message": known.error.get("message")}, _ended(sentence)


def _plainly(known: Known) -> str:
    if known.outcome is None:
        return f"Nothing keeps it back: it is {known.status}."
    if known.outcome in ("executed", "rerouted"):
        return "Nothing kept it back: it went out."
    return f"No rule and no silence decided about it: it is {known.outcome}."


def _ended(sentence: str) -> str:
    return sentence.replace("..", ".") if sentence.endswith("..") else sentence


def read(text: str | None) -> Mapping[str, Any]:
    """An object kept as JSON; empty for none."""
    found = json.loads(text) if text else {}
    return found if isinstance(found, Mapping) else {}
