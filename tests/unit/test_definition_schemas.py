"""The schemas of definitions agree with the checks, on the examples and on random playbooks, sound or spoilt."""

import copy
import random
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from api.actions.definition_body import unknown
from config.errors import Problem
from playbooks.checks.playbook import check
from playbooks.definitions import actions
from playbooks.definitions.step_types import ALIASES, COMMON, COMMON_ALIASES, OPTIONAL, REQUIRED, TOP_ALIASES, TYPES
from playbooks.schemas import documents, steps
from tests.support.random_playbooks import every, some

EXAMPLES = Path(__file__).parents[2] / "examples"
ROOMS = ("actions", "playbooks")
#: what only the checks can tell, because it is about something else in the definition, or about what a text means
RELATIONS = (
    *(
        "there is no step",
        "no step leads to",
        "belongs to",
        "would never end",
        "is used twice",
        "the first step begins",
    ),
    *("is not known", "does not exist", "is not expected here", "the default must", "would run at once", "never runs"),
    *("cannot read its own", "runs later", "has not ended while", "is no list", "is no text", "there is no event to"),
    *("must be a value of at most", "must be named by a path", "belongs to a trigger", "must be one of manual"),
    *("an enum needs", "has no options", "means nothing for type", "is no rule", "is a rule", "is no field"),
    *("Invalid parameter type", "must be a string, a number", "has a meaning of its own", "says something else"),
    *("is more than the", "a reminder goes out", "must be shorter", "a schedule needs", "must be a number, a date"),
    *("must be true or false, not", "ends before", "unexpected end", "needs a value", "must be an object with 'min'"),
    *("only actions of type approval", "must be five fields"),
)
#: what a member is replaced by
VALUES = (
    None,
    0,
    -1,
    1.5,
    10**9,
    "",
    "x" * 3000,
    "a b",
    "next",
    "abort",
    [],
    {},
    True,
    [1],
    {"a": 1},
    ["x"],
    "{{ a }}",
)


@cache
def playbook() -> Draft202012Validator:
    """The validator of playbooks."""
    return Draft202012Validator(documents.playbook())


@cache
def action() -> Draft202012Validator:
    """The validator of actions, alone or in lists."""
    return Draft202012Validator(documents.action())


def faults_of_action(definition: Mapping[str, Any]) -> list[Problem]:
    """What creating an action finds in the definition itself."""
    return unknown(dict(definition)) + actions.check(definition)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


def changed(definition: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """The definition with one thing replaced, taken away or added anywhere."""
    made = copy.deepcopy(definition)
    path = draw.choice(list(places(made)))
    around: Any = made
    for key in path[:-1]:
        around = around[key]
    way = draw.choice(("replace", "take away", "add"))
    if way == "replace":
        around[path[-1]] = draw.choice(VALUES)
    elif way == "take away":
        del around[path[-1]]
    elif isinstance(around, dict):
        around["surprise"] = 1
    else:
        around.append(draw.choice(VALUES))
    return made


def respelled(definition: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """The same with other spellings, here and there with both, nulls, and members inside parameters."""
    made = copy.deepcopy(definition)
    for step in every(made["steps"]):
        spellings = {**COMMON_ALIASES, **ALIASES.get(step["type"], {})}
        for alias, name in spellings.items():
            if name in step and alias != "timeout_minutes" and draw.random() < 0.4:
                step[alias] = step[name]
                if draw.random() < 0.9:
                    del step[name]
                elif draw.random() < 0.5:
                    step[name] = None
        if step["type"] in ("delay", "approval") and draw.random() < 0.3:
            own = [name for name in step if name not in (*COMMON, *COMMON_ALIASES)]
            step["parameters"] = {name: step.pop(name) for name in own}
        if draw.random() < 0.2:
            step["description"] = None
    return made


def sound(number: int) -> list[dict[str, Any]]:
    """Playbooks without faults: the examples, and so many random ones."""
    written = [yaml.safe_load(path.read_text()) for path in sorted((EXAMPLES / "playbooks").glob("*.yaml"))]
    return [*written, *({"name": "Random", **one} for one in some(number, seed=11))]


def test_the_schemas_are_schemas() -> None:
    """Both are JSON Schema 2020-12, by its own schema."""
    for made in (documents.playbook(), documents.action()):
        assert made["$schema"].endswith("2020-12/schema")
        Draft202012Validator.check_schema(made)


@pytest.mark.parametrize("path", [path for room in ROOMS for path in sorted((EXAMPLES / room).glob("*.yaml"))])
def test_an_editor_finds_nothing_in_the_examples(path: Path) -> None:
    """Each file of actions, a single one or a list, and of playbooks has the form of its schema."""
    validator = playbook() if path.parent.name == "playbooks" else action()
    assert [error.message for error in validator.iter_errors(yaml.safe_load(path.read_text()))] == []


def test_every_member_of_every_type_is_in_both_forms() -> None:
    """The members of a type are those of ``step_types``; an author may spell them in every way that is understood."""
    stored, authored = steps.stored("#/"), steps.authored("#/")
    for kind in TYPES:
        members = {*COMMON, *REQUIRED[kind], *OPTIONAL[kind]}
        assert set(stored[steps.named(kind)]["properties"]) == members
        assert set(stored[steps.named(kind)]["required"]) == {"id", "type", "name", *REQUIRED[kind]}
        spelled = set(authored[steps.named(kind, "Definition")]["properties"])
        assert spelled >= members | COMMON_ALIASES.keys() | ALIASES.get(kind, {}).keys()
        assert spelled <= members | COMMON_ALIASES.keys() | ALIASES.get(kind, {}).keys() | {
            *{"delay": ("delay_seconds", "parameters"), "approval": ("parameters",), "parallel": ("steps",)}.get(
                kind, ()
            )
        }
    assert set(documents.playbook()["$defs"]["Playbook"]["properties"]) >= TOP_ALIASES.keys()


@pytest.mark.parametrize(("number", "times"), [(8, 12), pytest.param(60, 60, marks=pytest.mark.gate)])
def test_what_a_schema_refuses_the_checks_refuse(number: int, times: int) -> None:
    """And in what both differ the checks name something that no schema can say."""
    draw, refused, told = random.Random(5), 0, []
    for definition in sound(number):
        for _ in range(times):
            given = respelled(definition, draw)
            made = changed(given, draw) if draw.random() < 0.8 else given
            found = check(made)
            if not playbook().is_valid(made):
                refused += 1
                assert found, f"the schema refuses what may be created: {made}"
            told += [one.detail for one in found if playbook().is_valid(made) and not _is_relation(one.detail)]
    assert refused > number * times / 4
    assert told == []


def test_the_schema_of_actions_agrees_with_the_checks() -> None:
    """The same for actions."""
    draw, refused, told = random.Random(6), 0, []
    files = [yaml.safe_load(path.read_text()) for path in sorted((EXAMPLES / "actions").glob("*.yaml"))]
    known = [one for file in files for one in (file if isinstance(file, list) else [file])]
    known.append(
        {"name": "Ask", "type": "approval", "retry": {"max_attempts": 2, "jitter": False}, "description": None}
    )
    known.append({"name": "Call", "type": "webhook", "executor": {"type": "webhook", "url": "https://a.example"}})
    for definition in known:
        for _ in range(80):
            made = changed(definition, draw)
            found = faults_of_action(made)
            if not action().is_valid(made):
                refused += 1
                assert found, f"the schema refuses what may be created: {made}"
            told += [one.detail for one in found if action().is_valid(made) and not _is_relation(one.detail)]
    assert refused > 60
    assert told == []


def _is_relation(detail: str) -> bool:
    return any(words in detail for words in RELATIONS)
