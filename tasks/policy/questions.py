"""What is asked of people: the approval that a rule, a step of a playbook or an action asks for.

A rule asks for an execution that it holds back. What is approved is kept as a digest; when an attempt begins, its
digest is compared, and what has changed since is asked again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from expressions import templates
from expressions.templates import TemplateError
from gateway import breakers, current
from gateway.approvals import digest as digests
from gateway.facts import ACTIONS, PLAYBOOKS, PROVIDER_PREFIX, Facts
from gateway.gate_column import Gate
from gateway.redacted import redacted
from gateway.verdicts import Chain, Check, RequireApproval, Schedule, StateMachine, Throttle, Verdict
from playbooks.states import Kind, Mode
from store.engine import db
from store.gateway import approvals
from store.gateway.approvals import Approval

#: the provider of an approval that asks for nothing to go out
PROVIDER = "approval"
#: after a notice it is looked whether it arrived, ms
LOOKED_AFTER = 60_000
_MOST_CHARACTERS = 4_096


def by_check(check: Check) -> RequireApproval | None:
    """What is asked of what this check refuses; None where it is refused for good."""
    return check.effect.approval if isinstance(check.effect, Throttle) else None


def asking(verdict: Verdict) -> dict[str, RequireApproval]:
    """Rule → what it asks, or would ask if its limit is reached."""
    found = {check.rule: effect for check in verdict.checks if (effect := by_check(check)) is not None}
    if isinstance(verdict.effect, RequireApproval):
        found[str(verdict.rule)] = verdict.effect
    return found


def about(gate: Gate, action_id: str, verdict: Verdict) -> Gate:
    """The account of an execution that is asked about, with all that an approval lets happen.

    ``action_id`` names a provider, or an action: nothing takes the place of that.
    """
    by = gate.sent_to or (gate.provider if action_id.startswith(PROVIDER_PREFIX) else None)
    others = [] if by is None else breakers.fallbacks(by, current.held().breakers)
    return replace(gate, fallbacks=others, onward=_onward(verdict))


def _onward(verdict: Verdict) -> dict[str, Any]:
    effect, rule = verdict.effect, {"rule": verdict.rule}
    if isinstance(effect, Chain):
        return {**rule, "chain": effect.chain_name}
    if isinstance(effect, StateMachine):
        fields = list(effect.fingerprint_fields)
        return {**rule, "state_machine": effect.state_machine, "fingerprint_fields": fields}
    return {**rule, "delay_seconds": effect.delay_seconds} if isinstance(effect, Schedule) else {}


def besides(gate: Gate) -> list[Any]:
    """What is approved besides what goes out, as far as there is any; the digest covers it."""
    found = {"fallbacks": list(gate.fallbacks), "onward": dict(gate.onward)}
    more = {name: value for name, value in found.items() if value}
    return [more] if more else []


def _told(gate: Gate) -> str:
    """The same in sentences, for those who decide."""
    said = []
    if "chain" in gate.onward:
        said.append(f"Approved, the chain {gate.onward['chain']!r} runs in its place.")
    elif "state_machine" in gate.onward:
        said.append(f"Approved, it moves its event in the state machine {gate.onward['state_machine']!r}.")
    elif gate.fallbacks:
        said.append(f"Where a circuit breaker is open, it goes out by {' or '.join(gate.fallbacks)} instead.")
    return "".join(f"\n{sentence}" for sentence in said)


def of_rule(
    effect: RequireApproval, rule: str, reason: str | None, facts: Facts, gate: Gate, *, execution_id: str, digest: str
) -> Approval:
    """What a rule asks about an execution that it holds back; ``gate`` is its account (``about``)."""
    now = db.now_ms()
    reminder = effect.reminder_seconds * 1000 if effect.reminder_seconds else None
    return Approval(
        id=approvals.new_id(),
        workspace_id=facts.tenant,
        namespace=facts.namespace,
        provider=facts.provider,
        action_type=facts.action_type,
        execution_id=execution_id,
        origin=approvals.RULE,
        rule=rule,
        message=_message(effect, rule, reason, facts) + _told(gate),
        digest=digest,
        requested_by=facts.caller or "",
        approvers=json.dumps(list(effect.approvers)) if effect.approvers else None,
        quorum=effect.quorum,
        reject_quorum=effect.reject_quorum,
        requester_may_approve=effect.requester_may_approve,
        on_timeout=effect.on_timeout,
        created_at=now,
        expires_at=now + effect.timeout_seconds * 1000,
        notify=effect.notify,
        notify_at=_looked_after(effect.notify, now, reminder),
        reminder_ms=reminder,
    )


def _message(effect: RequireApproval, rule: str, reason: str | None, facts: Facts) -> str:
    usual = f"{facts.action_type} by {facts.provider} needs an approval (rule {rule})."
    if not effect.message:
        return usual
    action = {**facts._asdict(), "payload": redacted(facts.payload)}
    try:
        shown = templates.render_text(effect.message, {"action": action, "rule": rule, "reason": reason or ""})
    except TemplateError:  # a field that this one lacks: the question is asked all the same
        return usual
    return shown[:_MOST_CHARACTERS]


def of_definition(row: Mapping[str, Any], terms: Mapping[str, Any], output: Any, *, expires_at: int) -> Approval:
    """What an approval step asks, or an approval action.

    ``row`` has the columns of its execution, ``terms`` are the step or the action's config. Nothing of a sandbox run
    goes out.
    """
    said, now = output if isinstance(output, Mapping) else {}, db.now_ms()
    step = row.get("type") == "approval"
    approvers: Sequence[str] = said.get("approvers") or terms.get("approvers") or ()
    notify = terms.get("notify") if row["mode"] == Mode.LIVE else None
    reminder = terms["reminder_seconds"] * 1000 if notify is not None and "reminder_seconds" in terms else None
    apart = terms.get("not_by_starter")
    usual = ACTIONS if row["kind"] == Kind.ACTION else PLAYBOOKS
    return Approval(
        id=approvals.new_id(),
        workspace_id=row["workspace_id"],
        namespace=usual,
        provider=PROVIDER,
        action_type=str(row.get("action_id") or row.get("step_id") or ""),
        execution_id=row["id"],
        origin=approvals.STEP if step else approvals.ACTION,
        message=str(said.get("message") or "")[:_MOST_CHARACTERS],
        requested_by=row["created_by"],
        approvers=json.dumps(list(approvers)) if approvers else None,
        quorum=terms.get("quorum", 1),
        reject_quorum=terms.get("reject_quorum", 1),
        requester_may_approve=None if apart is None else not apart,
        created_at=now,
        expires_at=expires_at,
        notify=notify,
        notify_at=_looked_after(notify, now, reminder),
        reminder_ms=reminder,
    )


def _looked_after(notify: str | None, now: int, reminder: int | None) -> int | None:
    """When tick looks after the first notice."""
    return None if notify is None else now + min(reminder or LOOKED_AFTER, LOOKED_AFTER)


def again(earlier: Any, digest: str) -> Approval:
    """The same question about what has changed since it was approved."""
    now = db.now_ms()
    kept = {name: getattr(earlier, name) for name in _KEPT}
    return Approval(
        **kept,
        id=approvals.new_id(),
        digest=digest,
        created_at=now,
        expires_at=now + (earlier.expires_at - earlier.created_at),
        notify_at=_looked_after(earlier.notify, now, earlier.reminder_ms),
    )


_KEPT = (
    "workspace_id",
    "namespace",
    "provider",
    "action_type",
    "execution_id",
    "origin",
    "rule",
    "message",
    "requested_by",
    "approvers",
    "quorum",
    "reject_quorum",
    "requester_may_approve",
    "on_timeout",
    "notify",
    "reminder_ms",
)


def digest_of(row: Mapping[str, Any], gate: Gate) -> str:
    """The digest of a triggered action or a dispatch, from the columns of its row."""
    given = json.loads(row["input"])
    provider = gate.original_provider or gate.provider
    return digests.of(row["revision_id"], provider, gate.action_type, given, row.get("target"), *besides(gate))


def waiting(gate: Gate, approval: Approval) -> Gate:
    """The account of an execution that waits for an approval."""
    return replace(
        gate,
        verdict=RequireApproval.kind,
        rule=approval.rule,
        outcome="pending_approval",
        approval=approval.id,
        until=approval.expires_at,
    )


def approved(gate: Gate, row: Any) -> Gate:
    """The account of an execution that is approved; ``row`` is the approval."""
    said: dict[str, Any] = {"digest": row.digest, "rule": row.rule or ""}
    if gate.approved.get("digest") == row.digest:  # another rule has asked about the same before
        said["before"] = [*gate.approved.get("before", ()), gate.approved["rule"]]
    return replace(gate, outcome=None, until=None, approval=row.id, approved=said)
