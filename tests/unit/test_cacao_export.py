"""What a playbook of ours becomes as a CACAO document, and that it comes back as it was."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from playbooks import definitions
from playbooks.cacao import credentials, lens
from playbooks.cacao.check import check
from playbooks.cacao.identity import EXTENSION
from playbooks.cacao.inward import carried, convert
from playbooks.cacao.outward import export
from tests.support.cacao import NOW, Json, document, http, manual, sid

EXAMPLES = sorted(Path("examples/playbooks").glob("*.yaml"))
IDENTITY = "identity--8e1c0c52-6c1b-4d8e-9a57-2f6d0f1f7a3b"


def native(path: Path) -> tuple[str, Json]:
    definition = definitions.normalise(yaml.safe_load(path.read_text()))
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
    return lens.put(given, before, now, modified="2026-02-01T00:00:00.000Z"), now


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
    assert lens.content(convert(found, now=NOW).definition) == lens.content(now)


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
