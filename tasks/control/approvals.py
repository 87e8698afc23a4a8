"""Decide about approvals: by ``/api``, by a link, by the older paths of executions and steps.

In order of time: whose vote it is is checked, and what is about to go out is put to the rules once more
(``tasks.control.approved``); then, in one transaction, the execution's row and the approval's are locked, the vote is
added, and where that makes the quorum the execution moves by its guarded transition. So exactly one decision wins. What
a rule has held back goes on, or waits for the approval that another rule wants; a step or an action that only asks
completes; what is rejected fails.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from config.errors import Conflict, NotFound
from gateway import gate_column
from playbooks.states import Kind, Status, WaitingFor
from store import audit
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import steps, transitions
from store.gateway import approvals
from store.records import approvals as waiting
from tasks.attempts import completion
from tasks.attempts.failure import failure
from tasks.control import approved, too_late, voting
from tasks.control.approved import Onward
from tasks.control.voting import APPROVE, REJECT, Voter
from tasks.definitions import listeners
from tasks.messages import publisher
from tasks.messages.model import Canvas
from tasks.messages.run_messages import follow_message_of
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
        raise too_late.naming(_decided(asked), asked.execution_id)
    name = _whose(voter, asked, row, decision)
    ready = asked.origin == approvals.RULE and decision == APPROVE
    onward = approved.prepared(row, asked, reply) if ready else approved.NOTHING
    vote = _Vote(
        asked=asked,
        name=name,
        via=voter.via,
        decision=decision,
        note=note,
        onward=onward,
        awaited=listeners.awaited(row.workspace_id),
    )
    try:
        return _published(db.change(lambda connection: _voted(connection, vote)))
    except Conflict as refusal:
        if refusal.code != "not_waiting":
            raise
        raise too_late.naming(refusal, asked.execution_id) from None


@dataclass(frozen=True, kw_only=True)
class _Vote:
    """A vote whose owner is checked."""

    asked: Row
    name: str
    via: str
    decision: str
    note: str
    #: what follows where it approves what a rule has held back
    onward: Onward
    #: the events that a playbook listens for
    awaited: Collection[str] = ()


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
        voting.note_refusal(voter, row.workspace_id, row.id, refusal, asked.id)
        raise


def _voted(connection: Connection, vote: _Vote) -> tuple[Decided, list[Canvas]]:
    approved.lock(connection, vote.onward)
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
    approvals.settle(connection, asked.id, status, by=vote.name, note=vote.note or None)
    messages = _moved(connection, vote, before, asked)
    after = waiting.execution(connection, before.id)
    assert after is not None
    return Decided(approval_id=asked.id, status=status, row=after), messages


def _moved(connection: Connection, vote: _Vote, before: Row, asked: Row) -> list[Canvas]:
    """Move the execution; the messages to publish after the commit."""
    if vote.decision == APPROVE and before.waiting_for == WaitingFor.GATE:
        moves = approved.carried_on(connection, vote.onward, before, asked)
        status, changes = moves.status, moves.changes
    else:
        moves = None
        status, changes = _end(before, vote)
    mark: Mapping[str, Any] = {} if moves is not None and moves.silent else _mark(before, status, vote.awaited)
    moved = transitions.transition(
        connection,
        before.id,
        status,
        actor=vote.name,
        guard="awaits gate" if before.waiting_for == WaitingFor.GATE else "awaits approval",
        parameters={"now_": db.now_ms(), "said_": moves.said if moves is not None else {}},
        **changes,
        **mark,
    )
    if moved is None:
        raise Conflict("The execution does not wait for a decision any more.", code="not_waiting")
    messages = [*moves.written(connection)] if moves is not None else list[Canvas]()
    if not mark:
        return messages
    if before.kind == Kind.STEP:
        return [*messages, follow_message_of(before)]
    return [*messages, completion.message(before.id, before.action_id)]


def _mark(row: Row, status: Status, awaited: Collection[str]) -> Mapping[str, Any]:
    """The mark to plan a step's successors, or to announce an action."""
    return steps.follow_mark() if row.kind == Kind.STEP else completion.mark(row, status, awaited)


def _end(before: Row, vote: _Vote) -> tuple[Status, dict[str, Any]]:
    """How an execution ends that does not go out, and its columns."""
    approve = vote.decision == APPROVE
    said = {"decision": "approved" if approve else "rejected", "by": vote.name, "note": vote.note}
    error = None if approve else transitions.dump(failure("rejected", vote.note or "Rejected."))
    if before.waiting_for == WaitingFor.GATE:
        gate_before = gate_column.read(before.gate)
        assert gate_before is not None
        return Status.FAILED, {"error": error, "gate": replace(gate_before, outcome=None, until=None).text()}
    output = transitions.dump({**transitions.load(before.output, {}), **said})
    return Status.COMPLETED if approve else Status.FAILED, {"output": output, "error": error}


def _published(made: tuple[Decided, list[Canvas]]) -> Decided:
    decided, messages = made
    if messages:
        publisher.publish_after_commit(*messages)
    return decided


def _decided(asked: Row) -> Conflict:
    said = asked.status if asked.status != approvals.PENDING else "over: its execution is gone"
    return Conflict(f"The approval is decided: it is {said}.", code="not_waiting")
