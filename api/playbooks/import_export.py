"""``/api/playbooks/import`` and ``/api/playbooks/{id}/export``: playbooks in and out."""

from typing import Any

from flask import Response, request

from api.http import body
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer, as_yaml, finished, written
from api.http.documented import error_answers
from api.http.idempotency_key import CREATION_KEY, Remember, once
from api.playbooks import import_export_schemas as shapes
from config import strict_yaml
from playbooks.checks.size import size
from playbooks.definitions.places import places
from store.definitions import playbooks
from store.engine import db
from tasks.definitions import exports, imports
from tasks.definitions.import_conflicts import Imported, ImportOptions
from tasks.intake.creations import Secret
from tasks.offload import pool

blueprint = Blueprint("exchange", __name__, tag="playbooks")

_IMPORTED = http_schemas.enveloped(shapes.Imported)
_ANY_OBJECT: dict[str, Any] = {"type": "object"}
#: writing a definition as YAML takes as many times as long as checking it
_WRITING = 5
_WAIT = {"name": "Wait", "steps": [{"id": "wait", "type": "delay", "seconds": 300}]}
_AS_YAML = as_yaml(_WAIT)


@blueprint.get("/playbooks/<id:playbook_id>/export")
@requires("read:playbooks")
@blueprint.arguments(shapes.ExportQuery(), location="query")
@blueprint.doc(responses={200: {"content": {"application/yaml": _AS_YAML}}})
@blueprint.answers(
    200,
    shapes.Document(),
    example=shapes.DOCUMENT,
    words="The document, as an attachment.",
    fails=(404, 422, "sealed", "not_signable", "no_signing_key"),
)
def export_playbook(query: dict[str, Any], playbook_id: str) -> Response:
    """Export a playbook.

    As an OASIS CACAO 2.0 document that other tools can read, or as the definition in JSON or YAML. An imported document
    comes back unchanged except for later edits. References replace its credentials, and signatures that no longer match
    are dropped; the header ``X-Tocsin-Notices`` reports both. With ``envelope=data`` the document is under ``data``,
    and the notices are in ``meta``.
    """
    form, enveloped = query["form"], query.pop("envelope") == shapes.DATA
    found = exports.export_playbook(caller(), playbook_id, **query)
    shown = {"data": found.document, "meta": {"notices": list(found.notices)}} if enveloped else found.document
    ending = "yaml" if form == exports.YAML else "json"
    headers = {"Content-Disposition": f'attachment; filename="{playbook_id}.{ending}"'}
    if found.notices:
        headers["X-Tocsin-Notices"] = ", ".join(found.notices)
    if form == exports.YAML:
        way = pool.way(size(found.document).milliseconds * _WRITING)
        return Response(way(strict_yaml.dump, shown), headers=headers, content_type="application/yaml")
    return finished(written(shown), headers=headers)


@blueprint.post("/playbooks/import", parameters=[CREATION_KEY])
@requires("write:playbooks")
@blueprint.arguments(shapes.ImportQuery(), location="query")
@blueprint.reads(_ANY_OBJECT, example=shapes.DOCUMENT, yaml=True)
@blueprint.answers(
    201,
    _IMPORTED,
    example=shapes.IMPORTED,
    words="The playbook that was made.",
    fails=(
        409,
        422,
        "invalid_playbook",
        "not_recognised",
        "already_exists",
        "changed",
        "sealed",
        "invalid_cacao",
        "too_large",
        *error_answers.CREATED,
    ),
    takes_body=True,
)
@blueprint.response(200, _IMPORTED, example=shapes.IMPORTED, description="A dry run, or nothing new was made.")
def import_playbook(query: dict[str, Any]) -> Response:
    """Import a playbook.

    The body is an OASIS CACAO 2.0 document (drafts are brought up to date), a STIX bundle that carries one, or a
    definition in JSON or YAML; ``{"playbook": ..., "dry_run": true}`` wraps either. Importing fetches nothing and
    executes nothing. With dry_run it also stores nothing.
    """
    options, given = ImportOptions(**query, reserved=frozenset(http_schemas.RESERVED_IDS)), body.read_object(yaml=True)

    def made(remember: Remember) -> Response:
        alongside = lambda connection, playbook: remember(connection, playbook.id)  # noqa: E731 - it is one call
        return _answer(imports.import_playbook(caller(), given, options, alongside))

    return once("import", [query, given], made, _again)


def _again(playbook_id: str, _secret: Secret) -> Response:
    """What an import has made, as it is now; the copy imports nothing and finds nothing."""
    playbook = db.read_one(playbooks.get, caller().workspace_id, playbook_id)
    definition = {"id": playbook.id, **playbook.revision.definition}
    return _answer(Imported(definition=definition, playbook=playbook, outcome="created"))


def _answer(found: Imported) -> Response:
    if found.outcome != "created" or found.playbook is None:
        return answer({"data": _shown(found)})
    location = f"{request.path.removesuffix('/').removesuffix('/import')}/{found.playbook.id}"
    return answer({"data": _shown(found)}, 201, {"Location": location})


def _shown(found: Imported) -> dict[str, Any]:
    playbook = found.playbook
    return {
        "id": found.definition["id"],
        "name": found.definition["name"],
        "version": found.definition["version"],
        "step_count": sum(1 for _ in places(found.definition)),
        "enabled": playbook.enabled if playbook is not None else found.definition["enabled"],
        "dry_run": playbook is None,
        "outcome": found.outcome,
        "conformance": found.conformance,
        "warnings": [{"code": one.code, "pointer": one.pointer, "message": one.message} for one in found.warnings],
        "unsupported": found.unsupported,
        "playbook": found.definition,
    }
