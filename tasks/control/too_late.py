"""The refusals of decisions that come too late, which name who was first and when."""

from typing import Any

from config import times
from config.errors import Conflict
from store.callers import actors
from store.engine import db
from store.gateway import approvals


class TooLate(Conflict):
    """It does not wait for a decision, or not any more."""

    code = "not_waiting"

    def __init__(self, message: str, decision: dict[str, Any] | None = None, *, code: str = "") -> None:
        super().__init__(message, code=code)
        self.members = decision or {}


def naming(refusal: Conflict, execution_id: str) -> Conflict:
    """A refusal to decide about an execution, with its decider if there is one."""
    with db.read() as connection:
        asked = approvals.newest_of(connection, execution_id)
        if asked is None or asked.decided_by is None:
            return refusal
        who = actors.named(connection, [asked.decided_by])[asked.decided_by]
    at = None if asked.decided_at is None else times.stamp(asked.decided_at)
    decision = {"decided_by": asked.decided_by, "decided_by_actor": who, "decided_at": at}
    return TooLate(f"{refusal} {who['name']!r} was first.", decision, code=refusal.code)
