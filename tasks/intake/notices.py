"""Notices: what makes an approval known, as dispatches of its tenant with the origin ``approval``.

In order of time: a notice is prepared outside of any transaction, where providers are looked up and the rules are
asked; it is accepted in the transaction that writes the approval, like any other dispatch; the worker that sends it
fills in the links (``tasks.attempts.notices``), so that no row, record or log has them. A notice that cannot be
prepared never keeps an execution from waiting: the approval notes why, and tick tries again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from config.errors import CallerError
from config.times import stamp
from gateway.gate_column import Gate
from gateway.outcomes import REDACTED, PendingApproval
from gateway.redacted import redacted
from gateway.requests import Dispatch
from gateway.rules.approval_checks import ROLE
from gateway.rules.written import NEVER_ASKED
from gateway.verdicts import RequireApproval
from playbooks.definitions.events import APPROVAL_NOTICE, APPROVAL_REQUESTED
from playbooks.states import Mode, Status, WaitingFor
from store import audit
from store.engine.db import Connection
from store.executions import announcements, transitions
from store.executions.rows import NewRow
from store.gateway import approvals
from store.gateway.approvals import Approval
from tasks.attempts import approvals as attempt_approvals
from tasks.definitions import listeners
from tasks.intake import holds
from tasks.intake.dispatches import gate as dispatch_gate
from tasks.intake.dispatches.gate import Decided, Ready
from tasks.intake.dispatches.rows import Asked, Providers, system
from tasks.messages.announcement_messages import announcement
from tasks.messages.model import Canvas
from tasks.policy import approval_links, questions
from tasks.policy.judge import Decision

#: action types of notices
REQUEST, REMINDER = "approval_request", "approval_reminder"
#: before a notice that could not be sent is tried again, ms: doubled each time, up to the longest
SOONEST, LONGEST = 5_000, 600_000


@dataclass(frozen=True, kw_only=True)
class Question:
    """An approval to write, with its notices ready."""

    approval: Approval
    notices: Sequence[Ready] = ()
    #: whether a playbook listens for it
    announces: bool = False
    #: the account of the execution that waits, as it was asked about
    gate: Gate | None = None


def recipients(row: Any) -> list[str]:
    """The recipients of notices: each approver by name, else the channel as one."""
    named = approvals.approvers_of(row)
    people = list(dict.fromkeys(name for name in named if not name.startswith(ROLE)))
    return people if people and not any(name.startswith(ROLE) for name in named) else [*people, f"notify:{row.notify}"]


def asking(ready: Ready) -> Ready:
    """A dispatch with the approval that a rule asks for, if one does."""
    row = ready.held or (ready.row if ready.chain is None else None)
    if ready.facts is None or row is None or ready.gate is None or not questions.asking(ready.verdict):
        return ready
    if ready.asked.origin in NEVER_ASKED:
        return ready
    return replace(ready, questions=asked_by(Decision(ready.facts, ready.verdict), row, ready.gate))


def asked(connection: Connection, ready: Ready, decided: Decided) -> Decided:
    """What is written of a dispatch that waits for an approval."""
    if decided.question is None or decided.question.gate is None:
        return decided
    approval, messages = written(connection, decided.question)
    row = waits(decided.rows[0], decided.question.gate, approval)
    said = outcome(approval, ready.asked.caller.key_id)
    return Decided(subject=decided.subject, outcome=said, rows=[row], messages=messages)


def asked_by(decision: Decision, row: Mapping[str, Any], gate: Gate) -> dict[str, Question]:
    """What the rules ask about an execution that is about to be accepted, by rule."""
    found, verdict = {}, decision.verdict
    asks, passed = questions.asking(verdict), [check.rule for check in verdict.checks]
    gate = questions.about(gate, row["action_id"], verdict)
    for rule, effect in asks.items():
        # a limit that asks undoes what the other checks have counted; the last rule asks about what passes them all
        account = replace(gate, wanted=list(asks)) if rule in passed else replace(gate, counted=passed)
        found[rule] = question(decision, row, account, rule, effect)
    return found


def question(decision: Decision, row: Mapping[str, Any], gate: Gate, rule: str, effect: RequireApproval) -> Question:
    """What a rule asks about an execution with these columns and this account."""
    verdict = decision.verdict
    reason = next((check.reason for check in verdict.checks if check.rule == rule), verdict.reason)
    facts = decision.facts._replace(caller=decision.facts.caller or row["created_by"])
    digest = questions.digest_of(row, gate)
    new = questions.of_rule(effect, rule, reason, facts, gate, execution_id=row["id"], digest=digest)
    return replace(announced(prepared(new, decision.facts.payload), Mode.LIVE), gate=gate)


def announced(question: Question, mode: str, before: str | None = None) -> Question:
    """A question that is announced if a playbook listens; ``before`` is the event that has led to it.

    What a notice has led to sends none: notices would follow each other without end.
    """
    new = question.approval
    if before == APPROVAL_NOTICE and new.notify is not None:
        silent = replace(new, notify=None, notify_at=None, reminder_ms=None, notice_error=_NO_CIRCLE)
        question = Question(approval=silent)
    return replace(question, announces=listeners.emits(new.workspace_id, mode, APPROVAL_REQUESTED, before))


_NO_CIRCLE = "A notice of another approval has led to this one: it sends none."


def of_attempt(new: Approval, payload: Any, mode: Mode, before: str | None) -> attempt_approvals.Writing:
    """What writes the approval that an attempt asks for."""
    question = announced(prepared(new, payload), mode, before)
    return lambda connection: written(connection, question)[1]


def install() -> None:
    """Have the attempts of this process ask with notices."""
    attempt_approvals.install(of_attempt)


def prepared(new: Approval, payload: Any) -> Question:
    """An approval with its notices; where they cannot be prepared, with the reason.

    Raises:
        Unavailable: the database is away.
    """
    if new.notify is None:
        return Question(approval=new)
    try:
        notices = ready(new, payload)
    except CallerError as refusal:
        if refusal.retryable:  # the database is away
            raise
        return Question(approval=replace(new, notice_error=str(refusal), tries=1, notify_at=new.created_at + SOONEST))
    return Question(approval=new, notices=notices)


def ready(row: Any, payload: Any, number: int = 0) -> list[Ready]:
    """The notices of an approval, ready to be accepted; ``number`` counts reminders.

    Raises:
        CallerError: they cannot be sent.
    """
    providers = Providers()
    return [
        dispatch_gate.prepared(
            providers,
            Asked(
                caller=system(row.workspace_id),
                dispatch=Dispatch(
                    namespace=row.namespace,
                    tenant=row.workspace_id,
                    provider=str(row.notify),
                    action_type=REMINDER if number else REQUEST,
                    payload=_payload(row, payload, recipient, number),
                    labels={"approval": row.id, **({"rule": row.rule} if row.rule else {})},
                ),
                origin="approval",
            ),
        )
        for recipient in recipients(row)
    ]


def _payload(row: Any, payload: Any, recipient: str, number: int) -> dict[str, Any]:
    what = f"{row.action_type} by {row.provider}" if row.origin == approvals.RULE else f"{row.origin} {row.action_type}"
    members: dict[str, Any] = {
        "approval_id": row.id,
        "subject": f"{'Reminder: ' if number else ''}Approval needed: {what} ({row.workspace_id})",
        "message": row.message,
        "text": row.message,
        "rule": row.rule,
        "namespace": row.namespace,
        "tenant": row.workspace_id,
        "provider": row.provider,
        "action_type": row.action_type,
        "requested_by": row.requested_by,
        "expires_at": stamp(row.expires_at),
        "recipient": recipient,
        "reminder": number,
        "payload": redacted(payload),
        "approve_url": REDACTED,
        "reject_url": REDACTED,
    }
    return {**members, "to": recipient} if "@" in recipient else members


def written(connection: Connection, question: Question) -> tuple[Approval, list[Canvas]]:
    """Write an approval, accept its notices, announce it; the messages are published after the commit."""
    rows, messages = sent(connection, question.notices)
    new, ids = question.approval, [row["id"] for row in rows]
    if ids:
        new = replace(new, notices=1, notice_ids=json.dumps(ids))
    elif question.notices:
        new = replace(new, notice_error="A rule has stopped the notice.", tries=1, notify_at=new.created_at + SOONEST)
    approvals.add(connection, new)
    if question.announces:
        announcements.add(connection, new.workspace_id, APPROVAL_REQUESTED, new.execution_id, new.id)
        messages.append(announcement(new.execution_id, new.action_type))
    return new, messages


def sent(connection: Connection, notices: Sequence[Ready]) -> tuple[list[NewRow], list[Canvas]]:
    """Accept notices; their rows and first messages."""
    rows, messages = list[NewRow](), list[Canvas]()
    holds.begin(connection, ((one.asked.dispatch.tenant, one.verdict) for one in notices))
    for one in notices:
        made = dispatch_gate.carried_out(connection, one)
        rows += made.rows
        messages += made.messages
    if rows:
        transitions.add(connection, rows, audit.SYSTEM)
    return rows, messages


def waits(row: NewRow, gate: Gate, approval: Approval) -> NewRow:
    """A row that is accepted as waiting for an approval."""
    held: NewRow = {
        "status": Status.WAITING,
        "waiting_for": WaitingFor.GATE,
        "due_at": approval.expires_at,
        "started_at": row.get("created_at"),
        "publishes": 0,
    }
    return {**row, **held, "gate": questions.waiting(gate, approval).text()}


def outcome(approval: Any, requester: str | None) -> PendingApproval:
    """What is known of an execution that waits; the links stand for its requester."""
    urls = {} if requester is None else approval_links.urls(approval, requester)
    return PendingApproval(approval.id, stamp(approval.expires_at), **urls, notification_sent=approval.notices > 0)
