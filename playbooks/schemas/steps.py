"""The schema of a step: one alternative for each type, from the members that ``step_types`` names.

There are two forms. An author's has every spelling of a member, and null counts as absent. The stored form, in which
answers show steps, has one spelling, and a name.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from playbooks.definitions.step_types import (
    ALIASES,
    COMMON,
    COMMON_ALIASES,
    LINK_WORDS,
    MEMBERS_IN_PARAMETERS,
    OPTIONAL,
    REQUIRED,
    TYPES,
)
from playbooks.schemas.members import STEP_ID, Schema, member, nullable

#: spellings that are read in their own way, and that are not aliases
_FURTHER: Mapping[str, Mapping[str, str]] = {"delay": {"delay_seconds": "seconds"}, "parallel": {"steps": "branches"}}
_WORDS = {
    "action": "Carries out an action.",
    "condition": "Decides between two steps.",
    "switch": "Decides among several steps.",
    "parallel": "Runs its branches in parallel.",
    "loop": "Repeats its steps while a condition holds.",
    "for_each": "Runs its steps for each item of a list.",
    "delay": "Waits.",
    "approval": "Waits for people to decide.",
    "playbook": "Runs a playbook.",
}
_GIVEN: Schema = {"not": {"type": "null"}}
_IDENTITY: Schema = {
    "type": "string",
    "pattern": STEP_ID,
    "not": {"enum": sorted(LINK_WORDS)},
    "description": "Unique in the whole playbook.",
}


def named(kind: str, suffix: str = "") -> str:
    """The name of the schema of a type: ActionStep, ForEachStep; with a suffix of an author's form."""
    return "".join(word.capitalize() for word in kind.split("_")) + f"Step{suffix}"


def stored(at: str) -> dict[str, Schema]:
    """The schemas of the stored form by name; ``at`` is where references find them."""
    alternatives = {named(kind): _stored(kind, _list(f"{at}Step")) for kind in TYPES}
    return {**alternatives, "Step": _any(at, {kind: named(kind) for kind in TYPES}, "A step as it is kept.")}


def authored(at: str) -> dict[str, Schema]:
    """The schemas of an author's form by name; ``at`` is where references find them."""
    steps = _list(f"{at}StepDefinition")
    alternatives = {named(kind, "Definition"): _authored(kind, steps) for kind in TYPES}
    names = {kind: named(kind, "Definition") for kind in TYPES}
    return {**alternatives, "StepDefinition": _any(at, names, "A step as its author writes it.")}


def _any(at: str, names: Mapping[str, str], description: str) -> Schema:
    references = {kind: f"{at}{name}" for kind, name in names.items()}
    return {
        "type": "object",
        "description": description,
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": "type", "mapping": references},
        "required": ["id", "type"],
    }


def _list(reference: str) -> Schema:
    return {"type": "array", "minItems": 1, "items": {"$ref": reference}}


def _base(kind: str, members: Mapping[str, Schema], required: Iterable[str]) -> Schema:
    return {
        "type": "object",
        "description": _WORDS[kind],
        "properties": {"id": _IDENTITY, "type": {"type": "string", "const": kind}, **members},
        "required": ["id", "type", *required],
        "additionalProperties": False,
    }


def _members(kind: str) -> list[str]:
    return [one for one in (*COMMON, *REQUIRED[kind], *OPTIONAL[kind]) if one not in ("id", "type")]


def _stored(kind: str, steps: Schema) -> Schema:
    members = {name: member(name, name, steps) for name in _members(kind)}
    if kind == "parallel":  # every branch has become an object
        branches = members["branches"]
        members["branches"] = {**branches, "items": branches["items"]["anyOf"][1]}
    return _base(kind, members, ["name", *REQUIRED[kind]])


def _authored(kind: str, steps: Schema) -> Schema:
    spellings = {**COMMON_ALIASES, **ALIASES.get(kind, {}), **_FURTHER.get(kind, {})}
    groups = {name: [name, *(one for one, of in spellings.items() if of == name)] for name in _members(kind)}
    members = {one: nullable(_spelled(name, one, steps)) for name, group in groups.items() for one in group}
    schema = _base(kind, members, [])
    wrapped = kind in MEMBERS_IN_PARAMETERS
    rules = [_not_both(*pair) for group in groups.values() for pair in combinations(group, 2)]
    for name in REQUIRED[kind]:
        ways = [_present(one) for one in groups[name]]
        if wrapped:
            inside = [one for one in groups[name] if one != "delay_seconds" or kind == "delay"]
            ways += [_present("parameters", {"type": "object", **_present(one)}) for one in inside]
        rules.append({"anyOf": ways} if len(ways) > 1 else ways[0])
    if wrapped:
        inner = {one: shape for one, shape in members.items() if _may_be_inside(kind, one, spellings)}
        schema["properties"]["parameters"] = {
            "type": ["object", "null"],
            "properties": inner,
            "additionalProperties": False,
            "description": "Members of the step may stand here, too.",
        }
    return {**schema, **({"allOf": rules} if rules else {})}


def _spelled(name: str, spelling: str, steps: Schema) -> Schema:
    """The schema of a member in one spelling; the steps of a parallel are a branch each."""
    return member("steps" if spelling == "steps" else name, spelling, steps)


def _may_be_inside(kind: str, spelling: str, spellings: Mapping[str, str]) -> bool:
    name = spellings.get(spelling, spelling)
    return name in (*REQUIRED[kind], *OPTIONAL[kind], "on_success", "on_failure") and spelling not in COMMON_ALIASES


def _present(name: str, more: Schema | None = None) -> Schema:
    return {"required": [name], "properties": {name: _GIVEN if more is None else more}}


def _not_both(one: str, other: str) -> dict[str, Any]:
    return {"not": {"required": [one, other], "properties": {one: _GIVEN, other: _GIVEN}}}
