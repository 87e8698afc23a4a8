"""After edits here a document describes the playbook to other tools, and is otherwise unchanged."""

import copy
from collections.abc import Callable
from typing import Any

from cacao.checks.check import check
from cacao.reading.importer import convert
from cacao.writing import update
from playbooks.definitions import normalise
from tests.support.cacao import NOW, Json, document, http, manual, sid

COMMANDS: list[Json] = [{"type": "manual", "command": "First"}, {"type": "bash", "command": "second"}]
STEPS: Json = {
    "start.s": {"on_completion": "action.call"},
    "action.call": {**http("GET https://example.org/", on_completion="action.gone"), "owner": sid("identity.us")},
    "action.gone": manual("No longer", on_completion="action.many"),
    "action.many": {**manual(on_completion="if-condition.asked"), "commands": COMMANDS, "delay": 1500},
    "if-condition.asked": {"condition": "Is it grave?", "on_true": "action.yes", "on_completion": "while-condition.w"},
    "action.yes": {**manual("Yes", on_completion="end.yes"), "delay": 2000, "name": "Wait, then do it"},
    "end.yes": {},
    "while-condition.w": {"condition": "Once more?", "on_true": "action.pass", "on_completion": "end.e"},
    "action.pass": manual("Again", on_completion="end.pass"),
    "end.pass": {},
    "end.e": {},
}
MEMBERS: Json = {
    "markings": [sid("marking-tlp.x")],
    "x_unknown": {"a": 1},
    "playbook_processing_summary": {"data_markings": True, "switch_logic": True, "manual_playbook": True},
}
LINKS = ("on_completion", "on_success", "on_failure", "on_true", "on_false")


def edited(edit: Callable[[Json], None]) -> tuple[Json, Json]:
    """The document after an edit, and the definition that it describes."""
    given = document(STEPS, **MEMBERS)
    before = convert(given, now=NOW).definition
    now = copy.deepcopy(before)
    edit(now)
    now = normalise.normalise(now)
    out = update.put(given, before, now, modified="2026-02-01T00:00:00.000Z")
    assert [one for one in check(out) if one.error] == []
    assert update.content(convert(out, now=NOW).definition) == update.content(now)
    return out, now


def step(definition: Json, name: str) -> Json:
    return next(one for one in definition["steps"] if one["id"] == sid(name))


def remove(definition: Json) -> None:
    """The second step."""
    step(definition, "action.call")["on_success"] = step(definition, "action.gone")["on_success"]
    definition["steps"].remove(step(definition, "action.gone"))


def said(of: Any) -> Json:
    return {name: value for name, value in of.items() if name not in LINKS}


def test_others_do_not_see_a_step_that_was_removed() -> None:
    """All other steps are what they were, with their identifiers, whatever reading has made of them meanwhile."""
    out, _ = edited(remove)
    given = document(STEPS)["workflow"]
    assert "No longer" not in str(out["workflow"])
    stay = {name for name, one in given.items() if one["type"] not in ("start", "end")} - {sid("action.gone")}
    assert {name: said(out["workflow"][name]) for name in stay} == {name: said(given[name]) for name in stay}
    kinds = [one["type"] for one in out["workflow"].values()]
    assert kinds.count("action") == 4
    assert out["workflow"][sid("action.call")]["on_success"] == sid("action.many")


def test_the_rest_of_the_document_stays() -> None:
    """Of the summary only members about the workflow are computed again."""
    out, _ = edited(remove)
    given = document(STEPS, **MEMBERS)
    for name in ("id", "created", "created_by", "markings", "x_unknown", "agent_definitions"):
        assert out[name] == given[name]
    assert out["playbook_processing_summary"] == {
        "data_markings": True,
        "switch_logic": False,
        "manual_playbook": False,
        "if_logic": True,
        "while_logic": True,
        "temporal_logic": True,
        "extensions": True,
    }


def test_a_step_that_does_something_else_is_written_anew_in_its_place() -> None:
    """Under its identifier; one command of several is a step of its own then."""
    out, now = edited(lambda now: step(now, "action.gone").update(message="Something else"))
    assert out["workflow"][sid("action.gone")]["commands"] == [{"type": "manual", "command": "Something else"}]
    second = next(one for one in now["steps"] if one["id"] == f"{sid('action.many')}-2")
    out, _ = edited(lambda now: next(one for one in now["steps"] if one["id"] == second["id"]).update(when="true"))
    assert out["workflow"][sid("action.many")]["commands"] == COMMANDS[:1]
    assert out["workflow"][sid("action.many")]["delay"] == 1500
    assert COMMANDS[1:] in [one.get("commands") for one in out["workflow"].values()]


def test_a_question_that_was_changed_is_asked_once() -> None:
    """Where the question in front of a loop's iterations was edited, the loop does not ask by itself."""

    def ask(now: Json) -> None:
        step(now, "while-condition.w")["steps"][0]["message"] = "Once more, really?"

    out, _ = edited(ask)
    read = convert({**out, "playbook_extensions": {}}, now=NOW).definition
    assert str(read).count("Once more") == 1


def test_a_pause_that_was_removed_is_no_delay() -> None:
    """The step that it was for does not wait any more."""

    def hurry(now: Json) -> None:
        pause = step(now, "action.yes")
        for one in now["steps"]:
            one.update(
                {name: pause["on_success"] for name in ("on_success", "on_true") if one.get(name) == pause["id"]}
            )
        now["steps"].remove(pause)

    out, _ = edited(hurry)
    assert "delay" not in next(one for one in out["workflow"].values() if one.get("name") == "Wait, then do it")


def test_what_others_need_not_know_changes_no_step() -> None:
    """Retries are in our extension only."""
    retry = {"max_attempts": 3, "backoff_seconds": 1, "jitter": True}
    out, _ = edited(lambda now: step(now, "action.call").update(retry=retry))
    assert out["workflow"] == document(STEPS)["workflow"]
