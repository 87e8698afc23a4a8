"""The importer: from a CACAO document to a playbook of Tocsin.

``convert`` returns the definition, the actions that it needs and the import has to make, and a remark for every part
that is carried out otherwise than the document says. It reads any document, faulty or not: reporting faults is for
``check``. A document that Tocsin wrote carries its definition; while no other tool has changed the document, the import
returns that definition, member by member.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from cacao.model.identity import EXTENSION, digest, is_fingerprint, names_made_action
from cacao.model.variables import as_native, from_document
from cacao.reading.blocks import Remark
from cacao.reading.names import TYPES, Names
from cacao.reading.workflow import WorkflowReader
from config.types import Json
from playbooks.definitions import normalise
from playbooks.definitions.fields import (
    MAX_DESCRIPTION_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_TAG_CHARACTERS,
    MAX_TAGS,
    is_line,
)
from playbooks.definitions.parameters import MAX_PARAMETERS
from playbooks.definitions.places import places
from playbooks.definitions.step_types import MAX_STEPS
from playbooks.definitions.versions import FIRST_VERSION, is_version

#: rounds that find the variables which steps set; after them none counts as set
_MOST_NARROWED = 6
_ELSEWHERE = (
    "The playbook is taken from an extension that was not written here: look whether it does what the document shows, "
    "then enable it."
)


@dataclass(frozen=True, kw_only=True)
class Converted:
    """The result of an import; it has to make ``actions``, by id.

    ``stuck`` says that a part could not be resolved, so the playbook must not run before a review.
    """

    definition: Json
    actions: Mapping[str, Json] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()
    stuck: bool = False


def convert(
    document: Mapping[str, Any],
    *,
    now: str,
    registered: Mapping[str, frozenset[str]] | None = None,
    refused: Mapping[str, str] | None = None,
) -> Converted:
    """The playbook that a document describes.

    ``now`` is an RFC 3339 time in UTC, for ``valid_from`` and ``valid_until``; ``registered`` has the parameters of the
    workspace's actions called ``cacao.<type>``; ``refused`` says why actions of an earlier attempt could not be made.

    Raises:
        TooLarge: it expands to more steps than a playbook may have.
    """
    returned: set[str] | None = None
    for narrowed in range(_MOST_NARROWED + 1):
        names = Names(document, returned)
        reader = WorkflowReader(document, names, registered or {}, refused or {})
        steps, exception = reader.top(str(document.get("workflow_start")), str(document.get("workflow_exception")))
        if names.all_returned(reader.returned):
            break
        # a variable that no step sets is known to people only, and steps that need it go to people, who set none either
        last = narrowed + 1 == _MOST_NARROWED
        returned = set() if last else reader.returned & (reader.returned if returned is None else returned)
    own = carried(document, reader.actions)
    if own is not None:
        return _as_carried(*own, reader.actions, in_force=_in_force(document, now))
    remarks = reader.remarks
    name = _line(document.get("name")) or "CACAO playbook"
    definition: Json = {
        "id": str(document.get("id")),
        "name": name,
        "version": FIRST_VERSION,
        "description": str(document.get("description") or "")[:MAX_DESCRIPTION_CHARACTERS],
        "parameters": _parameters(names, remarks),
        "steps": steps,
        "tags": _tags(document.get("labels")),
        "enabled": _in_force(document, now) and not reader.stuck,
        "exception_step": exception,
    }
    normalised = normalise.normalise(definition)
    return Converted(definition=normalised, actions=reader.actions, remarks=tuple(remarks), stuck=reader.stuck)


def carried(document: Mapping[str, Any], made: Collection[str] = ()) -> tuple[Json, bool] | None:
    """The definition that a document carries, and whether it is foreign.

    Foreign means that this installation did not write it. None if there is no definition, if the rest of the document
    was changed since, or if it needs actions that an import made elsewhere.
    """
    extensions = document.get("playbook_extensions")
    ours = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    definition = ours.get("definition") if isinstance(ours, dict) else None
    if not isinstance(ours, dict) or not isinstance(definition, dict) or ours.get("digest") != seal_of(document):
        return None
    if not is_version(definition.get("version")):
        return None
    foreign = not is_fingerprint(ours.get("seal"), [ours["digest"], definition])
    normalised = normalise.normalise(definition)
    steps = (place.step for place in islice(places(normalised), MAX_STEPS))
    if foreign and any(names_made_action(step) and step["action_ref"] not in made for step in steps):
        return None
    return normalised, foreign


def _as_carried(definition: Json, foreign: bool, actions: Mapping[str, Json], *, in_force: bool) -> Converted:
    """The result for a carried definition.

    A foreign one is disabled until a person has reviewed it, because it may differ from what the document shows.
    """
    remarks = (Remark("from_extension", f"/playbook_extensions/{EXTENSION}", _ELSEWHERE),) if foreign else ()
    enabled = definition["enabled"] if in_force and not foreign else False
    return Converted(definition={**definition, "enabled": enabled}, actions=actions, remarks=remarks, stuck=foreign)


def seal_of(document: Mapping[str, Any]) -> str:
    """The digest of a document without our extension, ``modified`` and signatures."""
    rest = {key: value for key, value in document.items() if key not in ("modified", "signatures")}
    extensions = rest.pop("playbook_extensions", None)
    others = (
        {key: value for key, value in extensions.items() if key != EXTENSION} if isinstance(extensions, dict) else {}
    )
    return digest({**rest, "playbook_extensions": others})


def _parameters(names: Names, remarks: list[Remark]) -> list[Json]:
    """A parameter for each external variable, required if it has no value."""
    found: list[Json] = []
    for name in names.parameters:
        given = names.variable(name)
        variable = from_document(given)
        one: Json = {"name": names.native(name), "type": TYPES.get(variable.type, "string"), "required": False}
        if isinstance(given.get("description"), str):
            one["description"] = given["description"][:MAX_DESCRIPTION_CHARACTERS]
        value = as_native(variable)
        if value is None:
            one["required"] = True
        elif _fits(value, one["type"]):
            one["default"] = value
        else:
            one |= {"type": "string", "default": str(variable.value)}
        found.append(one)
    left = list(filter(names.from_outside, names.declared))[len(names.parameters) :]
    if left:
        text = f"{len(left)} variables, of {left[0]} on, become no parameters: a playbook has {MAX_PARAMETERS} at most."
        remarks.append(Remark("too_many_variables", "/playbook_variables", text))
    return found


def _fits(value: Any, kind: str) -> bool:
    wanted = {"boolean": bool, "integer": int, "number": int | float, "object": dict, "string": str}[kind]
    return isinstance(value, wanted) and (kind == "boolean" or not isinstance(value, bool))


def _in_force(document: Mapping[str, Any], now: str) -> bool:
    """Whether the document is valid now and not revoked."""
    if document.get("revoked") is True:
        return False
    begin, end = document.get("valid_from"), document.get("valid_until")
    return (not isinstance(begin, str) or begin <= now) and (not isinstance(end, str) or now < end)


def _tags(labels: Any) -> list[str]:
    found = [one[:MAX_TAG_CHARACTERS] for one in labels if isinstance(one, str)] if isinstance(labels, list) else []
    return list(dict.fromkeys(one for one in found if is_line(one, MAX_TAG_CHARACTERS)))[:MAX_TAGS]


def _line(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(one if one.isprintable() else " " for one in text)[:MAX_NAME_CHARACTERS].strip()
