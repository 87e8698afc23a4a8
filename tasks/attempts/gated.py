"""What was approved is what is done: a digest is compared when the attempt begins.

An execution that a rule has held back carries the digest of what was approved. One that differs by now, because its
row was changed, waits for an approval again; nothing of it goes out.
"""

from typing import Any

from gateway import gate_column
from gateway.gate_column import APPROVED
from playbooks.states import Mode, Status, WaitingFor
from providers.base import Abandoned
from store.engine import db
from store.gateway import approvals
from tasks.attempts.conclude import Ending, columns_of, failed
from tasks.attempts.patience import with_patience
from tasks.policy import questions


def is_approved(row: Any) -> bool:
    """Whether a rule has held an execution back, and it was approved."""
    return row.gate is not None and APPROVED in row.gate


def asked_again(row: Any) -> Ending | None:
    """How an attempt ends that would do something else than was approved; None where it may go on.

    Raises:
        Abandoned: the database stayed away.
    """
    if not is_approved(row) or row.mode != Mode.LIVE:
        return None
    gate = gate_column.read(row.gate)
    assert gate is not None
    digest = questions.digest_of(columns_of(row), gate)
    if gate.approval is None or gate.approved.get("digest") == digest:
        return None
    approval_id = gate.approval
    found = with_patience(lambda: (db.read_one(approvals.read, approval_id),))
    if found is None:
        raise Abandoned
    if found[0] is None:
        return failed("rejected", "It was changed after it was approved, and the approval is gone.")
    asks = questions.again(found[0], digest)
    text = questions.waiting(gate, asks).text()
    return Ending(Status.WAITING, waiting_for=WaitingFor.GATE, asks=asks, gate=text)
