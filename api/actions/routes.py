"""``/api/actions``: the catalogue of what can be done."""

from typing import Any

from flask import Response, request
from marshmallow import fields, validate
from webargs.fields import DelimitedList

from api.actions import definition_body, examples, schemas, views
from api.http import body, errors, pages
from api.http import examples as http_examples
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.blueprint import LOCATION, Blueprint, answer, nothing
from config.errors import Problem
from playbooks.definitions.actions import EXECUTORS, TYPES
from store.definitions import actions
from store.engine import db
from tasks.definitions import actions as catalogue
from tasks.definitions import versioned

blueprint = Blueprint("actions", __name__, description="What can be done.")

_ONE = http_schemas.enveloped(schemas.Action)
_ONE_EXAMPLE = {"data": examples.ACTION}
_WRITTEN = http_schemas.enveloped(schemas.Action, "WrittenAction", warnings=http_schemas.WARNINGS)
_WRITTEN_EXAMPLE = {"data": examples.ACTION, "warnings": []}
_NOW = "The action as it is now, and what is doubtful about it."
#: what may be asked about is more than what may be kept
_ANYTHING = {"anyOf": [schemas.ActionDefinition(), {"type": "object"}]}


class ActionQuery(pages.PageQuery):
    """The filters and the order of the list of actions."""

    type = DelimitedList(
        fields.String(validate=validate.OneOf(TYPES)),
        validate=validate.Length(min=1),
        metadata={"description": "Only these types, separated by commas.", "example": ["remediation"]},
    )
    executor = DelimitedList(
        fields.String(validate=validate.OneOf(EXECUTORS)),
        validate=validate.Length(min=1),
        metadata={"description": "Only these executors, separated by commas.", "example": ["webhook"]},
    )
    search = pages.text(200, "Text in the name or the description.", "slack")
    enabled = fields.Boolean(
        truthy={"true"}, falsy={"false"}, metadata={"description": "Only enabled (or disabled) ones.", "example": True}
    )
    sort_by = fields.String(
        load_default="created_at",
        validate=validate.OneOf(actions.SORTABLE),
        metadata={"description": "What the list is sorted by.", "example": "name"},
    )
    sort_order = fields.String(
        load_default="desc",
        validate=validate.OneOf(("asc", "desc")),
        metadata={"description": "Up or down.", "example": "asc"},
    )


@blueprint.get("/actions")
@requires("read:actions")
@blueprint.arguments(ActionQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.page_of(schemas.Action),
    example={"data": [examples.ACTION], "meta": http_examples.META},
    words="One page of actions.",
)
def list_actions(query: dict[str, Any]) -> Response:
    """List actions.

    Newest first unless sorted otherwise. Filters narrow the list together.
    """
    with db.read() as connection:
        found, total = actions.search(connection, caller().workspace_id, query, pages.sorted_page(query))
    return pages.page([views.action(action) for action in found], total, query)


@blueprint.post("/actions")
@requires("write:actions")
@blueprint.reads(schemas.ActionDefinition(), example=examples.DEFINITION)
@blueprint.answers(
    201,
    _WRITTEN,
    example=_WRITTEN_EXAMPLE,
    words="The action as it is kept, and what is doubtful about it.",
    headers=LOCATION,
    fails=(409,),
    takes_body=True,
)
def create_action() -> Response:
    """Create an action.

    The id is made from the name unless one is given. Every fault of the definition is named at once.
    """
    action = catalogue.create(caller(), definition_body.taken(body.read_object()))
    location = f"{request.path.rstrip('/')}/{action.id}"
    return answer(_written(action), 201, {"Location": location})


@blueprint.post("/actions/validate")
@requires("read:actions")
@blueprint.reads(_ANYTHING, example=examples.DEFINITION)
@blueprint.answers(
    200,
    http_schemas.Verdict(),
    example=http_examples.VERDICT,
    words="The verdict; faults do not make it fail.",
    takes_body=True,
)
def validate_action() -> Response:
    """Check an action's definition without storing it.

    Answers 200 whether or not the definition has faults; the body says which.
    """
    given = body.read_object()
    problems = definition_body.unknown(given) + catalogue.problems_of(given)
    warnings = [] if problems else catalogue.warnings_of(given)
    return answer({"valid": not problems, "warnings": _findings(warnings), "errors": _findings(problems)})


@blueprint.get("/actions/<id:action_id>")
@requires("read:actions")
@blueprint.answers(200, _ONE, example=_ONE_EXAMPLE, words="The action.", fails=(404,))
def get_action(action_id: str) -> Response:
    """Show an action.

    Secrets in its config are masked.
    """
    with db.read() as connection:
        return _shown(actions.get(connection, caller().workspace_id, action_id))


@blueprint.put("/actions/<id:action_id>")
@requires("write:actions")
@blueprint.reads(schemas.ActionDefinition(), example=examples.DEFINITION)
@blueprint.answers(200, _WRITTEN, example=_WRITTEN_EXAMPLE, words=_NOW, fails=(404, 409), takes_body=True)
def replace_action(action_id: str) -> Response:
    """Replace an action's definition.

    What the body does not name falls back to its default. The version goes up unless a higher one is given;
    executions under way keep the version they began with.
    """
    return answer(_written(_revised(action_id, whole=True)))


@blueprint.patch("/actions/<id:action_id>")
@requires("write:actions")
@blueprint.reads(schemas.ActionChanges(), example=examples.CHANGES)
@blueprint.answers(200, _WRITTEN, example=_WRITTEN_EXAMPLE, words=_NOW, fails=(404, 409), takes_body=True)
def change_action(action_id: str) -> Response:
    """Change parts of an action's definition.

    What the body does not name stays as it is. The version goes up unless a higher one is given.
    """
    return answer(_written(_revised(action_id, whole=False)))


@blueprint.delete("/actions/<id:action_id>")
@requires("write:actions")
@blueprint.answers(204, words="It is gone.", fails=(404,))
def delete_action(action_id: str) -> Response:
    """Delete an action.

    Its executions stay and can still be read; those under way go on.
    """
    versioned.delete(actions.kind, caller(), action_id)
    return nothing()


@blueprint.post("/actions/<id:action_id>/enable")
@requires("write:actions")
@blueprint.answers(200, _ONE, example=_ONE_EXAMPLE, words="The action as it is now.", fails=(404,))
def enable_action(action_id: str) -> Response:
    """Let an action be triggered again.

    It makes no new version; an enabled action stays as it is.
    """
    return _switched(action_id, enabled=True)


@blueprint.post("/actions/<id:action_id>/disable")
@requires("write:actions")
@blueprint.answers(
    200,
    _ONE,
    example={"data": {**examples.ACTION, "enabled": False}},
    words="The action as it is now.",
    fails=(404,),
)
def disable_action(action_id: str) -> Response:
    """Keep an action from being triggered.

    Executions under way go on; triggers answer 409 until it is enabled.
    """
    return _switched(action_id, enabled=False)


@blueprint.get("/actions/<id:action_id>/versions")
@requires("read:actions")
@blueprint.arguments(pages.PageQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.page_of(schemas.Version),
    example={"data": [examples.VERSION], "meta": http_examples.META},
    words="One page of versions, newest first.",
    fails=(404,),
)
def list_action_versions(query: dict[str, Any], action_id: str) -> Response:
    """List the versions of an action.

    Each with its whole definition as it was, newest first.
    """
    with db.read() as connection:
        action = actions.get(connection, caller().workspace_id, action_id)
        rows, total = actions.kind.revisions(connection, action, **pages.bounds(query))
    return pages.page([views.version(action_id, row) for row in rows], total, query)


def _shown(action: actions.Action) -> Response:
    return answer({"data": views.action(action)})


def _revised(action_id: str, *, whole: bool) -> actions.Action:
    return catalogue.revise(caller(), action_id, definition_body.taken(body.read_object(), action_id), whole=whole)


def _written(action: actions.Action) -> dict[str, Any]:
    """An action that was just written, and what is doubtful about it."""
    found = catalogue.doubts(action.revision.definition)
    warnings = [{"pointer": one.pointer, "detail": one.detail} for one in found]
    return {"data": views.action(action), "warnings": warnings}


def _findings(problems: list[Problem]) -> list[dict[str, str]]:
    return [
        {"path": errors.json_path(problem.pointer), "pointer": problem.pointer, "message": problem.detail}
        for problem in problems
    ]


def _switched(action_id: str, *, enabled: bool) -> Response:
    return _shown(catalogue.set_enabled(caller(), action_id, enabled=enabled))
