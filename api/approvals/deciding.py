"""Decide for a request, and wait for the outcome as a dispatch does."""

from typing import Any

from api.gateway.dispatch import answers, prefer
from api.gateway.dispatch.waiting import ends
from api.http.current_request import present
from config.settings import settings
from gateway import gate_column
from playbooks.states import Status
from store.engine import db
from store.records import approvals as waiting_approvals
from tasks.control import approvals
from tasks.control.approvals import Decided
from tasks.control.voting import Voter
from tasks.intake.dispatches import ends as dispatch_ends


def decide(approval: Any, voter: Voter, decision: str, note: str = "") -> dict[str, Any]:
    """Vote on an approval; the members of the answer.

    Raises:
        NotFound, Conflict, Forbidden: as ``tasks.control.approvals.decide``.
    """
    seconds, here = prefer.seconds(present(), settings().dispatch_wait), ends()
    with here.place([approval.execution_id], seconds) as waiting:
        reply = here.process if waiting is not None else None
        decided = approvals.decide(approval.id, voter, decision, note, reply)
        row = decided.row
        if decided.is_settled and waiting is not None and row.status == Status.PENDING:
            here.wait(waiting, [row.id], seconds)
            row = db.read_one(waiting_approvals.execution, row.id) or row
    return _members(decided, row)


def _members(decided: Decided, row: Any) -> dict[str, Any]:
    outcome = None
    if decided.is_settled:
        gate = gate_column.read(row.gate)
        known = dispatch_ends.known(row)
        action_id = (gate.given_id if gate is not None else None) or row.id
        outcome = answers.written(known, action_id, row.id)
    return {"id": decided.approval_id, "status": decided.status, "outcome": outcome}
