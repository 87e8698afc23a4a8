"""``/api/playbooks``: what is done in order, and when it starts."""

from typing import Any

from flask import Response, request
from marshmallow import fields, validate

from api.http import body, errors, pages, times
from api.http import examples as http_examples
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.blueprint import LOCATION, Blueprint, answer, nothing
from api.playbooks import examples as shown
from api.playbooks import schemas as shapes
from config.errors import InvalidRequest, Problem
from playbooks.checks.size import size
from playbooks.definitions.fields import MAX_TAG_CHARACTERS
from playbooks.definitions.triggers import MAX_EVENT_CHARACTERS
from playbooks.differences import differences
from store.definitions import playbooks
from store.engine import db
from store.executions import transitions
from tasks.definitions import imports, versioned
from tasks.definitions import playbooks as library
from tasks.offload import pool

blueprint = Blueprint("playbooks", __name__, description="What is done in order, and when it starts.")

_ONE = http_schemas.enveloped(shapes.Playbook)
_ONE_EXAMPLE = {"data": shown.PLAYBOOK}
#: what may be asked about is more than what may be kept
_ANYTHING = {"anyOf": [shapes.PlaybookDefinition(), {"type": "object"}]}
_VERSION = r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$"


class PlaybookQuery(pages.PageQuery):
    """The filters and the order of the list of playbooks."""

    search = pages.text(200, "Text in the name or the description.", "triage")
    tag = pages.text(MAX_TAG_CHARACTERS, "Only those with this tag.", "incident-response")
    trigger = pages.text(MAX_EVENT_CHARACTERS, "Only those that this event, by this very name, starts.", "finding.new")
    enabled = fields.Boolean(
        truthy={"true"}, falsy={"false"}, metadata={"description": "Only enabled (or disabled) ones.", "example": True}
    )
    sort_by = fields.String(
        load_default="created_at",
        validate=validate.OneOf(playbooks.SORTABLE),
        metadata={"description": "What the list is sorted by.", "example": "name"},
    )
    sort_order = fields.String(
        load_default="desc",
        validate=validate.OneOf(("asc", "desc")),
        metadata={"description": "Up or down.", "example": "asc"},
    )


class DifferenceQuery(http_schemas.Strict):
    """Which versions are compared."""

    older = fields.String(
        data_key="from",
        required=True,
        validate=validate.Regexp(_VERSION),
        metadata={"description": "The version that is compared.", "example": "1.0.0"},
    )
    newer = fields.String(
        data_key="to",
        validate=validate.Regexp(_VERSION),
        metadata={"description": "The version that it is compared with; the present one.", "example": "1.1.0"},
    )


@blueprint.get("/playbooks")
@requires("read:playbooks")
@blueprint.arguments(PlaybookQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.page_of(shapes.PlaybookItem),
    example={"data": [shown.ITEM], "meta": http_examples.META},
    words="One page of playbooks.",
)
def list_playbooks(query: dict[str, Any]) -> Response:
    """List playbooks.

    Newest first unless sorted otherwise. Filters narrow the list together.
    """
    with db.read() as connection:
        found, total = playbooks.search(connection, caller().workspace_id, query, pages.sorted_page(query))
    return pages.page([_item(row) for row in found], total, query)


@blueprint.post("/playbooks")
@requires("write:playbooks")
@blueprint.reads(shapes.PlaybookDefinition(), example=shown.DEFINITION, yaml=True)
@blueprint.answers(
    201,
    _ONE,
    example=_ONE_EXAMPLE,
    words="The playbook as it is kept.",
    headers=LOCATION,
    fails=(409,),
    takes_body=True,
)
def create_playbook() -> Response:
    """Create a playbook.

    The body is JSON or YAML. The id is made from the name unless one is given; every fault of the definition is
    named at once. The actions and playbooks that its steps name must be there.
    """
    playbook = library.create(caller(), _taken(body.read_object(yaml=True)))
    location = f"{request.path.rstrip('/')}/{playbook.id}"
    return answer({"data": _whole(playbook)}, 201, {"Location": location})


@blueprint.post("/playbooks/validate")
@requires("read:playbooks")
@blueprint.reads(_ANYTHING, example=shown.DEFINITION, yaml=True)
@blueprint.answers(
    200,
    http_schemas.Verdict(),
    example=shown.VERDICT,
    words="The verdict; faults do not make it fail.",
    takes_body=True,
)
def validate_playbook() -> Response:
    """Check a playbook's definition without storing it.

    The body is JSON or YAML, a CACAO document too. Answers 200 whether or not it has faults; the body says which, and
    what is allowed but doubtful.
    """
    problems, warnings = imports.verdict(caller(), body.read_object(yaml=True))
    return answer({"valid": not problems, "warnings": _findings(warnings), "errors": _findings(problems)})


@blueprint.get("/playbooks/<id:playbook_id>")
@requires("read:playbooks")
@blueprint.answers(200, _ONE, example=_ONE_EXAMPLE, words="The playbook.", fails=(404,))
def get_playbook(playbook_id: str) -> Response:
    """Show a playbook.

    Its whole definition in the form in which it is kept, with the parameters that a run may be given.
    """
    with db.read() as connection:
        return _answered(playbooks.get(connection, caller().workspace_id, playbook_id))


@blueprint.put("/playbooks/<id:playbook_id>")
@requires("write:playbooks")
@blueprint.reads(shapes.PlaybookDefinition(), example=shown.DEFINITION, yaml=True)
@blueprint.answers(
    200, _ONE, example=_ONE_EXAMPLE, words="The playbook as it is now.", fails=(404, 409), takes_body=True
)
def replace_playbook(playbook_id: str) -> Response:
    """Replace a playbook's definition.

    The body is JSON or YAML; what it does not name falls back to its default. The version goes up unless a higher
    one is given; runs under way keep the version they began with.
    """
    given = _taken(body.read_object(yaml=True), playbook_id)
    return _answered(library.revise(caller(), playbook_id, given, whole=True))


@blueprint.patch("/playbooks/<id:playbook_id>")
@requires("write:playbooks")
@blueprint.reads(shapes.PlaybookChanges(), example=shown.CHANGES)
@blueprint.answers(
    200, _ONE, example=_ONE_EXAMPLE, words="The playbook as it is now.", fails=(404, 409), takes_body=True
)
def change_playbook(playbook_id: str) -> Response:
    """Change parts of a playbook's definition.

    What the body does not name stays as it is; steps, parameters and the trigger are replaced as a whole. The
    version goes up unless a higher one is given.
    """
    return _answered(library.revise(caller(), playbook_id, _taken(body.read_object(), playbook_id), whole=False))


@blueprint.delete("/playbooks/<id:playbook_id>")
@requires("write:playbooks")
@blueprint.answers(204, words="It is gone.", fails=(404,))
def delete_playbook(playbook_id: str) -> Response:
    """Delete a playbook.

    Its runs stay and can still be read; those under way go on.
    """
    versioned.delete(playbooks.kind, caller(), playbook_id)
    return nothing()


@blueprint.post("/playbooks/<id:playbook_id>/enable")
@requires("write:playbooks")
@blueprint.answers(200, _ONE, example=_ONE_EXAMPLE, words="The playbook as it is now.", fails=(404, 409))
def enable_playbook(playbook_id: str) -> Response:
    """Let a playbook be started again.

    It makes no new version; an enabled playbook stays as it is. What its schedule missed is not made up for.
    """
    return _answered(library.set_enabled(caller(), playbook_id, enabled=True))


@blueprint.post("/playbooks/<id:playbook_id>/disable")
@requires("write:playbooks")
@blueprint.answers(200, _ONE, example={"data": shown.DISABLED}, words="The playbook as it is now.", fails=(404, 409))
def disable_playbook(playbook_id: str) -> Response:
    """Keep a playbook from being started.

    Runs under way go on; neither events nor its schedule start it until it is enabled.
    """
    return _answered(library.set_enabled(caller(), playbook_id, enabled=False))


@blueprint.get("/playbooks/<id:playbook_id>/versions")
@requires("read:playbooks")
@blueprint.arguments(pages.PageQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.page_of(shapes.PlaybookVersion),
    example={"data": [shown.VERSION], "meta": http_examples.META},
    words="One page of versions, newest first.",
    fails=(404,),
)
def list_playbook_versions(query: dict[str, Any], playbook_id: str) -> Response:
    """List the versions of a playbook.

    Each with its whole definition as it was, newest first.
    """
    with db.read() as connection:
        playbook = playbooks.get(connection, caller().workspace_id, playbook_id)
        rows, total = playbooks.kind.revisions(connection, playbook, **pages.bounds(query))
    return pages.page([_version(playbook_id, row) for row in rows], total, query)


@blueprint.get("/playbooks/<id:playbook_id>/versions/diff")
@requires("read:playbooks")
@blueprint.arguments(DifferenceQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.enveloped(shapes.VersionDifference),
    example={"data": shown.DIFFERENCE},
    words="What has changed.",
    fails=(404,),
)
def compare_playbook_versions(query: dict[str, Any], playbook_id: str) -> Response:
    """Compare two versions of a playbook.

    Steps and parameters are recognised by their id or name, so one that was put in between changes no other.
    """
    with db.read() as connection:
        playbook = playbooks.get(connection, caller().workspace_id, playbook_id)
        older = playbooks.at_version(connection, playbook, query["older"])
        newer = playbooks.at_version(connection, playbook, query.get("newer", playbook.revision.version))
    compared = [_compared(one) for one in (older, newer)]
    changes = pool.way(sum(size(one).milliseconds for one in compared))(differences, *compared)
    return answer({"data": {"from": older.version, "to": newer.version, "changes": changes}})


def _compared(revision: playbooks.Revision) -> dict[str, Any]:
    return {name: value for name, value in revision.definition.items() if name != "version"}


def _taken(given: dict[str, Any], playbook_id: str | None = None) -> dict[str, Any]:
    """The members that make up the definition; ``playbook_id`` is the playbook they are meant for, if it exists.

    Raises:
        InvalidRequest: an id that cannot be had.
    """
    wanted = given.get("id")
    fault = None
    if playbook_id is None and wanted in http_schemas.RESERVED_IDS:
        fault = f"{wanted!r} is a word of this API's own paths."
    elif playbook_id is not None and wanted not in (None, playbook_id):
        fault = "The id of a playbook never changes."
    if fault:
        problems = [Problem("/id", fault)]
        raise InvalidRequest("The playbook's definition has faults.", code="invalid_playbook", problems=problems)
    definition = library.written(given)
    if definition.get("version", "") is None:  # it goes up by itself
        del definition["version"]
    return definition


def _findings(problems: list[Problem]) -> list[dict[str, str]]:
    return [
        {"path": errors.json_path(problem.pointer), "pointer": problem.pointer, "message": problem.detail}
        for problem in problems
    ]


def _item(row: db.Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "version": row.version,
        "description": row.description,
        "trigger": row.trigger,
        "step_count": row.step_count,
        "tags": transitions.load(row.tags),
        "enabled": bool(row.enabled),
        "created_at": times.stamp(row.created_at),
        "updated_at": times.stamp(row.updated_at),
    }


def _whole(playbook: playbooks.Playbook) -> dict[str, Any]:
    return {
        "id": playbook.id,
        **playbook.revision.definition,
        "enabled": playbook.enabled,
        "step_count": playbook.step_count,
        "next_run_at": times.stamp(playbook.fire_at),
        "created_at": times.stamp(playbook.created_at),
        "updated_at": times.stamp(playbook.updated_at),
    }


def _version(playbook_id: str, row: db.Row) -> dict[str, Any]:
    return {
        "id": playbook_id,
        **transitions.load(row.definition),
        "created_at": times.stamp(row.created_at),
        "created_by": row.created_by,
    }


def _answered(playbook: playbooks.Playbook) -> Response:
    return answer({"data": _whole(playbook)})
