"""The exporter: from a playbook of Tocsin to a CACAO document.

``export`` writes the playbook's graph in the terms of the standard (``workflow``), so that other tools can show and run
it, and puts the definition as Tocsin stores it into an extension: this carries what CACAO has no property for (retries,
triggers, templates over events), and an import restores it.
"""

import json
from collections.abc import Mapping
from typing import Any

from cacao.model.graph import member
from cacao.model.identity import DEFINITION, EXTENSION, fingerprint, with_own
from cacao.reading.importer import seal_of
from cacao.writing.workflow import WrittenWorkflow, playbook_identifier, reached, write
from config.types import Json

#: type of a parameter → type of its CACAO variable; all others are strings
_TYPES = {"boolean": "bool", "integer": "integer", "number": "float", "object": "dictionary"}


def export(
    definition: Mapping[str, Any], *, playbook_id: str, workspace: str, identity: str, created: str, modified: str
) -> Json:
    """The document of a playbook.

    ``definition`` is normalised and free of faults; times are RFC 3339 with milliseconds.
    """
    own = playbook_identifier(workspace, playbook_id)
    written = write(definition, playbook_id=own, workspace=workspace)
    steps = reached(written.steps, (written.start, written.exception))
    document: Json = {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": own,
        "name": definition["name"],
        "created_by": identity,
        "created": created,
        "modified": modified,
        "workflow_start": written.start,
        "workflow": {name: with_ours(step, name, written) for name, step in steps.items()},
    }
    if definition["description"]:
        document["description"] = definition["description"]
    if definition["tags"]:
        document["labels"] = list(definition["tags"])
    if definition["parameters"]:
        document["playbook_variables"] = {f"__{one['name']}__": variable(one) for one in definition["parameters"]}
    if written.exception is not None:
        document["workflow_exception"] = written.exception
    if agents := written.agents_of(steps):
        document["agent_definitions"] = agents
    return with_definition(document, {"id": playbook_id, **definition})


def with_definition(document: Mapping[str, Any], definition: Mapping[str, Any]) -> Json:
    """The document with the definition in our extension.

    Values in its place that are no objects are replaced.
    """
    extensions = {key: one for key, one in member(document, "playbook_extensions").items() if key != EXTENSION}
    defined = {**member(document, "extension_definitions"), EXTENSION: DEFINITION}
    extended = {**document, "extension_definitions": defined}
    own = seal_of(extended)
    ours = {"definition": dict(definition), "digest": own, "seal": fingerprint([own, definition])}
    return {**extended, "playbook_extensions": {**extensions, EXTENSION: ours}}


def with_ours(step: Mapping[str, Any], name: str, written: WrittenWorkflow) -> Json:
    """A step with its Tocsin members, if any, in our extension.

    Extensions of others stay.
    """
    if name not in written.ours:
        return dict(step)
    sealed = with_own(step, *written.ours[name])
    others = member(step, "step_extensions")
    return {**sealed, "step_extensions": {**others, **sealed["step_extensions"]}} if others else sealed


def variable(parameter: Mapping[str, Any]) -> Json:
    """The CACAO variable for a parameter; a secret's default is left out."""
    made: Json = {"type": _TYPES.get(parameter["type"], "string"), "external": True}
    if parameter.get("description"):
        made["description"] = parameter["description"]
    default = parameter.get("default")
    if default is not None and parameter["type"] != "secret":
        made["value"] = default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)
    return made
