"""``/api/actions``: the catalogue of actions."""

import functools
from typing import Any

from flask import Response
from marshmallow import fields, validate
from webargs.fields import DelimitedList

from api.actions import definition_body, examples, schemas, views
from api.http import body, pages
from api.http import examples as http_examples
from api.http import schemas as http_schemas
from api.http.auth import caller
from api.http.blueprint import Blueprint, nothing
from api.versioned import DocumentedShape, Routes, answer_verdict
from playbooks.definitions.actions import EXECUTORS, TYPES
from store.definitions import actions
from tasks.definitions import actions as catalogue

blueprint = Blueprint("actions", __name__, tag="actions")


def _warnings(action: actions.Action) -> dict[str, Any]:
    """The warnings about an action that was just written."""
    found = catalogue.doubts(action.revision.definition)
    return {"warnings": [{"pointer": one.pointer, "detail": one.detail} for one in found]}


routes = Routes(
    blueprint=blueprint,
    kind=actions.kind,
    one=DocumentedShape(schema=schemas.Action, example=examples.ACTION),
    item=DocumentedShape(schema=schemas.Action, example=examples.ACTION),
    version=DocumentedShape(schema=schemas.Version, example=examples.VERSION),
    definition=DocumentedShape(schema=schemas.ActionDefinition(), example=examples.DEFINITION),
    changes=DocumentedShape(schema=schemas.ActionChanges(), example=examples.CHANGES),
    verdict=http_examples.VERDICT,
    show=views.action,
    show_version=views.version,
    written_shape=DocumentedShape(
        schema=http_schemas.enveloped(schemas.Action, "WrittenAction", warnings=http_schemas.WARNINGS),
        example={"data": examples.ACTION, "warnings": []},
    ),
    written_words=", and what is doubtful about it",
    show_more=_warnings,
    keeps_enabled=True,
)


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
    enabled = pages.enabled()
    sort_by = pages.sort_by(actions.SORTABLE)
    sort_order = pages.sort_order()


@routes.list(ActionQuery())
def list_actions(query: dict[str, Any]) -> Response:
    """List actions.

    Newest first unless sorted otherwise. An action is listed if it matches all filters.
    """
    return routes.answer_page(query, actions.search, views.action)


@routes.create
def create_action() -> Response:
    """Create an action.

    The id is made from the name unless the body gives one. An error names every fault of the definition.
    """
    return routes.answer_once(definition_body.taken(body.read_object()), catalogue.create)


@routes.validate
def validate_action() -> Response:
    """Validate an action.

    Checks a definition without storing it. Answers 200 even if the definition has faults; the body lists them.
    """
    given = body.read_object()
    problems = definition_body.unknown(given) + catalogue.problems_of(given)
    warnings = [] if problems else catalogue.warnings_of(given)
    return answer_verdict(problems, warnings)


@routes.get
def get_action(action_id: str) -> Response:
    """Get an action.

    Secrets in its config are masked.
    """
    return routes.answer_get(action_id)


@routes.replace
def replace_action(query: dict[str, Any], action_id: str) -> Response:
    """Replace an action.

    Members that the body leaves out get their defaults. The version goes up unless the body gives a higher one;
    executions under way keep the version with which they began. Disabling an action that playbooks use takes force.
    With ``If-None-Match: *`` it is created where there is none of this id.
    """
    given = definition_body.taken(body.read_object(), action_id)
    revise = functools.partial(catalogue.revise, whole=True, **query)
    return routes.answer_replaced(action_id, given, catalogue.create, revise)


@routes.change
def change_action(query: dict[str, Any], action_id: str) -> Response:
    """Update an action.

    Members that the body leaves out stay as they are. The version goes up unless the body gives a higher one.
    Disabling an action that playbooks use takes force.
    """
    given = definition_body.taken(body.read_object(), action_id)
    guard = routes.guard(action_id)
    return routes.answer_written(catalogue.revise(caller(), action_id, given, whole=False, guard=guard, **query))


@routes.delete
def delete_action(query: dict[str, Any], action_id: str) -> Response:
    """Delete an action.

    Its executions stay readable; those under way continue. One that playbooks use stays (409 ``in_use`` names them in
    ``used_by``) unless ``force`` is true.
    """
    catalogue.delete(caller(), action_id, guard=routes.guard(action_id), **query)
    return nothing()


@routes.enable
def enable_action(action_id: str) -> Response:
    """Enable an action.

    It can be triggered again. Makes no new version.
    """
    return routes.answer_one(catalogue.set_enabled(caller(), action_id, enabled=True, guard=routes.guard(action_id)))


@routes.disable
def disable_action(query: dict[str, Any], action_id: str) -> Response:
    """Disable an action.

    Triggers answer 409 until it is enabled; executions under way continue. Makes no new version. One that playbooks
    use stays enabled (409 ``in_use`` names them in ``used_by``) unless ``force`` is true.
    """
    guard = routes.guard(action_id)
    return routes.answer_one(catalogue.set_enabled(caller(), action_id, enabled=False, guard=guard, **query))


@routes.versions
def list_action_versions(query: dict[str, Any], action_id: str) -> Response:
    """List the versions of an action.

    Newest first, each with its whole definition unless definitions is false.
    """
    return routes.answer_versions(query, action_id)


@routes.compare
def compare_action_versions(query: dict[str, Any], action_id: str) -> Response:
    """Compare two versions of an action.

    Parameters are matched by name. Secrets in the config are masked: that one was changed does not show.
    """
    return routes.answer_difference(query, action_id)


@routes.get_version
def get_action_version(action_id: str, version: str) -> Response:
    """Get a version of an action.

    As it was; secrets in its config are masked.
    """
    return routes.answer_version(action_id, version)


@routes.restore
def restore_action_version(action_id: str, version: str) -> Response:
    """Restore a version of an action.

    The definition of that version, with the secrets that it had, becomes the present one under the next version number;
    the switch stays as it is. What is checked when an action is replaced is checked again. Where it is the present
    definition nothing changes.
    """
    return routes.answer_written(catalogue.restore(caller(), action_id, version, guard=routes.guard(action_id)))
