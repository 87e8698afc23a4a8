"""What people do to executions: cancel them, pause and resume them, try them again, decide about those that wait."""

import time
from typing import Any

from config.errors import Conflict, NotFound
from config.settings import settings
from expressions.suggestions import did_you_mean
from store.access import Caller
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import ending, recovery, run_listing, runs, steps, transitions
from store.executions.transitions import TERMINAL
from tasks.clock.run_recovery import follow_ring
from tasks.definitions import revisions
from tasks.entrypoints import completions
from tasks.intake.run_start import begin_ring, row_id
from tasks.messages import publisher
from tasks.messages.canvas import Ring
from tasks.runs import deciders, stop

#: a cancel waits this long for the worker to let go before it answers, seconds. Longer than
#: ``tasks.attempts.lease.FRESH``: a worker that has not begun its effect by then looks first and finds the cancel.
SETTLE = 0.7

_POLL = 0.02
#: counted and not measured: while the whole machine stands still no worker gets any further either
_LOOKS = round(SETTLE / _POLL)


def cancel(caller: Caller, execution_id: str) -> Row:
    """Cancel an action's execution; when this returns no effect of it starts any more.

    A call under way is abandoned within seconds; what it has done stays done.

    Raises:
        NotFound: no such execution. Conflict: it has ended already, or is a step of a run.
    """

    def end(connection: Connection) -> tuple[Row, Any]:
        before = transitions.get(connection, caller.workspace_id, execution_id)
        if before.kind != "action":
            raise Conflict(f"This is part of the run {before.run_id or before.id!r}; cancel that.", code="part_of_run")
        return before, transitions.transition(connection, execution_id, "cancelled", actor=caller.key_id)

    before, moved = db.change(end)
    if moved is None:
        raise _ended(before)
    publisher.revoke(execution_id)
    for _ in range(_LOOKS):
        with db.read() as connection:
            row = transitions.get(connection, caller.workspace_id, execution_id)
        if row.owner is None:
            break
        time.sleep(_POLL)
    return row


def cancel_run(caller: Caller, run_id: str) -> Row:
    """Cancel a run, and the runs it has started; when this returns no step of it starts any more.

    Completed steps stay completed; calls under way are abandoned within seconds.

    Raises:
        NotFound: no such run. Conflict: it has ended already.
    """

    def end(connection: Connection) -> tuple[Row, bool]:
        before = runs.get(connection, caller.workspace_id, run_id)
        over = steps.End(status="cancelled", parent_id=before.parent_id, clears=True)
        ended = steps.end_run(connection, run_id, over, caller.key_id)
        if ended:
            ending.end_below(connection, [run_id], caller.key_id)
        return before, ended

    before, ended = db.change(end)
    if not ended:
        raise _ended(before)
    concerned = stop.end_steps([run_id], caller.key_id)
    concerned |= stop.end_steps([run_id], caller.key_id)  # what was written while the first look was taken
    for _ in range(_LOOKS):
        with db.read() as connection:
            held = steps.held(connection, concerned)
        if not held:
            break
        time.sleep(_POLL)
    with db.read() as connection:
        return runs.get(connection, caller.workspace_id, run_id)


def pause(caller: Caller, run_id: str) -> Row:
    """Let no further step begin of a run and of those it has started.

    Steps under way go on to their end, and delays run on.

    Raises:
        NotFound: no such run. Conflict: it is paused or has ended.
    """

    def rest(connection: Connection) -> Row:
        before = runs.get(connection, caller.workspace_id, run_id)
        if before.status in TERMINAL:
            raise _ended(before)
        if before.mode == "dry_run" or not _paused(connection, before, caller):
            raise Conflict(f"The run cannot be paused: it is {before.status}.", code="not_running")
        return runs.get(connection, caller.workspace_id, run_id)

    return db.change(rest)


def _paused(connection: Connection, row: Row, caller: Caller) -> bool:
    changes: dict[str, Any] = {"waiting_for": "operator", "due_at": row.expires_at}
    moved = transitions.transition(connection, row.id, "paused", actor=caller.key_id, **changes)
    if moved is None:
        return False
    for child in runs.children(connection, row.id):
        _paused(connection, child, caller)
    return True


def resume(caller: Caller, run_id: str) -> Row:
    """Let a paused run go on, and those it has started.

    Raises:
        NotFound: no such run. Conflict: it is not paused.
    """

    def go_on(connection: Connection) -> tuple[Row, list[Ring]]:
        before, rings = runs.get(connection, caller.workspace_id, run_id), list[Ring]()
        if before.status != "paused":
            raise Conflict(_not_paused(connection, before), code="not_paused")
        _resumed(connection, before, caller, rings)
        return runs.get(connection, caller.workspace_id, run_id), rings

    after, rings = db.change(go_on)
    publisher.ring(*rings)
    return after


def _not_paused(connection: Connection, row: Row) -> str:
    if run_listing.shown_status(connection, row) == "paused":
        return "The run was not paused by anyone: it waits for a delay or an approval."
    return f"The run is not paused: it is {row.status}."


def _resumed(connection: Connection, row: Row, caller: Caller, rings: list[Ring]) -> None:
    begun = row.started_at is not None
    due_at = min(row.expires_at, db.now_ms() + (runs.PATROL if begun else settings().lease_seconds * 1000))
    to = "running" if begun else "pending"
    transitions.transition(connection, row.id, to, actor=caller.key_id, waiting_for=None, due_at=due_at)
    recovery.publish_now(connection, row.id)
    if not begun:
        rings.append(begin_ring(row.id, row.action_id, row.queue))
    for child in runs.children(connection, row.id):
        if child.status == "paused":
            _resumed(connection, child, caller, rings)


def decide(caller: Caller, execution_id: str, *, approve: bool, note: str) -> Row:
    """Approve or reject what waits for it; exactly one decision wins.

    Raises:
        NotFound: no such execution. Conflict: it does not wait for a decision (any more). Forbidden: somebody else
        has to decide (``tasks.runs.deciders``).
    """
    decision = {"decision": "approved" if approve else "rejected", "by": caller.key_id, "note": note}
    error = {"code": "rejected", "message": note or "Rejected.", "outcome_unknown": False}

    def end(connection: Connection) -> tuple[Row, dict[str, Any]]:
        before = transitions.get(connection, caller.workspace_id, execution_id)
        if before.waiting_for == "approval":
            deciders.check(connection, caller, before)
        mark = _mark(before, approve=approve)
        moved = transitions.transition(
            connection,
            execution_id,
            "completed" if approve else "failed",
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

    try:
        after, mark = db.change(end)
    except deciders.NotYours as refusal:
        deciders.note_refusal(caller, execution_id, refusal)
        raise
    if mark:
        publisher.ring(follow_ring(after) if after.kind == "step" else completions.ring(after.id, after.action_id))
    return after


def _not_waiting(row: Row) -> str:
    if row.waiting_for == "approval":
        return "The execution does not wait for a decision any more: its time is up."
    return f"The execution does not wait for a decision: it is {row.status}."


def _mark(row: Row, *, approve: bool) -> dict[str, Any]:
    """What remains to be done after a decision: to plan what follows a step, or to tell who listens for an action."""
    if row.kind == "step":
        return steps.follow_mark()
    return completions.mark(row, "completed") if approve else {}


def decide_step(
    caller: Caller, run_id: str, step_id: str, *, approve: bool, note: str, iteration: str | None = None
) -> Row:
    """Approve or reject a step of a run; without ``iteration`` the one pass of it that waits.

    Raises:
        NotFound: no such run or step. Conflict: it is no approval, or does not wait for a decision (any more).
    """
    with db.read() as connection:
        run = runs.get(connection, caller.workspace_id, run_id)
    _check_approval(run, step_id)
    with db.read() as connection:
        wanted = iteration if iteration is not None else _waiting_pass(connection, run, step_id)
    if run.status in TERMINAL:
        raise _ended(run)
    return decide(caller, row_id(run_id, step_id, wanted), approve=approve, note=note)


def _check_approval(run: Row, step_id: str) -> None:
    _, plan = revisions.playbook(run.revision_id)
    node = plan.nodes.get(step_id)
    if node is None:
        raise NotFound(f"The playbook has no step {step_id!r}{did_you_mean(step_id, plan.nodes) or '.'}")
    if node.type != "approval":
        raise Conflict(f"The step {step_id!r} is no approval: it is of type {node.type}.", code="no_approval")


def _waiting_pass(connection: Connection, run: Row, step_id: str) -> str:
    passes = [row for row in steps.of_run(connection, run.id) if row.step_id == step_id]
    if not passes:
        raise NotFound(f"The run {run.id!r} has not come to a step {step_id!r}.")
    waiting = [row for row in passes if row.waiting_for == "approval"]
    return str((waiting or passes)[-1].iteration)


def _ended(row: Row) -> Conflict:
    return Conflict(f"The execution has ended already: it is {row.status}.", code="already_ended")
