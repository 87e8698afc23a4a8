"""Decide on executions that wait for an approval."""

from collections.abc import Collection, Mapping
from typing import Any

from config.errors import Conflict, NotFound
from expressions.suggestions import did_you_mean
from playbooks.states import Kind, Status, WaitingFor
from store.access import Caller
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import runs, steps, transitions
from store.executions.transitions import TERMINAL
from tasks.attempts import completion
from tasks.attempts.failure import failure
from tasks.control import approvals, too_late, voting
from tasks.control.cancel import has_ended
from tasks.definitions import listeners, revisions
from tasks.messages import publisher
from tasks.messages.run_messages import follow_message_of, row_id
from tasks.runs.deciders import NotYours


def decide(caller: Caller, execution_id: str, *, approve: bool, note: str) -> Row:
    """Approve or reject an execution that waits for it.

    Exactly one decision wins.

    Raises:
        NotFound: no such execution. Conflict: it does not wait for a decision (any more). Forbidden: the decision
        is another's (``tasks.runs.deciders``).
    """
    row = db.read_one(transitions.get, caller.workspace_id, execution_id)
    pending = approvals.of_execution(row.id) if row.status == Status.WAITING else None
    if pending is not None:
        choice = approvals.APPROVE if approve else approvals.REJECT
        return approvals.decide(pending.id, voting.by_caller(caller), choice, note).row  # which names who was first
    try:
        return _without_row(caller, execution_id, approve=approve, note=note)
    except Conflict as refusal:
        raise too_late.naming(refusal, execution_id) from None


def _without_row(caller: Caller, execution_id: str, *, approve: bool, note: str) -> Row:
    """Decide about an execution that a process of the release before has made wait."""
    decision = {"decision": "approved" if approve else "rejected", "by": caller.key_id, "note": note}
    error = failure("rejected", note or "Rejected.")
    asked = db.read_one(transitions.get, caller.workspace_id, execution_id)
    if asked.waiting_for == WaitingFor.APPROVAL:
        _check(caller, asked)
    awaited = listeners.awaited(caller.workspace_id)

    def end(connection: Connection) -> tuple[Row, Mapping[str, Any]]:
        before = transitions.get(connection, caller.workspace_id, execution_id)
        if asked.waiting_for != WaitingFor.APPROVAL and before.waiting_for == WaitingFor.APPROVAL:
            # it waits only since: whose decision it is was not asked
            raise Conflict(_not_waiting(asked), code="not_waiting")
        mark = _mark(before, awaited, approve=approve)
        moved = transitions.transition(
            connection,
            execution_id,
            Status.COMPLETED if approve else Status.FAILED,
            actor=caller.key_id,
            guard="awaits approval",
            parameters={"now_": db.now_ms()},
            output=transitions.dump({**transitions.load(before.output, {}), **decision}),
            error=None if approve else transitions.dump(error),
            **mark,
        )
        if moved is None:
            raise Conflict(_not_waiting(before), code="not_waiting")
        return transitions.get(connection, caller.workspace_id, execution_id), mark

    after, mark = db.change(end)
    if mark:
        publisher.publish_after_commit(
            follow_message_of(after) if after.kind == Kind.STEP else completion.message(after.id, after.action_id)
        )
    return after


def _check(caller: Caller, row: Row) -> None:
    voter = voting.by_caller(caller)
    try:
        voting.checked_as_defined(voter, row)
    except NotYours as refusal:
        voting.note_refusal(voter, row.workspace_id, row.id, refusal)
        raise


def _not_waiting(row: Row) -> str:
    if row.waiting_for == WaitingFor.APPROVAL:
        return "The execution does not wait for a decision any more: its time is up."
    return f"The execution does not wait for a decision: it is {row.status}."


def _mark(row: Row, awaited: Collection[str], *, approve: bool) -> Mapping[str, Any]:
    """The mark to plan a step's successors, or to announce an action."""
    if row.kind == Kind.STEP:
        return steps.follow_mark()
    return completion.mark(row, Status.COMPLETED if approve else Status.FAILED, awaited)


def decide_step(
    caller: Caller, run_id: str, step_id: str, *, approve: bool, note: str, iteration: str | None = None
) -> Row:
    """Approve or reject a step of a run.

    Without ``iteration`` it is the one that waits.

    Raises:
        NotFound: no such run or step. Conflict: it is no approval, or does not wait for a decision (any more).
    """
    with db.read() as connection:
        run = runs.get(connection, caller.workspace_id, run_id)
    _check_approval(run, step_id)
    with db.read() as connection:
        wanted = iteration if iteration is not None else _waiting_iteration(connection, run, step_id)
    if run.status in TERMINAL:
        raise too_late.naming(has_ended(run), row_id(run_id, step_id, wanted))
    return decide(caller, row_id(run_id, step_id, wanted), approve=approve, note=note)


def _check_approval(run: Row, step_id: str) -> None:
    _, plan = revisions.playbook(run.revision_id)
    node = plan.nodes.get(step_id)
    if node is None:
        raise NotFound(f"The playbook has no step {step_id!r}{did_you_mean(step_id, plan.nodes) or '.'}")
    if node.type != "approval":
        raise Conflict(f"The step {step_id!r} is no approval: it is of type {node.type}.", code="no_approval")


def _waiting_iteration(connection: Connection, run: Row, step_id: str) -> str:
    iterations = [row for row in steps.of_run(connection, run.id) if row.step_id == step_id]
    if not iterations:
        raise NotFound(f"The run {run.id!r} has not come to a step {step_id!r}.")
    waiting = [row for row in iterations if row.waiting_for == WaitingFor.APPROVAL]
    return str((waiting or iterations)[-1].iteration)
