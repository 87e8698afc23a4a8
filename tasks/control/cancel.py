"""Cancel an execution or a run."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from config.errors import Conflict
from playbooks.definitions.events import PLAYBOOK_CANCELLED
from playbooks.states import Kind, Status
from store import audit
from store.access import Caller
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import ending, runs, steps, transitions
from tasks.messages import publisher
from tasks.messages.announcement_messages import announcement
from tasks.messages.model import Canvas
from tasks.runs import stop
from tasks.runs.run import ends_of_row

#: a cancel waits this long for the worker to release the row before it answers, seconds. Longer than
#: ``tasks.attempts.lease.FRESH``: a worker that has not begun its effect by then checks first and finds the cancel.
SETTLE = 0.7

_POLL = 0.02
#: counted and not timed: while the whole machine stands still no worker gets any further either
_LOOKS = round(SETTLE / _POLL)


@dataclass
class Cancelled:
    """What was cancelled in a transaction, and what follows its commit."""

    executions: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    messages: list[Canvas] = field(default_factory=list)

    def add(self, other: "Cancelled") -> None:
        """Add what the same transaction has cancelled besides."""
        self.executions += other.executions
        self.runs += other.runs
        self.messages += other.messages

    def follow(self) -> None:
        """Abandon what is under way; where this is not done, the workers find out by themselves."""
        for execution_id in self.executions:
            publisher.revoke(execution_id)
        if self.messages:
            publisher.publish_after_commit(*self.messages)
        if self.runs:
            stop.end_steps(self.runs, audit.SYSTEM)


def in_place(connection: Connection, rows: Sequence[Row], actor: str) -> Cancelled:
    """Cancel executions and runs in a transaction that accepts another one in their place."""
    done = Cancelled()
    for row in rows:
        if row.kind in (Kind.ACTION, Kind.DISPATCH):
            if transitions.transition(connection, row.id, Status.CANCELLED, actor=actor) is not None:
                done.executions.append(row.id)
        elif row.kind == Kind.PLAYBOOK:
            before, ended, below = _end_run(connection, row.workspace_id, row.id, actor)
            if ended:
                done.runs += [row.id, *below]
            if ended and PLAYBOOK_CANCELLED in ends_of_row(before, connection):
                done.messages.append(announcement(row.id, before.action_id))
    return done


def _end_run(connection: Connection, workspace_id: str, run_id: str, actor: str) -> tuple[Row, bool, list[str]]:
    """End a run and those that it has started: as it was, whether it was ended now, and the ids of those."""
    before = runs.get(connection, workspace_id, run_id)
    announces = ends_of_row(before, connection)
    over = steps.End(status=Status.CANCELLED, parent_id=before.parent_id, clears=True, announces=announces)
    ended = steps.end_run(connection, run_id, over, actor)
    return before, ended, ending.end_below(connection, [run_id], actor) if ended else []


def cancel(caller: Caller, execution_id: str) -> Row:
    """Cancel an execution of an action, or a dispatch; no effect of it begins after the return.

    A call under way is abandoned within seconds; its effects so far remain.

    Raises:
        NotFound: no such execution. Conflict: it has ended already, or is a step of a run.
    """

    def end(connection: Connection) -> tuple[Row, Any]:
        before = transitions.get(connection, caller.workspace_id, execution_id)
        if before.kind not in (Kind.ACTION, Kind.DISPATCH):
            raise Conflict(f"This is part of the run {before.run_id or before.id!r}; cancel that.", code="part_of_run")
        return before, transitions.transition(connection, execution_id, Status.CANCELLED, actor=caller.key_id)

    before, moved = db.change(end)
    if moved is None:
        raise has_ended(before)
    publisher.revoke(execution_id)
    for _ in range(_LOOKS):
        with db.read() as connection:
            row = transitions.get(connection, caller.workspace_id, execution_id)
        if row.owner is None:
            break
        time.sleep(_POLL)
    return row


def cancel_run(caller: Caller, run_id: str) -> Row:
    """Cancel a run and the runs it has started.

    No step begins after the return.

    Completed steps stay completed; calls under way are abandoned within seconds.

    Raises:
        NotFound: no such run. Conflict: it has ended already.
    """
    before, ended, below = db.change(
        lambda connection: _end_run(connection, caller.workspace_id, run_id, caller.key_id)
    )
    if not ended:
        raise has_ended(before)
    if PLAYBOOK_CANCELLED in ends_of_row(before):
        publisher.publish_after_commit(announcement(run_id, before.action_id))
    concerned = stop.end_steps([run_id, *below], caller.key_id)
    concerned |= stop.end_steps([*concerned], caller.key_id)  # those written during the first call
    for _ in range(_LOOKS):
        with db.read() as connection:
            held = steps.held(connection, concerned)
        if not held:
            break
        time.sleep(_POLL)
    with db.read() as connection:
        return runs.get(connection, caller.workspace_id, run_id)


def has_ended(row: Row) -> Conflict:
    """The error for an execution that has ended."""
    return Conflict(f"The execution has ended already: it is {row.status}.", code="already_ended")
