"""A playbook exported as a CACAO document comes back unchanged."""

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cacao.checks.check import check
from cacao.model import credentials
from cacao.model.identity import EXTENSION
from cacao.reading.importer import carried, convert
from cacao.writing import update
from cacao.writing.exporter import export
from playbooks.definitions import normalise
from playbooks.definitions.step_types import MAX_STEPS
from tests.support.cacao import NOW, Json, document, http, manual, sid
from tests.support.random_playbooks import playbooks

EXAMPLES = sorted(Path("examples/playbooks").glob("*.yaml"))
IDENTITY = "identity--8e1c0c52-6c1b-4d8e-9a57-2f6d0f1f7a3b"


def native(path: Path) -> tuple[str, Json]:
    definition = normalise.normalise(yaml.safe_load(path.read_text()))
    return definition.pop("id"), definition


def exported(playbook_id: str, definition: Json) -> Json:
    times = {"created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-02T00:00:00.000Z"}
    return export(definition, playbook_id=playbook_id, workspace="w", identity=IDENTITY, **times)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_valid_document_and_comes_back_equal(path: Path) -> None:
    """Each example keeps to the standard in every point, and importing its export gives the same definition."""
    playbook_id, definition = native(path)
    given = exported(playbook_id, definition)
    assert check(given) == []
    assert convert(given, now=NOW).definition == {"id": playbook_id, **definition}


def branching(draw: st.DrawFn) -> Json:
    """A definition of few steps and many conditions that lead anywhere onwards."""
    number = draw(st.integers(2, 9))
    steps: list[Json] = []
    for index in range(number):
        ahead = st.sampled_from([f"s{later}" for later in range(index + 1, min(number, index + 5))] or ["end"])
        step: Json = {"id": f"s{index}", "type": draw(st.sampled_from(["action", "condition", "condition", "switch"]))}
        own: dict[str, Json] = {
            "action": {"action_ref": "a", "on_success": draw(ahead)},
            "condition": {"expression": "true", "on_true": draw(ahead), "on_false": draw(ahead)},
            "switch": {"expression": "x", "cases": {"1": draw(ahead), "2": draw(ahead)}, "default": draw(ahead)},
        }
        failing = {"on_failure": draw(ahead)} if draw(st.integers(0, 6)) == 6 else {}
        steps.append({**step, **own[step["type"]], **failing})
    return {"steps": steps}


@given(made=playbooks() | st.composite(branching)())
def test_any_playbook_is_a_document_without_errors_and_comes_back_equal(made: Json) -> None:
    """Whatever leads wherever; and what others read of it, the words of the standard alone, leads somewhere too."""
    definition = normalise.normalise({"name": "Random", **made})
    out = exported("pb-random", definition)
    assert [one for one in check(out) if one.error or one.code in ("cycle", "undefined_step", "no_successor")] == []
    assert convert(out, now=NOW).definition == {"id": "pb-random", **definition}
    read = convert({**out, "playbook_extensions": {}}, now=NOW)
    assert not read.stuck
    asked = {remark.code for remark in read.remarks} - {"asked", "undefined"}
    assert asked == set()


def _condition(number: int, yes: str, no: str) -> Json:
    return {"id": f"c{number}", "type": "condition", "expression": "true", "on_true": yes, "on_false": no}


def _action(name: str, following: str = "next") -> Json:
    return {"id": name, "type": "action", "action_ref": "act-notify", "on_success": following}


def _ladder(count: int) -> list[Json]:
    rungs = [_condition(number, f"c{number + 1}", "end") for number in range(count - 1)]
    return [*rungs, _action(f"c{count - 1}")]


def _nested(count: int) -> list[Json]:
    inner = [_condition(number, f"c{number + 1}", "join") for number in range(count - 2)]
    return [*inner, _action(f"c{count - 2}", "join"), _action("join")]


def _diamonds(count: int) -> list[Json]:
    found = []
    for number in range(count // 4):
        join = f"j{number}"
        arms = [_action(f"a{number}", join), _action(f"b{number}", join)]
        after = f"c{number + 1}" if number + 1 < count // 4 else "end"
        found += [_condition(number, f"a{number}", f"b{number}"), *arms, _action(join, after)]
    return found


@pytest.mark.parametrize(
    "shape",
    [pytest.param(_ladder, marks=pytest.mark.gate), _nested, pytest.param(_diamonds, marks=pytest.mark.gate)],
    ids=["ladder", "nested", "diamonds"],
)
@pytest.mark.gate
def test_as_many_steps_as_may_be_take_no_longer_than_they_must(shape: Callable[[int], list[Json]]) -> None:
    """However conditions follow each other or lie inside each other: the time is that of the steps."""
    took = []
    for count in (MAX_STEPS // 4, MAX_STEPS):
        definition = normalise.normalise({"name": "Large", "steps": shape(count)})
        tries = []
        for _ in range(2):
            begin = time.process_time()
            out = exported("pb-large", definition)
            tries.append(time.process_time() - begin)
        took.append(min(tries))
    assert took[1] < 12 * took[0], "four times the steps, and not sixteen times the time"
    assert [one for one in check(out) if one.error] == []
    assert carried(out) == ({"id": "pb-large", **definition}, False)


def test_an_export_is_the_same_each_time() -> None:
    """Identifiers are made from what they name, so two exports of one playbook differ in nothing."""
    playbook_id, definition = native(EXAMPLES[0])
    assert exported(playbook_id, definition) == exported(playbook_id, definition)


def test_what_another_tool_has_changed_comes_through() -> None:
    """A document that was edited elsewhere is read by its own words; steps that were left alone stay what they were."""
    playbook_id, definition = native(Path("examples/playbooks/critical-vuln-response.yaml"))
    given = exported(playbook_id, definition)
    edited = {**copy.deepcopy(given), "name": "Edited elsewhere"}
    (notify,) = (step for step in edited["workflow"].values() if step.get("name") == "Notify the security team")
    notify["name"] = "Tell everybody"
    assert carried(edited) is None
    found = convert(edited, now=NOW).definition
    assert found["name"] == "Edited elsewhere"
    steps = {step["id"]: step for step in found["steps"]}
    assert steps["notify"]["name"] == "Tell everybody"
    assert steps["notify"]["action_ref"] == "act-notify"
    assert steps["notify"]["parameters"] == definition["steps"][1]["parameters"]
    assert steps["in-production"]["expression"] == definition["steps"][2]["expression"]


SIMPLE: Json = {
    "start.s": {"on_completion": "action.a"},
    "action.a": {**http("GET https://example.org/", on_completion="action.b"), "name": "A", "timeout": 5000},
    "action.b": {**manual(on_completion="end.e"), "name": "B"},
    "end.e": {},
}
SIGNED = {"labels": ["one"], "signatures": [{"type": "jss"}], "description": "About it"}


def put(given: Json, change: Any) -> tuple[Json, Json]:
    """The document after a change of its definition, and the definition as it is then."""
    before = convert(given, now=NOW).definition
    now = copy.deepcopy(before)
    change(now)
    return update.put(given, before, now, modified="2026-02-01T00:00:00.000Z"), now


def test_what_was_not_changed_comes_back_as_it_came() -> None:
    """With its signatures, its time and whatever else is in it."""
    given = document(SIMPLE, **SIGNED)
    assert put(given, lambda now: now.update(version="1.2.0", enabled=False))[0] == given


@pytest.mark.parametrize(
    ("change", "place", "value"),
    [
        (lambda now: now.update(name="New"), ("name",), "New"),
        (lambda now: now.update(description=""), ("description",), None),
        (lambda now: now.update(tags=["one", "two"]), ("labels",), ["one", "two"]),
        (lambda now: now["steps"][0].update(name="New"), ("workflow", sid("action.a"), "name"), "New"),
        (lambda now: now["steps"][0].update(timeout_seconds=7), ("workflow", sid("action.a"), "timeout"), 7000),
        (lambda now: now["steps"][0].update(delay_seconds=1.5), ("workflow", sid("action.a"), "delay"), 1500),
        (lambda now: now["steps"][1].update(description="D"), ("workflow", sid("action.b"), "description"), "D"),
    ],
)
def test_a_change_is_written_where_it_belongs_and_nowhere_else(change: Any, place: tuple[str, ...], value: Any) -> None:
    """What CACAO has a property for differs there, and else only the time; signatures no longer fit and are gone."""
    given = document(SIMPLE, **SIGNED)
    found, now = put(given, change)
    wanted = copy.deepcopy(given)
    del wanted["signatures"]
    wanted["modified"] = "2026-02-01T00:00:00.000Z"
    inner = wanted
    for key in place[:-1]:
        inner = inner[key]
    if value is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    assert found == wanted
    assert update.content(convert(found, now=NOW).definition) == update.content(now)


@pytest.mark.parametrize(
    "change",
    [
        lambda now: now.update(timeout_minutes=5),
        lambda now: now["steps"][0].update(retry={"max_attempts": 3, "backoff_seconds": 1, "jitter": True}),
        lambda now: now["steps"].pop(),
        lambda now: now["parameters"].append({"name": "x", "type": "string", "required": False}),
    ],
)
def test_what_cacao_has_no_word_for_comes_back_all_the_same(change: Any) -> None:
    """It goes along in our extension: importing the export gives the definition as it was."""
    steps = {**SIMPLE, "action.a": {**SIMPLE["action.a"], "on_completion": "action.b"}}

    def sound(now: Json) -> None:
        change(now)
        now["steps"][-1]["on_success"] = "end"

    found, now = put(document(steps), sound)
    assert EXTENSION in found["playbook_extensions"]
    assert [one for one in check(found) if one.error] == []
    again = convert(found, now=NOW).definition
    assert again == {**now, "id": again["id"]}


def test_credentials_leave_only_as_references() -> None:
    """Passwords and tokens are replaced by the name of a key; what holds none is left alone."""
    infos = {
        sid("http-basic.a"): {"type": "http-basic", "user_id": "me", "password": "hidden-1"},
        sid("oauth2.b"): {"type": "oauth2", "oauth_header": "hidden-2", "token": "hidden-3"},
        sid("user-auth.c"): {"type": "user-auth", "username": "me", "kms": True, "kms_key_identifier": "k"},
    }
    given = document(SIMPLE, authentication_info_definitions=infos)
    found = credentials.without(given, "pb-x")
    assert "hidden" not in str(found)
    assert found["authentication_info_definitions"][sid("user-auth.c")] == infos[sid("user-auth.c")]
    assert found["authentication_info_definitions"][sid("http-basic.a")]["kms"] is True
    assert credentials.without(document(SIMPLE), "pb-x") == document(SIMPLE)
