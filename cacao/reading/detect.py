"""The kinds of body that an import accepts.

``recognise`` looks at members only. A body is a CACAO document, bare or with ``dry_run`` among its members; a wrapper
``{"playbook": ..., "dry_run": true}``; a STIX bundle (with the document as an object, or in base64 as
``playbook_bin``); or a definition of Tocsin.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from config.errors import InvalidRequest
from config.strict_json import parse
from config.types import Json

#: members of a body that are options of the import
_OPTIONS = ("dry_run", "lenient", "on_conflict")
_BINARY = "playbook_bin"
#: objects of a bundle that are searched, and the depth to which each is
_MOST_OBJECTS, _DEEPEST = 10_000, 8


class NotRecognised(Exception):  # noqa: N818
    """The body is none of these; the message says what was expected."""


@dataclass(frozen=True)
class Sent:
    """The body of an import: document or definition, and its options."""

    document: Json
    is_cacao: bool
    options: Json


def recognise(body: Mapping[str, Any]) -> Sent:
    """The kind of a request's body.

    Raises:
        NotRecognised: it has nothing to import.
    """
    options = {name: body[name] for name in _OPTIONS if name in body}
    rest = {name: value for name, value in body.items() if name not in _OPTIONS}
    if rest.keys() == {"playbook"}:
        if not isinstance(rest["playbook"], dict):
            raise NotRecognised("'playbook' must be an object: a CACAO document or a definition.")
        rest = rest["playbook"]
    if rest.get("type") == "bundle" and isinstance(rest.get("objects"), list):
        return Sent(_of_bundle(rest["objects"]), is_cacao=True, options=options)
    is_cacao = rest.get("type") == "playbook" or "spec_version" in rest or isinstance(rest.get("workflow"), dict)
    if not is_cacao and "steps" not in rest:
        raise NotRecognised(
            'Send a CACAO playbook ("type": "playbook"), a STIX bundle with one, or a definition with steps.'
        )
    return Sent(rest, is_cacao=is_cacao, options=options)


def _of_bundle(objects: list[Any]) -> Json:
    carried = (document for one in objects[:_MOST_OBJECTS] for document in _carried(one))
    found = list(islice(carried, _MOST_OBJECTS))
    if len(found) != 1:
        raise NotRecognised(f"The bundle carries {len(found) or 'no'} playbooks; send one that carries exactly one.")
    return found[0]


def _carried(one: Any) -> Iterator[Json]:
    """The CACAO documents in one object of a bundle."""
    if isinstance(one, dict) and one.get("type") == "playbook" and isinstance(one.get("workflow"), dict):
        yield one
        return
    level = [one]
    for _ in range(_DEEPEST):
        for value in level:
            if isinstance(value, dict) and isinstance(value.get(_BINARY), str):
                yield _decoded(value[_BINARY])
        level = [inner for value in level for inner in _inside(value)]


def _inside(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for one in inner if isinstance(one, dict | list)]


def _decoded(text: str) -> Json:
    """A document in base64, as strictly parsed as a body."""
    try:
        document = parse(base64.b64decode(text, validate=False))
    except binascii.Error as error:
        raise NotRecognised(f"'{_BINARY}' is no base64: {str(error)[:200]}.") from error
    except InvalidRequest as error:
        raise NotRecognised(f"'{_BINARY}' cannot be read as a body of its own: {str(error)[:200]}") from error
    if not isinstance(document, dict):
        raise NotRecognised(f"'{_BINARY}' is no JSON object.")
    return document
