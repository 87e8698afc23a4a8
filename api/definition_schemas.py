"""``/api/playbooks/schema`` and ``/api/actions/schema``: the form of definitions, as editors read it.

They are the same for all and say nothing of a workspace, so an editor needs no key and may keep them for an hour.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

from flask import Response

from api.http.auth import public
from api.http.blueprint import Blueprint
from playbooks.schemas import documents

blueprint = Blueprint("definition-schemas", __name__, tag="playbooks")

_KIND = "application/schema+json"
_ANY_SCHEMA = {"type": "object"}
_EXAMPLE = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A playbook of Tocsin"}
_KEPT = {"Cache-Control": "public, max-age=3600"}
_WORDS = "The schema, in JSON Schema 2020-12."


@blueprint.get("/playbooks/schema")
@public
@blueprint.fails(429)
@blueprint.response(200, _ANY_SCHEMA, example=_EXAMPLE, description=_WORDS, content_type=_KIND)
@blueprint.doc(security=[{}])
def get_playbook_schema() -> Response:
    """Get the schema of playbooks.

    For editors, which complete and check a YAML or JSON file by it. What stands in relation to other things, such as
    links, templates and the ids of actions, only `POST /api/playbooks/validate` can tell.
    """
    return _answer(documents.playbook)


@blueprint.get("/actions/schema", tags=["actions"])
@public
@blueprint.fails(429)
@blueprint.response(200, _ANY_SCHEMA, example=_EXAMPLE, description=_WORDS, content_type=_KIND)
@blueprint.doc(security=[{}])
def get_action_schema() -> Response:
    """Get the schema of actions.

    For editors, which complete and check a YAML or JSON file by it; a file may hold a list of actions. The config of an
    executor, and templates, only `POST /api/actions/validate` can tell.
    """
    return _answer(documents.action)


def _answer(make: Callable[[], dict[str, Any]]) -> Response:
    return Response(_text(make), headers=_KEPT, content_type=_KIND)


@functools.cache
def _text(make: Callable[[], dict[str, Any]]) -> str:
    return json.dumps(make(), indent=1)
