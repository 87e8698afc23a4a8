"""Cancel an execution or a run."""

import time
from typing import Any

from config.errors import Conflict
from playbooks.definitions.events import PLAYBOOK_CANCELLED
from playbooks.states import Kind, Status
from store.access import Caller
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import ending, runs, steps, transitions
from tasks.messages import publisher
from tasks.messages.announcement_messages import announcement
from tasks.runs import stop
from tasks.runs.run import ends_of_row

#: a cancel waits this long for the worker to release the row before it answers, seconds. Longer than
#: ``tasks.attempts.lease.FRESH``: a worker that has not begun its effect by then checks first and finds the cancel.
SETTLE = 0.7

_POLL = 0.02
#: counted and not timed: while the whole machine stands still no worker gets any further either
_LOOKS = round(SETTLE / _POLL)


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

    def end(connection: Connection) -> tuple[Row, bool, list[str]]:
        before = runs.get(connection, caller.workspace_id, run_id)
        announces = ends_of_row(before, connection)
        over = steps.End(status=Status.CANCELLED, parent_id=before.parent_id, clears=True, announces=announces)
        ended = steps.end_run(connection, run_id, over, caller.key_id)
        below = ending.end_below(connection, [run_id], caller.key_id) if ended else []
        return before, ended, below

    before, ended, below = db.change(end)
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
