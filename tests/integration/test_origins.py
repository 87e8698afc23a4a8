"""What has something carried out: executions and runs say it, and lists find them by it."""

from typing import Any

import pytest

from store.definitions import actions
from store.engine import db
from store.executions import runs as run_rows
from tests.support import recurring, runs
from tests.support.api import Door, carry_out
from tests.support.driven import drive

pytestmark = pytest.mark.on_both

ACTIONS, RUNS = "/api/actions/executions", "/api/playbooks/executions"


def listed(door: Door, path: str, **query: Any) -> list[str]:
    """The ids of a list."""
    answer = door.call("GET", path, query_string=query)
    assert answer.status_code == 200, answer.text
    assert answer.json["meta"]["total"] == len(answer.json["data"])
    return [item["id"] for item in answer.json["data"]]


def test_executions_by_what_has_them_carried_out(soc: Door, clock: Any) -> None:
    """A request, a recurring action, the replay of a record, a playbook."""
    action_id = soc.create()["id"]
    soc.admin = soc.key(grants=[{"tenants": ["*"]}])
    requested = soc.trigger(action_id)
    recurring.create(soc, target={"action": action_id, "parameters": {}})
    clock.shift(recurring.HOUR)
    assert recurring.fire() == 1
    carry_out(requested, "failed", error={"code": "x", "message": "x"})
    answer = soc.call("POST", f"/v1/audit/{requested}/replay")
    assert answer.status_code == 202, answer.text
    steps = [{"id": "tell", "type": "action", "action_ref": action_id}]
    playbook_id = soc.create_playbook(steps=steps)["id"]
    run_id = soc.call("POST", f"/api/playbooks/{playbook_id}/run", json={}).json["id"]
    runs.begin(run_id)
    with db.read() as connection:
        revision_id = actions.get(connection, "default", action_id).revision.id
    runs.enter(run_id, "tell", action_id=action_id, revision_id=revision_id)
    found = {item["id"]: item for item in soc.call("GET", ACTIONS).json["data"]}
    by = {trigger: listed(soc, ACTIONS, trigger=trigger) for trigger in ("api", "recurring", "replay")}
    assert by["api"] == [requested]
    assert [len(ids) for ids in by.values()] == [1, 1, 1]
    assert {found[ids[0]]["trigger"] for ids in by.values()} == {"api", "recurring", "replay"}
    assert sorted(listed(soc, ACTIONS, standalone="true")) == sorted(ids[0] for ids in by.values())
    [step] = listed(soc, ACTIONS, run_id=run_id)
    assert (found[step]["trigger"], found[step]["step_id"]) == ("playbook", "tell")
    assert soc.call("GET", f"{ACTIONS}/{step}").json["data"]["trigger"] == "playbook"
    assert listed(soc, f"/api/actions/{action_id}/executions", trigger="recurring") == by["recurring"]


def test_runs_by_the_event_and_the_run_that_have_started_them(database: str) -> None:
    """An event's own runs, and those below them; those that the steps of a run have started."""
    door = Door()
    inner = door.create_playbook(name="Inner", steps=[{"id": "look", "type": "condition", "expression": "true"}])["id"]
    steps = [{"id": "call", "type": "playbook", "playbook_ref": inner}]
    outer = door.create_playbook(name="Outer", trigger="finding.new", steps=steps)["id"]
    event = {"event": "finding.new", "id": "evt-7", "data": {"severity": "high"}}
    [started] = door.call("POST", "/api/events", json=event).json["data"]["started"]
    door.call("POST", "/api/events", json={**event, "id": "evt-8"})
    by_hand = door.call("POST", f"/api/playbooks/{outer}/run", json={}).json["id"]
    parent = started["execution_id"]
    drive(parent)
    [child] = listed(door, RUNS, parent_id=parent)
    with db.read() as connection:
        assert run_rows.read(connection, child).action_id == inner
    assert sorted(listed(door, RUNS, event_id="evt-7")) == sorted([parent, child])
    assert listed(door, RUNS, event_id="evt-7", trigger="event") == [parent]
    assert listed(door, f"/api/playbooks/{inner}/executions", event_id="evt-7") == [child]
    [other] = listed(door, RUNS, parent_id=by_hand)
    assert other not in (parent, child)
    assert listed(door, RUNS, parent_id=child) == []
    shown = {run_id: door.call("GET", f"{RUNS}/{run_id}").json for run_id in (parent, child)}
    assert (shown[parent]["parent"], shown[child]["parent"]) == (None, {"execution_id": parent, "step_id": "call"})
    items = {item["id"]: item for item in door.call("GET", RUNS).json["data"]}
    assert {run_id: items[run_id]["parent"] for run_id in shown} == {
        run_id: one["parent"] for run_id, one in shown.items()
    }
