"""Decide about approvals: by ``/api``, by a link, by the older paths of executions and steps.

In order of time: whose vote it is is checked, and what is about to go out is put to the rules once more; then, in one
transaction, the execution's row and the approval's are locked, the vote is added, and where that makes the quorum the
execution moves by its guarded transition. So exactly one decision wins. What a rule has held back goes on to
``pending``; a step or an action that only asks completes; what is rejected fails.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from config.errors import Conflict, NotFound
from gateway import gate_column
from gateway.facts import Attempted, Facts, of_dispatch, of_trigger, trigger_key
from gateway.gate_column import Gate
from playbooks.states import Kind, Mode, Status, WaitingFor
from store import audit
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import steps, transitions
from store.gateway import approvals
from store.records import approvals as waiting
from tasks.attempts import completion
from tasks.attempts.failure import failure
from tasks.clock import recovery
from tasks.control import voting
from tasks.control.voting import APPROVE, REJECT, Voter
from tasks.definitions import listeners, revisions
from tasks.messages import publisher
from tasks.messages.backlog import backlog
from tasks.messages.model import TaskMessage
from tasks.messages.run_messages import follow_message_of
from tasks.policy import judge, questions, words
from tasks.policy.words import Ended
from tasks.runs.deciders import NotYours

__all__ = ["APPROVE", "REJECT", "Decided", "decide", "of_execution"]


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What a decision has come to: the approval's status, and its execution as it is now."""

    approval_id: str
    status: str
    row: Row

    @property
    def is_settled(self) -> bool:
        """Whether it was decided, and not one vote added."""
        return self.status != approvals.PENDING


def of_execution(execution_id: str) -> Row | None:
    """The approval that an execution waits for; None where it waits for none, or has no row."""
    return db.read_one(approvals.pending_of, execution_id)


def decide(approval_id: str, voter: Voter, decision: str, note: str = "", reply: str | None = None) -> Decided:
    """Vote on an approval.

    ``reply`` is the process that waits for the end of what is approved.

    Raises:
        NotFound: no such approval. Conflict: it is decided, expired, or this voter has voted. NotYours: the decision
        is another's.
    """
    asked = db.read_one(approvals.read, approval_id)
    row = db.read_one(waiting.execution, asked.execution_id) if asked is not None else None
    if asked is None:
        raise NotFound(f"There is no approval {approval_id!r}.")
    if row is None or asked.status != approvals.PENDING:
        raise _decided(asked)
    name = _whose(voter, asked, row, decision)
    stopped = _stopped(row) if decision == APPROVE and asked.origin == approvals.RULE else None
    vote = _Vote(
        asked=asked,
        name=name,
        via=voter.via,
        decision=decision,
        note=note,
        stopped=stopped,
        awaited=listeners.awaited(row.workspace_id),
        again_at=backlog.again_at(row.queue, db.now_ms()),
        reply=reply,
    )
    return _published(db.change(lambda connection: _voted(connection, vote)))


@dataclass(frozen=True, kw_only=True)
class _Vote:
    """A vote whose owner is checked."""

    asked: Row
    name: str
    via: str
    decision: str
    note: str
    #: how a rule ends what is approved, which wins
    stopped: Ended | None = None
    #: the events that a playbook listens for, when a message is published again, and the process that waits
    awaited: Collection[str] = ()
    again_at: int
    reply: str | None = None


def _whose(voter: Voter, asked: Row, row: Row, decision: str) -> str:
    """The name under which the vote counts.

    Raises:
        NotYours: the decision is another's.
    """
    try:
        if asked.origin == approvals.RULE:
            return voting.checked(voter, asked, decision)
        return voting.checked_as_defined(voter, row, asked.notify)
    except NotYours as refusal:
        voting.note_refusal(voter, row.workspace_id, row.id, refusal)
        raise


def _voted(connection: Connection, vote: _Vote) -> tuple[Decided, list[TaskMessage]]:
    before = waiting.locked_execution(connection, vote.asked.execution_id)
    asked = approvals.locked(connection, vote.asked.id)
    if before is None or asked is None or asked.status != approvals.PENDING:
        raise _decided(asked if asked is not None else vote.asked)
    if before.waiting_for not in (WaitingFor.APPROVAL, WaitingFor.GATE):
        raise Conflict(f"The execution does not wait for a decision: it is {before.status}.", code="not_waiting")
    if before.due_at is None or before.due_at <= db.now_ms():
        raise Conflict("The execution does not wait for a decision any more: its time is up.", code="not_waiting")
    if not approvals.vote(connection, asked.id, vote.name, vote.decision, vote.note, vote.via):
        raise Conflict("This voter has voted on it: each has one vote.", code="already_voted")
    more = {"approval": asked.id, "decision": vote.decision, "via": vote.via}
    audit.record(connection, asked.workspace_id, vote.name, "approval.voted", before.id, **more)
    votes = [one.decision for one in approvals.votes(connection, asked.id)]
    wanted = asked.quorum if vote.decision == APPROVE else asked.reject_quorum
    if votes.count(vote.decision) < wanted:
        return Decided(approval_id=asked.id, status=approvals.PENDING, row=before), []
    approve = vote.decision == APPROVE
    status = approvals.APPROVED if approve else approvals.REJECTED
    messages = _moved(connection, vote, before, asked)
    approvals.settle(connection, asked.id, status, by=vote.name, note=vote.note or None)
    after = waiting.execution(connection, before.id)
    assert after is not None
    return Decided(approval_id=asked.id, status=status, row=after), messages


def _moved(connection: Connection, vote: _Vote, before: Row, asked: Row) -> list[TaskMessage]:
    """Move the execution; the messages to publish after the commit."""
    approve = vote.decision == APPROVE
    if approve and before.waiting_for == WaitingFor.GATE and vote.stopped is None:
        return _let_go(connection, vote, before, asked)
    status, changes = _end(before, vote)
    mark = _mark(before, status, vote.awaited)
    moved = transitions.transition(
        connection,
        before.id,
        status,
        actor=vote.name,
        guard="awaits gate" if before.waiting_for == WaitingFor.GATE else "awaits approval",
        parameters={"now_": db.now_ms()},
        **changes,
        **mark,
    )
    if moved is None:
        raise Conflict("The execution does not wait for a decision any more.", code="not_waiting")
    if not mark:
        return []
    if before.kind == Kind.STEP:
        return [follow_message_of(before)]
    return [completion.message(before.id, before.action_id)]


def _mark(row: Row, status: Status, awaited: Collection[str]) -> Mapping[str, Any]:
    """The mark to plan a step's successors, or to announce an action."""
    return steps.follow_mark() if row.kind == Kind.STEP else completion.mark(row, status, awaited)


def _end(before: Row, vote: _Vote) -> tuple[Status, dict[str, Any]]:
    """How an execution ends that does not go out, and its columns."""
    approve = vote.decision == APPROVE
    if approve and vote.stopped is not None:
        status = Status.FAILED if vote.stopped.code == "denied" else Status.CANCELLED
        gate = replace(vote.stopped.gate, approval=vote.asked.id)
        over = failure(vote.stopped.code, vote.stopped.message)
        return status, {"error": transitions.dump(over), "gate": gate.text()}
    said = {"decision": "approved" if approve else "rejected", "by": vote.name, "note": vote.note}
    error = None if approve else transitions.dump(failure("rejected", vote.note or "Rejected."))
    if before.waiting_for == WaitingFor.GATE:
        gate_before = gate_column.read(before.gate)
        assert gate_before is not None
        return Status.FAILED, {"error": error, "gate": replace(gate_before, outcome=None, until=None).text()}
    output = transitions.dump({**transitions.load(before.output, {}), **said})
    return Status.COMPLETED if approve else Status.FAILED, {"output": output, "error": error}


def _let_go(connection: Connection, vote: _Vote, before: Row, asked: Row) -> list[TaskMessage]:
    """Let go what a rule has held back."""
    gate = gate_column.read(before.gate)
    assert gate is not None
    gate = questions.approved(gate, asked)
    if before.kind != Kind.STEP:
        gate = replace(gate, reply=vote.reply)
    moved = transitions.transition(
        connection,
        before.id,
        Status.PENDING,
        actor=vote.name,
        guard="awaits gate",
        parameters={"now_": db.now_ms()},
        waiting_for=None,
        publishes=1,
        due_at=vote.again_at,
        gate=gate.text(),
    )
    if moved is None:
        raise Conflict("The execution does not wait for a decision any more.", code="not_waiting")
    return [recovery.on_fair_queue(before, recovery.message_of(before, before.queue))]


def _published(made: tuple[Decided, list[TaskMessage]]) -> Decided:
    decided, messages = made
    if messages:
        publisher.publish_after_commit(*messages)
    return decided


def _decided(asked: Row) -> Conflict:
    said = asked.status if asked.status != approvals.PENDING else "over: its execution is gone"
    return Conflict(f"The approval is decided: it is {said}.", code="not_waiting")


# the rules, once more


def _stopped(row: Row) -> Ended | None:
    """How a rule that is in force now stops what is about to go out; steps are judged at their attempt.

    Raises:
        Unavailable: the database is away.
    """
    gate = gate_column.read(row.gate)
    if gate is None or row.kind == Kind.STEP or row.mode != Mode.LIVE:
        return None
    decision = _of_dispatch(row, gate) if row.kind == Kind.DISPATCH else _of_trigger(row)
    ended = None if decision is None else words.stopped(decision)
    if ended is None:
        return None
    kept = {name: getattr(gate, name) for name in ("given_id", "labels", "trace", "reply", "shadows")}
    return ended._replace(gate=replace(ended.gate, **kept))


def _of_dispatch(row: Row, gate: Gate) -> judge.Decision | None:
    given: Mapping[str, Any] = json.loads(row.input)
    provider = gate.original_provider or gate.provider
    key = (gate.origin, gate.namespace, row.workspace_id, provider, gate.action_type)

    def seen() -> Facts:
        dispatch = {**given, "namespace": gate.namespace, "tenant": row.workspace_id, "provider": provider}
        more: Any = {"origin": gate.origin, "caller": row.created_by, "execution_id": row.id}
        return of_dispatch(dispatch, at=db.now_ms(), **more)

    return judge.judge(key, seen)


def _of_trigger(row: Row) -> judge.Decision | None:
    definition = revisions.action(row.revision_id).definition
    key = trigger_key(definition, row.action_id, row.workspace_id)
    values = json.loads(row.input)

    def seen() -> Facts:
        shown = Attempted(row.workspace_id, db.now_ms(), values, row.target, row.created_by, row.id)
        return of_trigger(definition, row.action_id, shown)

    return judge.judge(key, seen)
