"""Laws of any CACAO document: it can be stored, comes back unchanged, and one edit is one difference.

The documents are random, with every type of step, command, agent, authentication and marking. ``make fuzz`` takes more
of them.
"""

import copy
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cacao.checks.check import check
from cacao.model.identity import EXTENSION
from cacao.reading.importer import Converted, convert
from cacao.writing import update
from playbooks.checks import playbook
from playbooks.definitions import actions
from playbooks.plan import compile as compile_plan
from playbooks.plan import every_step
from tests.support.cacao import NOW, Json, http, manual
from tests.support.cacao import document as valid
from tests.support.cacao_documents import changes, documents

LATER = "2026-12-01T00:00:00.000Z"
#: how many documents each law is held against, the profile says
many = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def faults(found: Converted) -> list[Any]:
    """Why the playbook could not be kept."""
    known = {name: actions.normalise(one) for name, one in found.actions.items()}
    playbooks = {
        str(step["playbook_ref"]) for step in every_step(found.definition["steps"]) if step["type"] == "playbook"
    }
    broken = [problem for one in found.actions.values() for problem in actions.check(actions.normalise(one))]
    return [*broken, *playbook.check(found.definition, known, playbooks)]


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
    parent = copy.deepcopy(document)
    given = parent
    for key in way:
        parent = parent[key]
    parent[last] = text
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
    assert update.put(kept, before, {**before, "version": "1.0.9", "enabled": False}, modified=LATER) == document


def _renamed(definition: Json, number: int) -> None:
    steps = list(every_step(definition["steps"]))
    dict(steps[number % len(steps)])  # a step of any block
    steps[number % len(steps)].update(name="Another name")  # type: ignore[attr-defined]


def _explicit(definition: Json) -> None:
    """Write every link down, so that steps can come and go."""
    nodes = compile_plan(definition).nodes
    for step in _steps(definition):
        node = nodes[step["id"]]
        step |= {"on_success": node.on_success, "on_failure": node.on_failure or "abort"}
        if step["type"] == "condition":
            step |= {"on_true": node.on_true, "on_false": node.on_false}


def _steps(definition: Json) -> list[Json]:
    return list(every_step(definition["steps"]))  # type: ignore[arg-type]


def _one(definition: Json, number: int, *kinds: str) -> Json | None:
    """One of the steps of these types."""
    found = [step for step in _steps(definition) if step["type"] in kinds]
    return found[number % len(found)] if found else None


def _lists(definition: Json) -> list[list[Json]]:
    steps = _steps(definition)
    inner = [step["steps"] for step in steps if "steps" in step]
    return [definition["steps"], *inner, *(one["steps"] for step in steps for one in step.get("branches", ()))]


def _linked(step: Json, old: str, new: str) -> None:
    """Lead what led to one step to another."""
    for member in ("on_success", "on_failure", "on_timeout", "on_true", "on_false", "default"):
        if step.get(member) == old:
            step[member] = new
    if "cases" in step:
        step["cases"] = {case: new if to == old else to for case, to in step["cases"].items()}


def _removed(definition: Json, number: int) -> None:
    """A step that leads to one other is gone, and whatever only it led to."""
    _explicit(definition)
    plain = ("action", "playbook", "delay", "approval")
    found = [(steps, step) for steps in _lists(definition) for step in steps[1:] if step["type"] in plain]
    if not found:
        return
    steps, step = found[number % len(found)]
    steps.remove(step)
    for other in steps:
        _linked(other, step["id"], step["on_success"])
    if definition["exception_step"] == step["id"]:
        definition["exception_step"] = None
    _pruned(definition)


def _pruned(definition: Json) -> None:
    """Take away what nothing leads to."""
    nodes = compile_plan(definition).nodes
    for steps in _lists(definition):
        exception = definition["exception_step"] if steps is definition["steps"] else None
        reached, ahead = set(), [steps[0]["id"], exception]
        while ahead:
            one = ahead.pop()
            if one is not None and one not in reached:
                reached.add(one)
                ahead += nodes[one].links()
        steps[:] = [step for step in steps if step["id"] in reached]


def _added(definition: Json, number: int) -> None:
    """A pause behind a step."""
    _explicit(definition)
    lists = [steps for steps in _lists(definition) if steps]
    steps = lists[number % len(lists)]
    step = steps[number % len(steps)]
    member = "on_false" if step["type"] == "condition" else "default" if step["type"] == "switch" else "on_success"
    steps.append({"id": "added", "name": "Wait", "type": "delay", "seconds": 7, "on_success": step[member]})
    step[member] = "added"


def _swapped(definition: Json, number: int) -> None:
    """Yes is no, and no is yes."""
    _explicit(definition)
    step = _one(definition, number, "condition", "approval")
    if step is not None:
        one, other = ("on_true", "on_false") if step["type"] == "condition" else ("on_success", "on_failure")
        if step[other] != "abort":
            step[one], step[other] = step[other], step[one]


def _other_message(definition: Json, number: int) -> None:
    step = _one(definition, number, "approval")
    if step is not None:
        step["message"] = "Do something else."


def _other_condition(definition: Json, number: int) -> None:
    step = _one(definition, number, "condition", "loop")
    if step is not None:
        step["expression" if step["type"] == "condition" else "while"] = "1 == 2"


#: edits that other tools must see: what is to be done has changed
STRUCTURAL: dict[str, Any] = {
    "remove": _removed,
    "add": _added,
    "swap": _swapped,
    "message": _other_message,
    "condition": _other_condition,
}
EDITS: dict[str, Any] = {
    "name": lambda definition, _number: definition.update(name="Another name"),
    "description": lambda definition, _number: definition.update(description="About something else"),
    "tags": lambda definition, number: definition.update(tags=["other", f"number-{number}"]),
    "step": _renamed,
    "trigger": lambda definition, _number: definition.update(trigger={"event": "finding.new", "conditions": {}}),
    "minutes": lambda definition, number: definition.update(timeout_minutes=1 + number),
    **STRUCTURAL,
}


@many
@given(document=documents(), edit=st.sampled_from(sorted(EDITS)), number=st.integers(0, 1000))
def test_one_edit_is_one_difference(document: Json, edit: str, number: int) -> None:
    """After one member was edited here the export is valid, and importing it gives the edited playbook and no other."""
    before = convert(document, now=NOW).definition
    now = copy.deepcopy(before)
    EDITS[edit](now, number)
    out = update.put(document, before, now, modified=LATER)
    assert [one for one in check(out) if one.error] == []
    assert update.content(convert(out, now=NOW).definition) == update.content(now)
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
    found, wanted = _after_edit(valid(steps, **{member: value}), edit, 1)
    assert found == wanted


@pytest.mark.parametrize("edit", sorted(EDITS))
def test_a_document_that_begins_nowhere_comes_back_edited_too(edit: str) -> None:
    """None of its steps is one here; what it became is edited all the same."""
    steps = {"action.a": manual("a", on_completion="end.e"), "end.e": {}}
    found, wanted = _after_edit({**valid({**steps, "start.s": {}}), "workflow_start": 5}, edit, 1)
    assert found == wanted


@many
@given(document=documents(), edit=st.sampled_from(sorted(EDITS)), data=st.data())
def test_a_document_with_faults_comes_back_edited_too(document: Json, edit: str, data: st.DataObject) -> None:
    """Whatever stands wherever in it: as long as it can be imported it can be edited here and exported."""
    for _ in range(data.draw(st.integers(1, 3))):
        document = data.draw(changes(document))
        if not isinstance(document.get("workflow"), dict):
            return
    found, wanted = _after_edit(document, edit, data.draw(st.integers(0, 1000)))
    assert found == wanted


def _after_edit(document: Json, edit: str, number: int) -> tuple[Any, Any]:
    """What an edited document is read as, and what its edited definition says."""
    before = convert(document, now=NOW).definition
    now = copy.deepcopy(before)
    EDITS[edit](now, number)
    out = update.put(document, before, now, modified=LATER)
    return update.content(convert(out, now=NOW).definition), update.content(now)


#: what an edit adds that others must see
ADDED = {"add": "sleep 7", "message": "Do something else.", "condition": "1 == 2"}


def _types(definition: Json) -> Counter[str]:
    return Counter(step["type"] for step in _steps(definition))


#: members of a document that another workflow changes
REWRITTEN = frozenset(
    {
        *("workflow", "workflow_start", "workflow_exception", "modified", "signatures"),
        *("agent_definitions", "playbook_variables", "playbook_processing_summary"),
        *("extension_definitions", "playbook_extensions"),
    }
)


@many
@given(document=documents(), edit=st.sampled_from(sorted(STRUCTURAL)), number=st.integers(0, 1000))
def test_others_see_what_is_done_now(document: Json, edit: str, number: int) -> None:
    """In the words of the standard the document has what was added and not what was removed; all else is as it was.

    Read again it has as many steps of each type as the playbook, unless a step of a branch takes its failure from the
    step around it.
    """
    before = convert(document, now=NOW).definition
    now = copy.deepcopy(before)
    STRUCTURAL[edit](now, number)
    out = update.put(document, before, now, modified=LATER)
    assert [one for one in check(out) if one.error] == []
    shown = {key: {**step, "step_extensions": {}} for key, step in out["workflow"].items()}
    if now != before and edit in ADDED:
        assert ADDED[edit] in json.dumps(shown)
    left = [step["id"] for step in _steps(now)]  # what is made of a step besides has its id with more behind it
    gone = [step["id"] for step in _steps(before) if not any(one.startswith(step["id"]) for one in left)]
    assert not set(gone) & out["workflow"].keys()
    others = {key: one for key, one in out.get("playbook_extensions", {}).items() if key != EXTENSION}
    if not any("on_failure" in step and step["type"] != "action" for step in document["workflow"].values()):
        assert _types(convert({**out, "playbook_extensions": others}, now=NOW).definition) == _types(now)
    came = {key: one for key, one in document.items() if key not in REWRITTEN}
    assert {key: one for key, one in out.items() if key not in REWRITTEN} == came


@pytest.mark.parametrize("edit", sorted(EDITS))
def test_every_edit_changes_something(edit: str) -> None:
    """The edits of these tests are edits."""
    steps = {
        "start.s": {"on_completion": "action.a"},
        "action.a": manual("a", on_completion="if-condition.c", on_failure="action.b"),
        "action.b": manual("b", on_completion="end.e"),
        "if-condition.c": {"condition": "'a' == 'b'", "on_true": "action.b", "on_completion": "end.e"},
        "end.e": {},
    }
    definition = convert(valid(steps), now=NOW).definition
    now = copy.deepcopy(definition)
    EDITS[edit](now, 8)
    assert now != definition
