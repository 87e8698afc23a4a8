"""What holds for any CACAO document: it can be kept, it comes back as it came, and one edit is one difference.

The documents are random, with every type of step, command, agent, authentication and marking. ``make fuzz`` takes more
of them.
"""

import copy
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from playbooks import actions, checks
from playbooks.cacao import lens
from playbooks.cacao.check import check
from playbooks.cacao.inward import Converted, convert
from playbooks.plan import every_step
from tests.support.cacao import NOW, Json, http, manual
from tests.support.cacao import document as valid
from tests.support.cacao_documents import changes, documents

LATER = "2026-12-01T00:00:00.000Z"
#: how many documents each law is held against; the profile of ``make fuzz`` says more
NUMBER = max(settings.default.max_examples, 300 if os.environ.get("CI") else 0)  # noqa: TID251
many = settings(
    max_examples=NUMBER,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def faults(found: Converted) -> list[Any]:
    """Why the playbook could not be kept."""
    known = {name: actions.normalise(one) for name, one in found.actions.items()}
    playbooks = {
        str(step["playbook_ref"]) for step in every_step(found.definition["steps"]) if step["type"] == "playbook"
    }
    broken = [problem for one in found.actions.values() for problem in actions.check(actions.normalise(one))]
    return [*broken, *checks.check(found.definition, known, playbooks)]


@many
@given(document=documents())
def test_a_valid_document_becomes_a_playbook_that_can_be_kept(document: Json) -> None:
    """Whatever a faultless document holds, it makes a definition without faults, and leaves the document alone."""
    before = copy.deepcopy(document)
    found = convert(document, now=NOW)
    assert faults(found) == []
    assert document == before
    assert convert(document, now=NOW) == found


def _texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the texts of a document stand."""
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _texts(one, (*path, key))
    if isinstance(value, str):
        yield path


#: longer than anything may be here, or full of what means something here
HUGE = ("x" * 60_000, "a/b?c#d{{ x }}" * 300, "__ip__:value " * 900, "\n" * 50)


@many
@given(document=documents(), text=st.sampled_from(HUGE), data=st.data())
def test_a_text_of_any_length_becomes_what_can_be_kept(document: Json, text: str, data: st.DataObject) -> None:
    """Wherever the standard lets a text be that long, the playbook is within our limits."""
    *way, last = data.draw(st.sampled_from(sorted(_texts(document), key=str)))
    holder = copy.deepcopy(document)
    given = holder
    for key in way:
        holder = holder[key]
    holder[last] = text
    if not any(one.error for one in check(given)):
        assert faults(convert(given, now=NOW)) == []


MANY: dict[str, Json] = {
    "variables": {
        "steps": {
            "start.s": {"on_completion": "action.a"},
            "action.a": manual(" ".join(f"__v{n}__:value" for n in range(300)), on_completion="end.e"),
        },
        "members": {"playbook_variables": {f"__v{n}__": {"type": "string", "value": "x"} for n in range(300)}},
    },
    "cases": {
        "steps": {
            "start.s": {"on_completion": "switch-condition.c"},
            "switch-condition.c": {
                "switch": "__v__:value",
                "cases": {f"case-{n}": "action.a" for n in range(500)},
                "on_completion": "end.e",
            },
            "action.a": manual("a", on_completion="end.e"),
        },
        "members": {"playbook_variables": {"__v__": {"type": "string", "value": "x"}}},
    },
    "variables of requests": {
        "steps": {
            "start.s": {"on_completion": "action.0"},
            **{
                f"action.{n}": http(
                    f"GET https://sink.example.org/__v{n}__:value HTTP/1.1",
                    on_completion=f"action.{n + 1}" if n < 299 else "end.e",
                )
                for n in range(300)
            },
        },
        "members": {"playbook_variables": {f"__v{n}__": {"type": "string", "value": "x"} for n in range(300)}},
    },
    "branches": {
        "steps": {
            "start.s": {"on_completion": "parallel.p"},
            "parallel.p": {"next_steps": [f"action.{n}" for n in range(500)], "on_completion": "end.e"},
            **{f"action.{n}": manual("a", on_completion="end.e") for n in range(500)},
        },
    },
    "commands": {
        "steps": {
            "start.s": {"on_completion": "action.a"},
            "action.a": {**manual("a", on_completion="end.e"), "commands": [{"type": "manual", "command": "x"}] * 300},
        },
    },
    "labels": {
        "steps": {"start.s": {"on_completion": "action.a"}, "action.a": manual("a", on_completion="end.e")},
        "members": {"labels": [f"label-{n}" for n in range(2000)]},
    },
}


@pytest.mark.parametrize("name", MANY)
def test_any_number_of_things_becomes_what_can_be_kept(name: str) -> None:
    """What is more than we have of a thing is said, and none of it is passed over in silence."""
    made = valid({**MANY[name]["steps"], "end.e": {}}, **MANY[name].get("members", {}))
    assert [one for one in check(made) if one.error] == []
    assert faults(convert(made, now=NOW)) == []


@many
@given(document=documents())
def test_what_was_not_changed_comes_back_as_it_came(document: Json) -> None:
    """Export after import is the document, value by value, through JSON too."""
    before = convert(document, now=NOW).definition
    kept = json.loads(json.dumps(document))
    assert lens.put(kept, before, {**before, "version": "1.0.9", "enabled": False}, modified=LATER) == document


def _renamed(definition: Json, number: int) -> None:
    steps = list(every_step(definition["steps"]))
    dict(steps[number % len(steps)])  # a step of any block
    steps[number % len(steps)].update(name="Another name")  # type: ignore[attr-defined]


EDITS: dict[str, Any] = {
    "name": lambda definition, _number: definition.update(name="Another name"),
    "description": lambda definition, _number: definition.update(description="About something else"),
    "tags": lambda definition, number: definition.update(tags=["other", f"number-{number}"]),
    "step": _renamed,
    "trigger": lambda definition, _number: definition.update(trigger={"event": "finding.new", "conditions": {}}),
    "minutes": lambda definition, number: definition.update(timeout_minutes=1 + number),
}


@many
@given(document=documents(), edit=st.sampled_from(sorted(EDITS)), number=st.integers(0, 1000))
def test_one_edit_is_one_difference(document: Json, edit: str, number: int) -> None:
    """After one member was edited here the export is valid, and importing it gives the edited playbook and no other."""
    before = convert(document, now=NOW).definition
    now = copy.deepcopy(before)
    EDITS[edit](now, number)
    out = lens.put(document, before, now, modified=LATER)
    assert [one for one in check(out) if one.error] == []
    assert lens.content(convert(out, now=NOW).definition) == lens.content(now)
    if edit in ("name", "description", "tags") and before != now:
        changed = {key for key in out.keys() | document.keys() if out.get(key) != document.get(key)}
        property_ = {"tags": "labels"}.get(edit, edit)
        assert changed <= {property_, "modified", "signatures"}


@pytest.mark.parametrize("edit", sorted(EDITS))
@pytest.mark.parametrize("member", ["playbook_extensions", "extension_definitions", "labels", "agent_definitions"])
@pytest.mark.parametrize("value", [[], "x", 5, None, ["x"], {}], ids=str)
def test_what_is_no_object_counts_as_absent(member: str, value: Any, edit: str) -> None:
    """A document that was imported with its faults is exported after any edit, and comes back as it is then."""
    steps = {"start.s": {"on_completion": "action.a"}, "action.a": manual("a", on_completion="end.e"), "end.e": {}}
    _comes_back(valid(steps, **{member: value}), edit, 1)


@many
@given(document=documents(), edit=st.sampled_from(sorted(EDITS)), data=st.data())
def test_a_document_with_faults_comes_back_edited_too(document: Json, edit: str, data: st.DataObject) -> None:
    """Whatever stands wherever in it: as long as it can be imported it can be edited here and exported."""
    for _ in range(data.draw(st.integers(1, 3))):
        document = data.draw(changes(document))
        if not isinstance(document.get("workflow"), dict):
            return
    _comes_back(document, edit, data.draw(st.integers(0, 1000)))


def _comes_back(document: Json, edit: str, number: int) -> None:
    before = convert(document, now=NOW).definition
    now = copy.deepcopy(before)
    EDITS[edit](now, number)
    out = lens.put(document, before, now, modified=LATER)
    assert lens.content(convert(out, now=NOW).definition) == lens.content(now)


@pytest.mark.parametrize("edit", sorted(EDITS))
def test_every_edit_changes_something(edit: str) -> None:
    """The edits of these tests are edits."""
    definition: Json = {"name": "a", "description": "b", "tags": [], "steps": [{"id": "x", "type": "delay"}]}
    now = copy.deepcopy(definition)
    EDITS[edit](now, 7)
    assert now != definition
