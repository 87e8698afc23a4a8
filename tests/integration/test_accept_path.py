"""What the API remembers on its hot path, and what it reads for every request."""

import json

import pytest

from store.definitions import actions, playbooks, references
from store.engine import db
from store.executions import runs
from tests.support.api import Door, assert_problem


def test_a_changed_action_counts_at_once(door: Door) -> None:
    """Definitions are remembered, which one is current is not: the next trigger has the new one's parameters."""
    action_id = door.create(parameters=[{"name": "host"}])["id"]
    door.trigger(action_id, parameters={"host": "web-01"})
    patched = door.call("PATCH", f"/api/actions/{action_id}", json={"parameters": [{"name": "address"}]})
    version = patched.json["data"]["version"]
    assert version != "1.0.0"
    old = door.call("POST", f"/api/actions/{action_id}/trigger", json={"parameters": {"host": "web-01"}})
    assert assert_problem(old, 422)["errors"][0]["pointer"] == "/parameters/host"
    changed = door.trigger(action_id, parameters={"address": "web-01"})
    shown = door.call("GET", f"/api/actions/executions/{changed}").json["data"]
    assert (shown["version"], shown["parameters"]) == (version, {"address": "web-01"})


def test_a_disabled_or_deleted_action_counts_at_once(door: Door) -> None:
    """Neither a trigger nor a run gets through on what was remembered."""
    action_id = door.create()["id"]
    step = {"id": "one", "type": "action", "action_ref": action_id}
    run = f"/api/playbooks/{door.create_playbook(steps=[step])['id']}/run"
    door.trigger(action_id)
    assert door.call("POST", run, json={}).status_code == 202
    door.call("POST", f"/api/actions/{action_id}/disable?force=true")
    trigger = f"/api/actions/{action_id}/trigger"
    assert assert_problem(door.call("POST", trigger, json={"parameters": {}}), 409)["code"] == "action_disabled"
    assert assert_problem(door.call("POST", run, json={}), 409)["code"] == "action_disabled"
    door.call("DELETE", f"/api/actions/{action_id}?force=true")
    assert_problem(door.call("POST", trigger, json={"parameters": {}}), 404)
    assert assert_problem(door.call("POST", run, json={}), 409)["code"] == "action_missing"


@pytest.mark.on_both
@pytest.mark.parametrize("recorded", [True, False])
def test_a_run_pins_what_its_playbook_names(database: str, recorded: bool) -> None:
    """The present revision of each action, also where the release before has not recorded what a playbook names."""
    door = Door()
    ids = [door.create(name=f"Number {each}")["id"] for each in range(3)]
    steps = [{"id": f"s{number}", "type": "action", "action_ref": each} for number, each in enumerate(ids)]
    playbook_id = door.create_playbook(steps=steps)["id"]
    door.call("PATCH", f"/api/actions/{ids[1]}", json={"description": "revised"})
    with db.write() as connection:
        if not recorded:
            connection.execute(references.references.delete())
        present = {name: head.revision_id for name, head in actions.heads(connection, "default", ids).items()}
    with db.read() as connection:
        begins = playbooks.beginning(connection, "default", playbook_id)
    assert {name: head.revision_id for name, head in begins.actions.items()} == (present if recorded else {})
    run_id = door.call("POST", f"/api/playbooks/{playbook_id}/run", json={}).json["execution_id"]
    with db.read() as connection:
        row = runs.read(connection, run_id)
    assert row is not None
    assert json.loads(row.context)["pins"] == present
    assert_problem(door.call("POST", "/api/playbooks/pb-none/run", json={}), 404)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 5])
def test_heads_of_any_number_of_actions_are_read_at_once(door: Door, number: int) -> None:
    """One for each action that is there, and none for what is not."""
    ids = [door.create(name=f"Number {each}")["id"] for each in range(number)]
    for wanted in (ids, [*ids, "act-gone"], [*ids, *(f"act-gone-{each}" for each in range(300))]):
        heads = db.read_one(actions.heads, "default", wanted)
        assert sorted(heads) == sorted(ids)
        assert all(head.enabled and head.revision_id for head in heads.values())
    assert db.read_one(actions.heads, "another", [*ids, "act-gone"]) == {}


def test_steps_of_an_accepted_run_are_the_same_each_time(door: Door) -> None:
    """The answer is made of remembered parts; a second run, and what is at its top and under data, agree."""
    path = f"/api/playbooks/{door.create_playbook()['id']}/run"
    first, second = (door.call("POST", path, json={}).json for _ in range(2))
    assert first["steps"] == second["steps"] == second["data"]["steps"]
    assert [step["status"] for step in first["steps"]] == ["pending"]
    assert first["execution_id"] != second["execution_id"]
    assert {name: value for name, value in first.items() if name != "data"} == first["data"]
