"""The actions that a version of a bundle brings: definitions made from what its functions say of themselves.

What a function says came out of the sandbox and is data of the uploader's: it is checked like any definition that a
caller writes, and each fault is named with the file and the line of the function.
"""

from collections.abc import Mapping
from typing import Any

from tocsin.actions.files import Fault

from config.errors import InvalidRequest, Problem, Unprocessable
from config.types import Json
from playbooks.checks.size import size
from playbooks.definitions import actions as meaning
from store.bundles.versions import Version

_DEFAULT_TYPE = "script"
#: what a function may leave out
_WISHES = ("description", "timeout_seconds", "retry", "idempotent", "tags")


class InvalidBundle(Unprocessable):
    """The bundle has faults."""

    code = "invalid_bundle"

    def __init__(self, faults: list[Fault]) -> None:
        problems = [Problem(f"/{fault.file}" if fault.file else "", str(fault)) for fault in faults]
        super().__init__("The bundle has faults; nothing was stored.", problems=problems)
        self.members = {"faults": [{"file": one.file, "line": one.line, "detail": one.message} for one in faults]}


def action_id(bundle: str, function: str) -> str:
    """What the action of a function is called."""
    return f"act-{bundle}-{function}"


def definition(name: str, digest: str, function: Mapping[str, Any]) -> Json:
    """The action of a function."""
    wishes = {wish: function[wish] for wish in _WISHES if function.get(wish) is not None}
    output = {} if function.get("output") is None else {"output_schema": function["output"]}
    return {
        "id": action_id(name, function["id"]),
        "name": f"{name} {function['id']}",
        "type": function.get("type") or _DEFAULT_TYPE,
        "executor": "local",
        "config": {"bundle": name, "digest": digest, "handler": function["id"]},
        "parameters": function.get("parameters") or [],
        **output,
        **wishes,
    }


def definitions(version: Version) -> dict[str, Json]:
    """The actions of a version, by id."""
    made = [definition(version.name, version.digest, function) for function in version.functions]
    return {one["id"]: one for one in made}


def faults_of(name: str, digest: str, functions: list[Json]) -> list[Fault]:
    """Why functions cannot become actions."""
    faults: list[Fault] = []
    for function in functions:
        file, line = function["place"]
        try:
            wanted = definition(name, digest, function)
            counted = size(wanted)
            problems = [Problem("", counted.fault_of_action)] if counted.fault_of_action else meaning.check(wanted)
        except (InvalidRequest, TypeError, ValueError, KeyError, AttributeError) as error:
            problems = [Problem("", f"cannot be an action: {error}")]
        texts = [f"{function['id']}{problem.pointer}: {problem.detail}" for problem in problems]
        faults += [Fault(file, line, text) for text in texts]
    return faults
