"""Whatever JSON stands in whatever member of a document, the answer names a fault or takes it, and never breaks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.api import Door
from tests.support.cacao import document as small
from tests.support.cacao import manual
from tests.support.cacao_documents import changes, one
from tests.support.odd_values import Json, variations

ROOT = Path(__file__).parents[2]
_WEBHOOK = {"url": "https://a.example/", "method": "POST", "headers": {"a": "b"}, "body": {"a": ["{{ b }}"]}}
_PARAMETER = {"name": "b", "type": "string", "required": False, "default": "c", "description": "d", "options": ["c"]}
ACTION: Json = {
    "name": "Odd",
    "description": "",
    "version": "1.0.0",
    "type": "webhook",
    "executor": "webhook",
    "config": _WEBHOOK,
    "tags": ["a"],
    "timeout_seconds": 5,
    "enabled": True,
    "idempotent": True,
    "parameters": [{**_PARAMETER, "validation": {"min_length": 1, "max_length": 5, "pattern": "c"}}],
    "retry": {"max_attempts": 2, "backoff_seconds": 1, "jitter": True},
}
_SEEDS = (3, 11, 29)
IMPORT = "/api/playbooks/import?lenient=true&dry_run=true"
VALIDATE = "/api/playbooks/validate"


def _cacao(seed: int) -> Json:
    """A document with nearly everything, whose steps declare and return what others use."""
    document = one(seed)
    known = {"__known__": {"type": "string", "value": "x", "external": True}}
    document["playbook_variables"] = {**document.get("playbook_variables", {}), **known}
    for step in document["workflow"].values():
        step["step_variables"] = {"__known__": {"type": "string", "value": "y", "constant": False}}
        step["out_args"] = ["__known__"]
    return document


def _native() -> Iterator[tuple[str, Json]]:
    for path in sorted((ROOT / "examples" / "playbooks").glob("*.yaml")):
        yield path.stem, yaml.safe_load(path.read_text())


def _exported(door: Door) -> Json:
    """A document that carries a definition of ours, in the playbook and in its steps."""
    steps: list[Json] = [
        {"id": "ask", "type": "approval", "message": "May we?", "approvers": ["a"], "on_timeout": "end"},
        {"id": "which", "type": "switch", "expression": "'a'", "cases": {"a": "rest"}, "default": "end"},
        {"id": "rest", "type": "delay", "seconds": 1},
        {
            "id": "all",
            "type": "for_each",
            "items": [1],
            "as": "one",
            "steps": [{"id": "b", "type": "delay", "seconds": 1}],
        },
    ]
    made = door.call("POST", "/api/playbooks", json={"name": "Carried", "steps": steps})
    return door.call("GET", f"/api/playbooks/{made.json['data']['id']}/export").json


def _broken(door: Door, document: Json, *paths: str, thorough: bool = False) -> list[str]:
    """Where which value broke something."""
    found = []
    for place, changed in variations(document, thorough=thorough):
        for path in paths:
            answer = door.call("POST", path, json=changed)
            if answer.status_code >= 500:
                found.append(f"{answer.status_code} of {path} at {'/'.join(map(str, place))}")
    return found


def test_a_step_of_cacao_whose_type_is_a_list_and_that_declares_a_known_variable_is_imported(door: Door) -> None:
    """Leniently even a step of no type is taken in; a person is asked to carry it out."""
    document = small({"start.s": {"on_completion": "action.a"}, "action.a": manual(on_completion="end.e"), "end.e": {}})
    document["playbook_variables"] = {"__a__": {"type": "string", "value": "x"}}
    [step] = [one for name, one in document["workflow"].items() if name.startswith("action")]
    step |= {"type": ["action"], "step_variables": {"__a__": {"type": "string", "value": "y"}}}
    answer = door.call("POST", IMPORT, json=document)
    assert answer.status_code == 200, answer.text
    assert answer.json["data"]["conformance"] == "nonconformant"


@pytest.mark.parametrize("own", [None, ""])
def test_a_definition_that_has_lost_its_id_is_that_of_the_document(door: Door, own: str | None) -> None:
    """A changed definition inside a document does not take the playbook's id away."""
    document = _exported(door)
    [extension] = document["playbook_extensions"].values()
    extension["definition"]["id"] = own
    answer = door.call("POST", IMPORT, json=document)
    assert answer.status_code == 200, answer.text
    assert answer.json["data"]["id"]


def test_no_value_anywhere_in_a_document_of_ours_breaks_its_import(door: Door) -> None:
    """An editor may have changed the definition that a document carries along."""
    assert not _broken(door, _exported(door), IMPORT)


def test_no_value_anywhere_in_a_playbook_breaks_its_check(door: Door) -> None:
    """The examples together have every type of step."""
    for name, definition in _native():
        broken = _broken(door, definition, VALIDATE)
        assert not broken, name


def test_no_value_anywhere_in_an_action_breaks_its_check(door: Door) -> None:
    """What is taken is kept under a new id."""
    assert not _broken(door, ACTION, "/api/actions")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seed=st.sampled_from(_SEEDS), data=st.data())
@pytest.mark.gate
def test_no_values_in_several_members_break_anything(door: Door, seed: int, data: st.DataObject) -> None:
    """What one odd value keeps from being looked at, two may reach."""
    document = _cacao(seed) if data.draw(st.booleans()) else data.draw(st.sampled_from([one for _, one in _native()]))
    for _ in range(data.draw(st.integers(2, 4))):
        document = data.draw(changes(document))
    for path in (IMPORT, VALIDATE):
        assert door.call("POST", path, json=document).status_code < 500


@pytest.mark.wide
def test_no_value_of_any_type_anywhere_breaks_anything(door: Door) -> None:
    """All types in all places, of a CACAO document and of the objects around it."""
    document = _cacao(_SEEDS[0])
    assert not _broken(door, document, IMPORT, VALIDATE, thorough=True)
    for changed in ({"playbook": document}, {"type": "bundle", "objects": [document]}):
        assert not _broken(door, changed, IMPORT)


@pytest.mark.wide
def test_no_value_of_any_type_anywhere_in_a_definition_breaks_anything(door: Door) -> None:
    """All types in all places, of definitions and of an exported document."""
    assert not _broken(door, _exported(door), IMPORT, thorough=True)
    for name, definition in _native():
        assert not _broken(door, definition, VALIDATE, thorough=True), name
    assert not _broken(door, ACTION, "/api/actions", thorough=True)
