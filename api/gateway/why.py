"""``/v1/audit/{action_id}/why``: why something was stopped, held or sent elsewhere."""

from collections.abc import Sequence
from typing import Any

from flask import Response
from marshmallow import INCLUDE, fields

from api.http import pages
from api.http.auth import caller, requires
from api.http.base_schema import Answer
from api.http.blueprint import Blueprint, answer
from api.http.schemas import described
from config.errors import NotFound
from gateway import why
from gateway.why import Known
from playbooks.states import Status, WaitingFor
from store.callers.reach import Covering
from store.engine.db import Connection, Row
from store.records import approvals as executions
from store.records import listing as records
from tasks import tenants

blueprint = Blueprint("why", __name__, tag="audit")

_ID = {
    "in": "path",
    "name": "record_id",
    "description": "The id that a dispatch gave itself, else that of its execution or its record.",
    "example": "exec-9912",
}


class Reason(Answer):
    """One reason as data; the other members depend on its kind."""

    class Meta:
        """Members that belong to one kind alone are not listed."""

        unknown = INCLUDE

    kind = fields.String(metadata=described("What it is about.", enum=list(why.KINDS)))


class Why(Answer):
    """Why something was stopped, held or sent elsewhere."""

    action_id = fields.String(metadata=described("The id that was asked about."))
    execution_id = fields.String(allow_none=True, metadata=described("The execution; null where none was made."))
    tenant = fields.String(metadata=described("Its tenant."))
    replayed_from = fields.String(allow_none=True, metadata=described("Of a replay: the record that it does again."))
    outcome = fields.String(allow_none=True, metadata=described("What became of it; null: it has not ended."))
    status = fields.String(allow_none=True, metadata=described("The status of its execution while it has not ended."))
    sentences = fields.List(fields.String(), metadata=described("Why, for people; the most telling comes first."))
    reasons = fields.List(fields.Nested(Reason), metadata=described("The same as data."))


EXAMPLE: dict[str, Any] = {
    "action_id": "alert-7731",
    "execution_id": None,
    "tenant": "tenant-1",
    "replayed_from": None,
    "outcome": "suppressed",
    "status": None,
    "sentences": ["The rule 'block-spam' suppresses it, because action.payload.spam eq true."],
    "reasons": [
        {
            "kind": "rule",
            "rule": "block-spam",
            "verdict": "suppress",
            "reason": None,
            "condition": "action.payload.spam eq true",
            "applied": True,
        }
    ],
}


@blueprint.get("/audit/<slashed:record_id>/why", parameters=[_ID])
@requires("read:audit")
@blueprint.answers(200, Why(), example=EXAMPLE, words="Why, in sentences and as data.", fails=(404,))
def explain_record(record_id: str) -> Response:
    """Get the reasons of a record.

    Why it was stopped, held or sent elsewhere: rule and condition, silence or window and when it passes, limit,
    approval, circuit breaker, stop, as its newest record keeps them. What has not ended is asked for by the
    id of its execution.
    """
    covered = tenants.of(caller())
    rows = pages.read(_of, covered, record_id)
    if rows:
        return answer(_shown(record_id, rows[0].execution_id, rows[0].workspace_id, _of_record(rows[0])))
    row = pages.read(executions.execution, record_id)
    if row is None or not any(grant.covers_tenant(row.workspace_id) for grant in covered):
        raise NotFound(f"There is no record of {record_id!r}.")
    known = _of_execution(row)
    if not _is_covered(row, known):
        raise NotFound(f"There is no record of {record_id!r}.")
    return answer(_shown(record_id, row.id, row.workspace_id, known))


def _of(connection: Connection, covered: Sequence[Covering], record_id: str) -> list[Row]:
    return records.of(connection, records.scope(connection, covered), record_id, limit=1)


def _is_covered(row: Row, known: Known) -> bool:
    """Whether a grant covers all parts of what waits, as far as its account names them."""
    gate = known.gate
    named = gate.get("namespace", "actions"), gate.get("provider", ""), gate.get("action_type", row.action_id)
    return tenants.covers(caller(), row.workspace_id, *map(str, named))


def _of_record(row: Row) -> Known:
    return Known(
        outcome=row.outcome,
        provider=row.provider,
        verdict=row.verdict or "allow",
        rule=row.rule,
        at=row.at,
        gate=why.read(row.gate),
        details=why.read(row.details),
        error=why.read(row.error),
    )


def _of_execution(row: Row) -> Known:
    gate = why.read(row.gate)
    return Known(
        status=row.status,
        provider=gate.get("provider"),
        verdict=gate.get("verdict", "allow"),
        rule=gate.get("rule"),
        at=row.created_at,
        held_until=row.due_at if gate.get("outcome") == "held" and _is_held(row) else None,
        gate=gate,
        error=why.read(row.error),
    )


def _is_held(row: Row) -> bool:
    """Whether it waits for its time, and not for another attempt."""
    return bool(row.status == Status.WAITING and row.waiting_for == WaitingFor.DELAY)


def _shown(record_id: str, execution_id: str | None, tenant: str, known: Known) -> dict[str, Any]:
    shown: dict[str, Any] = {"action_id": record_id, "execution_id": execution_id, "tenant": tenant}
    shown["outcome"] = known.outcome
    shown["replayed_from"] = known.details.get("replayed_from") or known.gate.get("replayed_from")
    return {**shown, "status": known.status, **why.explained(known)}
