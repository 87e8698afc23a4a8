"""A step that a rule holds back until it is approved.

Rules are asked at each attempt. One that asks for an approval makes the step wait, unless exactly this was approved
before: the account in its row has the digest of what was. What differs by then is asked again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from config.types import Json
from gateway.approvals import digest as digests
from gateway.gate_column import Gate
from gateway.rules.decide import ALLOWED
from gateway.verdicts import Check, Quiet, RequireApproval, Schedule, Verdict
from playbooks.states import Status, WaitingFor
from providers.base import Abandoned
from store.engine.db import Connection
from store.executions.rows import NewRow
from store.executions.run_transition import StepEnded, Written
from tasks.attempts.conclude import Ending
from tasks.attempts.patience import commit_with_patience, with_patience
from tasks.intake import holds, notices
from tasks.intake.holds import Kept
from tasks.intake.notices import Question
from tasks.messages.model import Canvas
from tasks.policy import questions, words
from tasks.policy.judge import Decision


def about(gate: Gate, action_id: str, verdict: Verdict) -> Gate:
    """The account of an attempt with all that an approval lets happen; its delay is waited for before."""
    return questions.about(gate, action_id, ALLOWED if isinstance(verdict.effect, Schedule) else verdict)


def digest_of(decision: Decision, gate: Gate, revision_id: str, shown: Json, target: str | None) -> str:
    """The digest of what an attempt with this account is to do; ``shown`` are its values, secrets masked."""
    seen = decision.facts
    return digests.of(revision_id, seen.provider, seen.action_type, shown, target, *questions.besides(gate))


def is_approved(gate: Gate | None, digest: str, rule: str) -> bool:
    """Whether what this rule asks about was approved exactly so."""
    if gate is None or gate.approved.get("digest") != digest:
        return False
    return rule in (gate.approved["rule"], *gate.approved.get("before", ()))


def left(checks: Collection[Check], gate: Gate | None, digest: str) -> tuple[Check, ...]:
    """The checks to make: not that whose refusal was overruled by an approval."""
    return tuple(
        check for check in checks if questions.by_check(check) is None or not is_approved(gate, digest, check.rule)
    )


def asked(
    row: Any, decision: Decision, effect: RequireApproval, rule: str, reason: str | None, gate: Gate, digest: str
) -> tuple[Gate, Ending, Question]:
    """How an attempt ends that has to be approved first, its account, and the question.

    Raises:
        Abandoned: the database stayed away.
    """
    new = questions.of_rule(effect, rule, reason, decision.facts, gate, execution_id=row.id, digest=digest)
    question = with_patience(lambda: notices.prepared(new, decision.facts.payload))
    if question is None:
        raise Abandoned
    gate = replace(questions.waiting(gate, new), slots=gate.slots)
    return gate, Ending(Status.WAITING, waiting_for=WaitingFor.GATE, asks=new), question


def held(row: Any, decision: Decision, quiet: Quiet, gate: Gate) -> tuple[int | None, Gate]:
    """Until when a silence holds an attempt (ms), and its account; None where it holds no more of them.

    Raises:
        Abandoned: the database stayed away.
    """

    def change(connection: Connection) -> tuple[Kept | None]:
        return (holds.kept(connection, decision.verdict, row.workspace_id, row.id),)

    found = commit_with_patience(change, single=False, at=quiet.id)
    if found is None:
        raise Abandoned
    [kept] = found
    if kept is None or kept.at is None:
        return None, replace(words.silenced(decision, quiet).gate, slots=gate.slots)
    return kept.at, replace(gate, outcome="held", until=kept.at)


def of_step(
    row: Mapping[str, Any], terms: Mapping[str, Any], output: Any, payload: Any = None, *, later: bool = False
) -> Question:
    """What an approval step asks, or a step with an approval action; ``row`` are its columns.

    ``later`` leaves its notices to tick.

    Raises:
        Unavailable: the database is away.
    """
    new = questions.of_definition(row, terms, output, expires_at=row["due_at"])
    if later and new.notify is not None:
        return Question(approval=replace(new, notify_at=new.created_at))
    return notices.prepared(new, payload or {})


def write(
    connection: Connection, made: Written, cause: Any, asking: Collection[Question], rows: Sequence[NewRow]
) -> list[Canvas]:
    """Write what a transition asks, in its transaction; the messages to publish after the commit.

    ``rows`` are the steps that it begins; they are not there where the run is over. An attempt that waits is.
    """
    messages: list[Canvas] = []
    own = cause.row_id if isinstance(cause, StepEnded) else None
    until = {row["id"]: row.get("due_at") for row in rows}
    for question in asking:
        approval = question.approval
        if not made.goes_on and approval.execution_id != own:
            continue
        # its row has been moved to the time at which it begins
        expires_at = until.get(approval.execution_id) or approval.expires_at
        moved = replace(question, approval=replace(approval, expires_at=expires_at))
        messages += notices.written(connection, moved)[1]
    return messages
