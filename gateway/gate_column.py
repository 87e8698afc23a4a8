"""The column ``gate`` of an execution: what the gate knows of it and has decided about it.

The text is one JSON object without empty members; NULL belongs to an execution that no rule concerns. Records, views
and the next attempt read it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from gateway.facts import Facts
from gateway.verdicts import Muted, Problem, Quiet, Reroute, Shadow, Verdict

#: verdicts that need no condition to be understood: it went out
_AS_IT_IS = frozenset({"allow", "modify"})
#: a part of the account of each execution that was approved, and of few others: to look for it costs no parsing
APPROVED = '"approved":{'
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The gate's account of one execution.

    Times are milliseconds since 1970.
    """

    #: the key of the decision; the tenant is the row's workspace
    origin: str
    namespace: str
    provider: str
    action_type: str
    #: what a dispatch says of itself
    given_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str | None = None
    dedup_key: str | None = None
    status: str | None = None
    starts_at: str | None = None
    ends_at: str | None = None
    #: the word of the effect, and the rule that asks for it; "allow" without a rule where none decides
    verdict: str = "allow"
    rule: str | None = None
    reason: str | None = None
    #: the condition of that rule, which held
    condition: str | None = None
    #: the silence that keeps it back, or has done so: id, comment, until, after
    silence: Mapping[str, Any] = field(default_factory=dict)
    #: the calendar by which a rule lets nothing out at its time
    interval: str | None = None
    #: set where the gate itself ends the execution or makes it wait: denied, suppressed, silenced, muted, deduplicated,
    #: throttled, scheduled, held, pending_approval; or where a chain or an event took its place once it was approved:
    #: chain_started, state_changed
    outcome: str | None = None
    #: of a deduplicated execution: the one that went out before
    of: str | None = None
    #: the approval that it waits for, or was approved by last
    approval: str | None = None
    #: what was approved: ``digest`` of the execution, ``rule`` that asked last, and those that asked ``before``
    approved: Mapping[str, Any] = field(default_factory=dict)
    #: of what waits for an approval: the rules that want one, and those whose checks it has passed
    wanted: Sequence[str] = ()
    counted: Sequence[str] = ()
    #: what it does once it is approved in place of going out: a ``chain``, a ``state_machine``, ``delay_seconds``
    onward: Mapping[str, Any] = field(default_factory=dict)
    #: the fallbacks that were asked about: no other provider takes the place of the one that was approved
    fallbacks: Sequence[str] = ()
    #: when a throttled execution may be tried again, or one that waits goes on
    until: int | None = None
    #: the provider that a rule or an open circuit breaker has replaced by ``provider``
    original_provider: str | None = None
    #: the provider whose fallback ``provider`` is
    asked_provider: str | None = None
    shadows: tuple[Shadow, ...] = ()
    problems: tuple[Problem, ...] = ()
    #: slots of a step that waits for its turn: rule → [time, the attempt that may use it]
    slots: Mapping[str, list[int]] = field(default_factory=dict)
    #: ``traceparent`` and ``tracestate``
    trace: Mapping[str, str] = field(default_factory=dict)
    #: the action id of the record that it does again
    replayed_from: str | None = None
    #: the process that waits for the end
    reply: str | None = None

    @property
    def sent_to(self) -> str | None:
        """The provider that a rule names, whether a fallback takes its place or not; None where no rule does.

        What was held back for an approval has the verdict that asked: there the providers tell. Where a fallback alone
        has replaced one, it is the one whose fallback it is.
        """
        replaced = bool(self.approved) and self.original_provider != self.asked_provider
        return (self.asked_provider or self.provider) if self.verdict == Reroute.kind or replaced else None

    def text(self) -> str:
        """The column's text."""
        return _encode({name: _plain(value) for name in _NAMES if (value := getattr(self, name))})


_NAMES = tuple(one.name for one in fields(Gate))


def of(facts: Facts, verdict: Verdict, **more: Any) -> Gate:
    """The account of a decision about an execution with these facts."""
    members: dict[str, Any] = {
        "origin": facts.origin,
        "namespace": facts.namespace,
        "provider": facts.provider,
        "action_type": facts.action_type,
        "dedup_key": facts.dedup_key,
        "fingerprint": facts.fingerprint,
        "status": facts.status,
        "starts_at": facts.starts_at,
        "ends_at": facts.ends_at,
        "verdict": verdict.kind,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "condition": verdict.condition if verdict.kind not in _AS_IT_IS or isinstance(verdict.effect, Muted) else None,
        "silence": silence_of(verdict.quiet),
        "interval": verdict.effect.interval if isinstance(verdict.effect, Muted) else None,
        "shadows": verdict.shadows,
        "problems": verdict.problems,
    }
    return Gate(**{**members, **more})


def silence_of(quiet: Quiet | None) -> dict[str, Any]:
    """The silence that keeps an execution back, as accounts and records name it."""
    if quiet is None:
        return {}
    more = {"window": True} if quiet.window else {}
    return {"id": quiet.id, "comment": quiet.comment, "until": quiet.until, "after": quiet.after, **more}


def read(text: str | None) -> Gate | None:
    """The account that a column holds; None for NULL."""
    if text is None:
        return None
    members = json.loads(text)
    members["shadows"] = tuple(Shadow(*pair) for pair in members.get("shadows", ()))
    members["problems"] = tuple(Problem(*pair) for pair in members.get("problems", ()))
    return Gate(**{name: value for name, value in members.items() if name in _NAMES})


def shown(text: str | None) -> dict[str, Any]:
    """The members by which views show the decision; none where no rule concerns the execution."""
    gate = read(text)
    if gate is None:
        return {}
    body: dict[str, Any] = {"verdict": gate.verdict, "rule": gate.rule, "reason": gate.reason}
    if gate.of is not None:
        body["equal_to"] = gate.of
    if gate.approval is not None:
        body["approval_id"] = gate.approval
    if gate.original_provider is not None:
        body |= {"original_provider": gate.original_provider, "provider": gate.provider}
    if gate.silence:
        body["silence"] = {name: gate.silence.get(name) for name in ("id", "comment")}
    if gate.interval is not None:
        body["interval"] = gate.interval
    if gate.shadows:
        body["shadows"] = [{"rule": shadow.rule, "verdict": shadow.verdict} for shadow in gate.shadows]
    if gate.problems:
        body["problems"] = [{"rule": problem.rule, "detail": problem.detail} for problem in gate.problems]
    return body


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [[getattr(item, name) for name in type(item).__slots__] for item in value]
    return value
