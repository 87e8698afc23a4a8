"""``/v1/approvals`` and ``/api/approvals``: what waits for a decision, and decisions by key."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask import Response

from api.approvals import deciding, views
from api.approvals import schemas as shapes
from api.http import examples as http_examples
from api.http import pages
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from api.http.documented import error_answers
from config.errors import NotFound
from store.callers import actors
from store.callers.actors import Actor
from store.callers.reach import Covering
from store.engine.db import Connection, Row
from store.gateway import approvals as rows
from store.paging import Found, Part
from store.records import approvals as found_approvals
from tasks import tenants
from tasks.control import reach, voting

blueprint = Blueprint("approvals", __name__, tag="approvals")
decisions = Blueprint("decisions", __name__, tag="approvals")

_PAGE = http_schemas.page_of(shapes.Approval)
_DECISION = http_schemas.Decision()
_ANSWERED = shapes.DecidedApprovalAnswer()


@blueprint.get("/approvals")
@requires("read:audit")
@blueprint.arguments(shapes.ApprovalQuery(), location="query")
@blueprint.answers(200, shapes.Approvals(), example=shapes.PAGE, words="Some of the approvals, the newest first.")
def list_approvals(query: dict[str, Any]) -> Response:
    """List approvals.

    What waits for a decision, of the tenants that the key covers, the newest first; with status what was decided. A
    rule, a step of a playbook or an approval action has asked. Read on with next_cursor.
    """
    if "tenant" in query:
        tenants.require_named(caller(), query["tenant"])
    name = pages.named("approvals", query)
    found, who = pages.read(_found, tenants.of(caller()), query, pages.part_after(query, name))
    shown: dict[str, Any] = {"approvals": [views.approval(row, who) for row in found.rows], "count": len(found.rows)}
    shown["next_cursor"] = pages.next_cursor(found, name)
    return answer(shown)


@blueprint.get("/approvals/<id:approval_id>")
@requires("read:audit")
@blueprint.answers(200, shapes.Approval(), example=shapes.ONE, words="The approval.", fails=(404,))
def get_approval(approval_id: str) -> Response:
    """Get an approval.

    With its votes.
    """
    row, votes, who = pages.read(_one, tenants.of(caller()), approval_id)
    return answer(views.approval(row, who, votes))


@decisions.get("/approvals")
@requires("read:actions")
@decisions.arguments(shapes.ApprovalPageQuery(), location="query")
@decisions.answers(
    200,
    _PAGE,
    example={"data": [shapes.APPROVAL], "meta": http_examples.META},
    headers=pages.LINK,
    words="One page of approvals, the newest first.",
)
def list_pending_approvals(query: dict[str, Any]) -> Response:
    """List what waits for a decision.

    Of the tenants that the key covers, the newest first; with status what was decided.
    """
    if "tenant" in query:
        tenants.require_named(caller(), query["tenant"])
    found, who = pages.read(_found, tenants.of(caller()), query, pages.part(query))
    return pages.page([views.approval(row, who) for row in found.rows], found, query)


@decisions.post("/approvals/<id:approval_id>/approve")
@requires("decide:approvals")
@decisions.arguments(_DECISION, example={"note": "Confirmed by phone."}, required=False)
@decisions.answers(
    200,
    _ANSWERED,
    example=shapes.ANSWERED,
    words="The vote counts.",
    fails=(404, 409, *error_answers.VOTED),
    takes_body=True,
)
def approve_approval(given: dict[str, Any], approval_id: str) -> Response:
    """Approve what waits for a decision.

    Each voter has one vote. Where that makes the quorum, the answer comes with the outcome; where that takes longer
    than the sender waits, the outcome is accepted.
    """
    return _decided(approval_id, voting.APPROVE, given["note"])


@decisions.post("/approvals/<id:approval_id>/reject")
@requires("decide:approvals")
@decisions.arguments(_DECISION, example={"note": "A known scanner."}, required=False)
@decisions.answers(
    200,
    _ANSWERED,
    example=shapes.ANSWERED,
    words="The vote counts.",
    fails=(404, 409, *error_answers.VOTED),
    takes_body=True,
)
def reject_approval(given: dict[str, Any], approval_id: str) -> Response:
    """Reject what waits for a decision.

    One rejection rejects, unless a rule asks for more.
    """
    return _decided(approval_id, voting.REJECT, given["note"])


def _decided(approval_id: str, decision: str, note: str) -> Response:
    row, *_ = pages.read(_one, tenants.of(caller()), approval_id)
    voter = replace(voting.by_caller(caller()), caller=reach.acting(caller(), row))
    members = deciding.decide(row, voter, decision, note)
    return answer({**members, "data": members})


def _found(
    connection: Connection, covered: Sequence[Covering], filters: Mapping[str, Any], part: Part
) -> tuple[Found, dict[str, Actor]]:
    """A part of the list, and who has asked and decided."""
    found = found_approvals.search(connection, covered, filters, part)
    names = [name for row in found.rows for name in (row.requested_by, row.decided_by)]
    return found, actors.named(connection, names)


def _one(
    connection: Connection, covered: Sequence[Covering], approval_id: str
) -> tuple[Row, list[Row], dict[str, Actor]]:
    row = found_approvals.get(connection, covered, approval_id)
    if row is None:
        raise NotFound(f"There is no approval {approval_id!r}.")
    votes = rows.votes(connection, approval_id)
    names = [row.requested_by, row.decided_by, *(vote.voter for vote in votes)]
    return row, votes, actors.named(connection, names)
