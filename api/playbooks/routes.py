"""``/api/playbooks``: playbooks and their triggers."""

import functools
from typing import Any

from flask import Response

from api.http import body, pages
from api.http.auth import caller
from api.http.blueprint import Blueprint, nothing
from api.playbooks import examples as shown
from api.playbooks import schemas as shapes
from api.playbooks import views
from api.versioned import DocumentedShape, Routes, answer_verdict, id_problems
from playbooks.definitions.events import MAX_EVENT_CHARACTERS
from playbooks.definitions.fields import MAX_TAG_CHARACTERS
from store.definitions import playbooks
from tasks.definitions import imports, versioned
from tasks.definitions import playbooks as library

blueprint = Blueprint("playbooks", __name__, tag="playbooks")

routes = Routes(
    blueprint=blueprint,
    kind=playbooks.kind,
    one=DocumentedShape(schema=shapes.Playbook, example=shown.PLAYBOOK),
    item=DocumentedShape(schema=shapes.PlaybookItem, example=shown.ITEM),
    version=DocumentedShape(schema=shapes.PlaybookVersion, example=shown.VERSION),
    definition=DocumentedShape(schema=shapes.PlaybookDefinition(), example=shown.DEFINITION),
    changes=DocumentedShape(schema=shapes.PlaybookChanges(), example=shown.CHANGES),
    verdict=shown.VERDICT,
    show=views.playbook,
    show_version=views.version,
    yaml=True,
    switch_fails=(404, "changed"),
)


class PlaybookQuery(pages.PageQuery):
    """The filters and the order of the list of playbooks."""

    search = pages.text(200, "Text in the name or the description.", "triage")
    tag = pages.text(MAX_TAG_CHARACTERS, "Only those with this tag.", "incident-response")
    trigger = pages.text(MAX_EVENT_CHARACTERS, "Only those that this event, by this very name, starts.", "finding.new")
    enabled = pages.enabled()
    sort_by = pages.sort_by(playbooks.SORTABLE)
    sort_order = pages.sort_order()


@routes.list(PlaybookQuery())
def list_playbooks(query: dict[str, Any]) -> Response:
    """List playbooks.

    Newest first unless sorted otherwise. A playbook is listed if it matches all filters.
    """
    return routes.answer_page(query, playbooks.search, views.item)


@routes.create
def create_playbook() -> Response:
    """Create a playbook.

    The body is JSON or YAML. The id is made from the name unless the body gives one. An error names every fault of
    the definition. The actions and playbooks that its steps name must exist.
    """
    return routes.answer_once(_taken(body.read_object(yaml=True)), library.create)


@routes.validate
def validate_playbook() -> Response:
    """Validate a playbook.

    Checks a definition (JSON or YAML) or a CACAO document without storing it. Answers 200 even if it has faults; the
    body lists faults and warnings.
    """
    return answer_verdict(*imports.validate(caller(), body.read_object(yaml=True)))


@routes.get
def get_playbook(playbook_id: str) -> Response:
    """Get a playbook.

    Its whole definition in stored form, with the parameters that a run takes.
    """
    return routes.answer_get(playbook_id)


@routes.replace
def replace_playbook(playbook_id: str) -> Response:
    """Replace a playbook.

    The body is JSON or YAML; members that it leaves out get their defaults. The version goes up unless the body gives
    a higher one; runs under way keep the version with which they began. With ``If-None-Match: *`` it is created where
    there is none of this id.
    """
    given = _taken(body.read_object(yaml=True), playbook_id)
    return routes.answer_replaced(playbook_id, given, library.create, functools.partial(library.revise, whole=True))


@routes.change
def change_playbook(playbook_id: str) -> Response:
    """Update a playbook.

    Members that the body leaves out stay as they are; steps, parameters and the trigger are each replaced as a whole.
    The version goes up unless the body gives a higher one.
    """
    given = _taken(body.read_object(), playbook_id)
    guard = routes.guard(playbook_id)
    return routes.answer_written(library.revise(caller(), playbook_id, given, whole=False, guard=guard))


@routes.delete
def delete_playbook(query: dict[str, Any], playbook_id: str) -> Response:
    """Delete a playbook.

    Its runs stay readable; those under way continue. One that other playbooks start stays (409 ``in_use`` names them
    in ``used_by``) unless ``force`` is true.
    """
    library.delete(caller(), playbook_id, guard=routes.guard(playbook_id), **query)
    return nothing()


@routes.enable
def enable_playbook(playbook_id: str) -> Response:
    """Enable a playbook.

    It can be started again. Due times that its schedule missed while disabled are not made up for. Makes no new
    version.
    """
    guard = routes.guard(playbook_id)
    return routes.answer_one(library.set_enabled(caller(), playbook_id, enabled=True, guard=guard))


@routes.disable
def disable_playbook(playbook_id: str) -> Response:
    """Disable a playbook.

    Requests to run it answer 409, and neither events nor its schedule start it, until it is enabled. Runs under way
    continue. Makes no new version.
    """
    guard = routes.guard(playbook_id)
    return routes.answer_one(library.set_enabled(caller(), playbook_id, enabled=False, guard=guard))


@routes.versions
def list_playbook_versions(query: dict[str, Any], playbook_id: str) -> Response:
    """List the versions of a playbook.

    Newest first, each with its whole definition unless definitions is false.
    """
    return routes.answer_versions(query, playbook_id)


@routes.compare
def compare_playbook_versions(query: dict[str, Any], playbook_id: str) -> Response:
    """Compare two versions of a playbook.

    Steps are matched by id, parameters by name, so an inserted one does not show as a change of the others.
    """
    return routes.answer_difference(query, playbook_id)


@routes.get_version
def get_playbook_version(playbook_id: str, version: str) -> Response:
    """Get a version of a playbook.

    Its whole definition as it was.
    """
    return routes.answer_version(playbook_id, version)


@routes.restore
def restore_playbook_version(playbook_id: str, version: str) -> Response:
    """Restore a version of a playbook.

    The definition of that version becomes the present one under the next version number; the switch stays as it is.
    What is checked when a playbook is replaced is checked again. Where it is the present definition nothing changes.
    """
    return routes.answer_written(library.restore(caller(), playbook_id, version, guard=routes.guard(playbook_id)))


def _taken(given: dict[str, Any], playbook_id: str | None = None) -> dict[str, Any]:
    """The members of the definition.

    ``playbook_id`` is the playbook that they are for, if it exists.

    Raises:
        InvalidRequest: an id that cannot be had.
    """
    problems = id_problems(playbooks.kind, given, playbook_id)
    if problems:
        raise versioned.faulty(playbooks.kind.noun, problems)
    definition = library.written(given)
    if definition.get("version", "") is None:  # the version goes up by itself
        del definition["version"]
    return definition
