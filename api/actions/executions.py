"""``/api/actions/executions`` and ``/api/actions/{id}/executions``: executions of actions."""

import functools
from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow import fields, validate
from webargs.fields import DelimitedList

from api.actions import examples, schemas, views
from api.http import examples as http_examples
from api.http import pages
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.base_schema import Schema
from api.http.blueprint import Blueprint, finished, written
from api.http.conditional import entity_tags, preconditions
from api.http.conditional.documented import ETAG, IF_NONE_MATCH, UNCHANGED
from api.http.conditional.preconditions import Seen
from api.http.documented import error_answers
from store.access import Caller
from store.definitions import actions
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import transitions
from store.executions.lists import listing
from store.paging import Found, Part
from tasks.control import cancel, decide, reach

blueprint = Blueprint("executions", __name__, tag="action executions")

_ONE = http_schemas.enveloped(schemas.Execution)
_PAGE = http_schemas.page_of(schemas.ExecutionItem)
_PAGE_EXAMPLE = {"data": [examples.ITEM], "meta": http_examples.META}
_DECISION = http_schemas.Decision()


class OfActionQuery(pages.PeriodQuery):
    """The filters of the list of one action's executions."""

    status = DelimitedList(
        fields.String(validate=validate.OneOf(transitions.STATUSES)),
        validate=validate.Length(min=1),
        metadata={"description": "Only these statuses, separated by commas.", "example": ["failed", "timeout"]},
    )
    target = pages.text(255, "Only those about this asset.", "a-1001")
    standalone = fields.Boolean(
        truthy={"true"},
        falsy=set(),
        metadata={"description": "true: only those that are no step of a playbook execution.", "enum": [True]},
    )
    trigger = fields.String(
        validate=validate.OneOf(listing.TRIGGERS),
        metadata={
            "description": "Only those, no step of a playbook execution, that this has carried out: a request (api), a "
            "recurring action, or the replay of a record.",
            "example": "recurring",
        },
    )


class ExecutionQuery(OfActionQuery):
    """The filters of the list of all executions."""

    run_id = pages.text(128, "Only steps of this playbook execution.", "pexec-7721")
    action_id = pages.text(128, "Only those of this action.", "act-block-ip")


class WaitQuery(Schema):
    """How long a reader is ready to wait for news."""

    wait = http_schemas.wait("for news of status or attempt; none where too many wait.")


@blueprint.get("/actions/executions")
@requires("read:actions")
@blueprint.arguments(ExecutionQuery(), location="query")
@blueprint.answers(200, _PAGE, example=_PAGE_EXAMPLE, headers=pages.LINK, words="One page of executions, newest first.")
def list_executions(query: dict[str, Any]) -> Response:
    """List executions of all actions.

    Triggered executions and steps of playbook executions, newest first. An execution is listed if it matches all
    filters.
    """
    return _listed(query, {})


@blueprint.get("/actions/<id:action_id>/executions")
@requires("read:actions")
@blueprint.arguments(OfActionQuery(), location="query")
@blueprint.answers(
    200, _PAGE, example=_PAGE_EXAMPLE, headers=pages.LINK, words="One page of executions, newest first.", fails=(404,)
)
def list_action_executions(query: dict[str, Any], action_id: str) -> Response:
    """List executions of an action.

    Newest first. An execution is listed if it matches all filters.
    """
    with db.read() as connection:
        actions.get(connection, caller().workspace_id, action_id)
    return _listed(query, {"action_id": action_id})


@blueprint.get("/actions/executions/<id:execution_id>", parameters=[IF_NONE_MATCH])
@requires("read:actions")
@blueprint.arguments(WaitQuery(), location="query")
@blueprint.answers(
    200, _ONE, example={"data": examples.EXECUTION}, words="The execution.", headers=ETAG, fails=(404, 412)
)
@UNCHANGED
def get_execution(query: dict[str, Any], execution_id: str) -> Response:
    """Get an action execution.

    With wait, the answer comes when the status or the attempt changes, at the latest after that many seconds. With
    If-None-Match too, it comes at once if the execution is another than the reader knows, and is 304 if it stays so.
    """
    return preconditions.when_new(execution_id, functools.partial(_seen, execution_id), query["wait"], _answer)


@blueprint.get("/actions/executions/<id:execution_id>/logs")
@requires("read:actions")
@blueprint.arguments(pages.SinceQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.listed(http_schemas.LogLine),
    example={"data": examples.EXECUTION["logs"], "meta": {"next_cursor": None}},
    headers=pages.LINK,
    words="The lines, by time.",
    fails=(404,),
)
def list_execution_logs(query: dict[str, Any], execution_id: str) -> Response:
    """List the logs of an action execution.

    Its lines, by time. The list is complete unless cursor or limit is given.
    """
    lines, first = transitions.load(_read(execution_id).logs, []), pages.stamp_of(query.get("since"))
    numbered = [(number, line) for number, line in enumerate(lines) if str(line["timestamp"]) >= first]
    part, meta = pages.part_of(numbered, lambda line: [str(line[1]["timestamp"]), line[0]], query)
    return pages.part_answer([line for _, line in part], meta, query)


@blueprint.post("/actions/executions/<id:execution_id>/cancel")
@requires("execute:actions")
@blueprint.answers(
    200,
    _ONE,
    example={"data": examples.CANCELLED},
    words="It is cancelled.",
    fails=(404, 409, "already_ended", "part_of_run"),
)
def cancel_execution(execution_id: str) -> Response:
    """Cancel an action execution.

    No effect of it starts after the answer. A call under way is abandoned within seconds; its effects so far are not
    rolled back. A step of a playbook execution cannot be cancelled alone: cancel the playbook execution.
    """
    row = _read(execution_id)
    return _shown(cancel.cancel(reach.acting(caller(), row), row.id))


@blueprint.post("/actions/executions/<id:execution_id>/approve")
@requires("decide:approvals")
@blueprint.arguments(_DECISION, example={"note": "Confirmed by phone."}, required=False)
@blueprint.answers(
    200,
    _ONE,
    example={"data": examples.APPROVED},
    words="It is approved.",
    fails=(404, 409, *error_answers.VOTED),
    takes_body=True,
)
def approve_execution(given: dict[str, Any], execution_id: str) -> Response:
    """Approve an action execution.

    It must wait for approval. The first decision counts; later ones answer 409.
    """
    return _decided(_read(execution_id), given["note"], approve=True)


@blueprint.post("/actions/executions/<id:execution_id>/reject")
@requires("decide:approvals")
@blueprint.arguments(_DECISION, example={"note": "A known scanner."}, required=False)
@blueprint.answers(
    200,
    _ONE,
    example={"data": examples.REJECTED},
    words="It is rejected.",
    fails=(404, 409, *error_answers.VOTED),
    takes_body=True,
)
def reject_execution(given: dict[str, Any], execution_id: str) -> Response:
    """Reject an action execution.

    It must wait for approval. The first decision counts; later ones answer 409.
    """
    return _decided(_read(execution_id), given["note"], approve=False)


def _read(execution_id: str) -> Row:
    with db.read() as connection:
        return reach.execution(connection, caller(), execution_id)


def _decided(row: Row, note: str, *, approve: bool) -> Response:
    return _shown(decide.decide(reach.acting(caller(), row), row.id, approve=approve, note=note))


def _seen(execution_id: str) -> Seen:
    row = _read(execution_id)
    return Seen(written(_members(row)), (row.status, row.attempt), row.status in transitions.TERMINAL)


def _shown(row: Row) -> Response:
    members = written(_members(row))
    return _answer(members, {"ETag": f'"{entity_tags.of(members)}"'})


def _answer(members: str, headers: dict[str, str]) -> Response:
    return finished(f'{{"data":{members}}}', headers=headers)


def _members(row: Row) -> dict[str, Any]:
    with db.read() as connection:
        revision = actions.revision(connection, row.revision_id)
    return views.execution(row, revision)


def _listed(query: dict[str, Any], more: dict[str, str]) -> Response:
    filters = {**query, **pages.period(query), **more}
    part = pages.part(query)
    if reach.is_limited(caller()):
        part = part._replace(counted=False)  # a total would count what the caller does not reach
    found, versions = pages.read(_found, caller(), filters, part)
    return pages.page(views.execution_items(found.rows, versions), found, query)


def _found(
    connection: Connection, asking: Caller, filters: Mapping[str, Any], part: Part
) -> tuple[Found, dict[str, str]]:
    """A part of the list, and the versions of the actions in it."""
    found = listing.search(connection, asking.workspace_id, filters=filters, part=part)
    found = found._replace(rows=reach.reached_executions(connection, asking, found.rows))
    return found, actions.versions(connection, {row.revision_id for row in found.rows})
