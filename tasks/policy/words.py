"""What the gate says of an execution that it ends: its error, and the account in its row."""

from dataclasses import replace
from typing import Any, NamedTuple

from config import times
from gateway import gate_column
from gateway.gate_column import Gate
from gateway.outcomes import Silenced as SilencedOutcome
from gateway.verdicts import Check, Deduplicate, Deny, Muted, Quiet, Reroute, Silenced, Suppress, Throttle, Verdict
from tasks.policy.checks import Refused
from tasks.policy.judge import Decision


class Ended(NamedTuple):
    """An execution that the gate ends: code and message of its error, and the account."""

    code: str
    message: str
    gate: Gate


def account(decision: Decision) -> Gate:
    """The account of a decision that lets the execution go out, as far as it is known before the checks."""
    gate, effect = gate_column.of(decision.facts, decision.verdict), decision.verdict.effect
    if isinstance(effect, Reroute):
        return replace(gate, provider=effect.target_provider, original_provider=gate.provider)
    return gate


def stopped(decision: Decision) -> Ended | None:
    """The end of an execution that a rule or a silence stops; None if none does."""
    verdict = decision.verdict
    if is_silenced(verdict) and verdict.quiet is not None:
        return silenced(decision, verdict.quiet)
    if isinstance(verdict.effect, Muted):
        return _muted(decision)
    if isinstance(verdict.effect, Deny):
        code, what = "denied", "denies"
    elif isinstance(verdict.effect, Suppress):
        code, what = "suppressed", "suppresses"
    else:
        return None
    gate = replace(account(decision), outcome="suppressed")
    return Ended(code, _because(f"The rule {verdict.rule!r} {what} it", verdict.reason), gate)


def _muted(decision: Decision) -> Ended:
    """The end of an execution that a rule lets out at other times only."""
    verdict = decision.verdict
    gate = replace(account(decision), outcome="muted")
    return Ended("muted", _because(f"The rule {verdict.rule!r} mutes it", verdict.reason), gate)


def is_silenced(verdict: Verdict) -> bool:
    """Whether a silence keeps it back for good."""
    return isinstance(verdict.effect, Silenced)


def silenced(decision: Decision, quiet: Quiet) -> Ended:
    """The end of an execution that a silence keeps from going out."""
    gate = replace(account(decision), outcome="silenced", until=quiet.until)
    gate = replace(gate, provider=decision.facts.provider, original_provider=None)
    sentence = f"The silence {quiet.id!r} keeps it from going out until {times.stamp(quiet.until)}"
    return Ended("silenced", _because(sentence, quiet.comment.rstrip(".")), gate)


def held(quiet: Quiet, rule: str | None, *, until: int | None = None) -> SilencedOutcome:
    """The outcome of what a silence keeps back; with ``until`` (ms) it waits, and goes out then."""
    moment = quiet.until if until is None else until
    return SilencedOutcome(quiet.id, quiet.comment, times.stamp(moment), rule, held=until is not None)


def refused(decision: Decision, refusal: Refused) -> Ended:
    """The end of an execution that a check refuses."""
    check = refusal.check
    code = "deduplicated" if isinstance(check.effect, Deduplicate) else "throttled"
    gate = replace(
        account(decision),
        verdict=check.effect.kind,
        rule=check.rule,
        reason=check.reason,
        condition=check.condition,
        outcome=code,
        of=refusal.of,
        until=refusal.until,
        provider=decision.facts.provider,
        original_provider=None,
    )
    return Ended(code, _because(_sentence(check, refusal), check.reason), gate)


def _sentence(check: Check, refusal: Refused) -> str:
    if isinstance(check.effect, Throttle):
        what = "different values" if check.value is not None else "executions"
        limit = f"{check.effect.max_count} {what} in {check.effect.window_seconds} s"
        again = f"; try again at {times.stamp(refusal.until)}" if refusal.until is not None else ""
        return f"The rule {check.rule!r} lets through {limit}, and they are reached{again}"
    return f"The rule {check.rule!r} finds that its equal {refusal.of} went out before"


def _because(sentence: str, reason: str | None) -> str:
    return f"{sentence}: {reason}." if reason else f"{sentence}."


def provider_parameters(decision: Decision) -> dict[str, Any]:
    """What a provider gets of an action that a rule sends there.

    Secret parameters stay masked: they were given to the action, not to the provider.
    """
    seen = decision.facts
    labels = {name: value for name, value in seen.metadata.items() if isinstance(value, str)}
    values = {"payload": seen.payload, "action_type": seen.action_type, "labels": labels, "id": seen.id}
    return {**values, "namespace": seen.namespace, "tenant": seen.tenant}
