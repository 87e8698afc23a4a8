"""What people do to executions: cancel them, and decide about those that wait for a decision."""

import time

from config.errors import Conflict
from store import db, executions
from store.access import Caller
from store.db import Row
from tasks import doorbell

#: a cancel waits this long for the worker to let go before it answers, seconds. Longer than
#: ``tasks.lease.FRESH``: a worker that has not begun its effect by then looks first and finds the cancel.
SETTLE = 0.7

_POLL = 0.02


def cancel(caller: Caller, execution_id: str) -> Row:
    """Cancel an execution; when this returns no effect of it starts any more.

    A call under way is abandoned within seconds; what it has done stays done.

    Raises:
        NotFound: no such execution. Conflict: it has ended already.
    """
    with db.write() as connection:
        before = executions.get(connection, caller.workspace_id, execution_id)
        moved = executions.transition(connection, execution_id, "cancelled", actor=caller.key_id)
    if moved is None:
        raise Conflict(f"The execution has ended already: it is {before.status}.", code="already_ended")
    doorbell.revoke(execution_id)
    give_up = time.monotonic() + SETTLE
    while True:
        with db.read() as connection:
            row = executions.get(connection, caller.workspace_id, execution_id)
        if row.owner is None or time.monotonic() > give_up:
            return row
        time.sleep(_POLL)


def decide(caller: Caller, execution_id: str, *, approve: bool, note: str) -> Row:
    """Approve or reject an execution that waits for it; exactly one decision wins.

    Raises:
        NotFound: no such execution. Conflict: it does not wait for a decision (any more).
    """
    decision = {"decision": "approved" if approve else "rejected", "by": caller.key_id, "note": note}
    error = {"code": "rejected", "message": note or "Rejected.", "outcome_unknown": False}
    with db.write() as connection:
        before = executions.get(connection, caller.workspace_id, execution_id)
        moved = executions.transition(
            connection,
            execution_id,
            "completed" if approve else "failed",
            actor=caller.key_id,
            guard="awaits approval",
            output=executions.dump({**executions.load(before.output, {}), **decision}),
            error=None if approve else executions.dump(error),
        )
        if moved is None:
            raise Conflict(f"The execution does not wait for a decision: it is {before.status}.", code="not_waiting")
        return executions.get(connection, caller.workspace_id, execution_id)
