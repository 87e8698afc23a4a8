"""Who may decide about what waits for an approval: a permission of its own, named approvers, and not its starter."""

import json
import secrets
from typing import Any

import pytest

from store import audit
from store.engine import db
from store.executions import transitions
from tests.support import runs
from tests.support.api import Door, assert_problem, carry_out

_TRIGGERING = ("execute:actions", "execute:playbooks", "read:actions", "read:playbooks", "write:playbooks")


def ask(door: Door, key: str = "", **definition: Any) -> str:
    """An approval that ``key`` has asked for and that waits; returns the path of its execution."""
    name = f"Ask {secrets.token_hex(4)}"
    whole = {"name": name, "type": "approval", "executor": "approval", "config": {}, **definition}
    answer = door.call("POST", "/api/actions", json=whole)
    assert answer.status_code == 201, answer.text
    asked = door.call("POST", f"/api/actions/{answer.json['data']['id']}/trigger", key=key, json={"parameters": {}})
    execution_id = asked.json["data"]["execution_id"]
    carry_out(execution_id, "waiting", output={}, waiting_for="approval", due_at=db.now_ms() + 60_000)
    return f"/api/actions/executions/{execution_id}"


def ask_in_a_run(door: Door, *steps: dict[str, Any], key: str = "", **approval: Any) -> str:
    """An approval step, followed by ``steps``, of a run that ``key`` has started; returns the step's path."""
    whole = {"name": f"Ask {secrets.token_hex(4)}", "steps": [{"id": "ask", "type": "approval", **approval}, *steps]}
    playbook_id = door.create_playbook(**whole)["id"]
    started = door.call("POST", f"/api/playbooks/{playbook_id}/run", key=key, json={})
    assert started.status_code == 202, started.text
    run_id = started.json["execution_id"]
    runs.begin(run_id)
    due_at = db.now_ms() + 60_000
    runs.enter(run_id, "ask", "waiting", type="approval", waiting_for="approval", due_at=due_at, output={})
    return f"/api/playbooks/executions/{run_id}/steps/ask"


def refusals(path: str) -> list[tuple[str, str, str]]:
    """The refusals in an execution's audit trail: actor, event, details."""
    name = path.removesuffix("/steps/ask").rpartition("/")[2] + (".ask" if path.endswith("/steps/ask") else "")
    with db.read() as connection:
        rows = audit.of(connection, "default", name)
    return [(row.actor, row.event, row.details) for row in rows if row.event == "approval.refused"]


def test_permission_to_trigger_is_none_to_decide(door: Door) -> None:
    """A key that can write, start and stop everything decides nothing unless it may decide."""
    trigger, decide = door.key("operator", scopes=_TRIGGERING), door.key("operator", scopes=("approvals:decide",))
    path = ask(door, trigger)
    assert "decide:approvals" in assert_problem(door.call("POST", f"{path}/approve", key=trigger), 403)["detail"]
    step = ask_in_a_run(door, key=trigger)
    assert_problem(door.call("POST", f"{step}/approve", key=trigger), 403)
    assert door.call("POST", f"{path}/approve", key=decide).status_code == 200
    assert door.call("POST", f"{step}/reject", key=decide).status_code == 200


def test_named_approvers_bind(door: Door) -> None:
    """Only a named key, by id or name, or a named role decides; the refusal is audited and says who may."""
    other, named = door.key("operator"), door.key("operator")
    number = named.split("_")[1]
    path = ask(door, config={"approvers": [number]})
    refused = assert_problem(door.call("POST", f"{path}/approve", key=other), 403)
    assert refused["code"] == "not_an_approver"
    assert number in refused["detail"]
    assert refusals(path) == [(other.split("_")[1], "approval.refused", '{"reason":"not_an_approver"}')]
    assert door.call("POST", f"{path}/approve", key=named).status_code == 200
    step = ask_in_a_run(door, approvers=["ana", "role:admin"])
    assert assert_problem(door.call("POST", f"{step}/reject", key=other), 403)["code"] == "not_an_approver"
    assert door.call("POST", f"{step}/approve", key=door.key("admin")).status_code == 200


def test_a_key_is_known_as_an_approver_by_its_name(door: Door) -> None:
    """Definitions may name people: the key that carries the name decides."""
    made = door.call("POST", "/api/keys", json={"name": "ana@example.com", "role": "operator"}).json["data"]["key"]
    path = ask(door, config={"approvers": ["ana@example.com"]})
    assert_problem(door.call("POST", f"{path}/approve", key=door.key("operator")), 403)
    assert door.call("POST", f"{path}/approve", key=made).status_code == 200


@pytest.mark.parametrize("kind", ["containment", "remediation"])
def test_the_starter_does_not_approve_a_containment(door: Door, kind: str) -> None:
    """Where a playbook contains or repairs harm, or may through another, two are needed unless it says otherwise."""
    action_id = door.create(name="Contain", type=kind)["id"]
    contain = {"id": "contain", "type": "action", "action_ref": action_id}
    step = ask_in_a_run(door, contain)
    assert assert_problem(door.call("POST", f"{step}/approve"), 403)["code"] == "not_by_starter"
    assert len(refusals(step)) == 1
    assert door.call("POST", f"{step}/approve", key=door.key("operator")).status_code == 200
    inner = door.create_playbook(name="Inner")["id"]
    nested = ask_in_a_run(door, {"id": "more", "type": "playbook", "playbook_ref": inner})
    assert assert_problem(door.call("POST", f"{nested}/approve"), 403)["code"] == "not_by_starter"
    spelled = ask_in_a_run(door, contain, not_by_starter=False)
    assert door.call("POST", f"{spelled}/approve").status_code == 200


def test_what_harms_nothing_is_decided_by_its_starter(door: Door) -> None:
    """Elsewhere the rule holds where the definition says so, for a step and for an action that asks."""
    assert door.call("POST", f"{ask(door)}/approve").status_code == 200
    asked = ask(door, config={"not_by_starter": True})
    assert assert_problem(door.call("POST", f"{asked}/approve"), 403)["code"] == "not_by_starter"
    step = ask_in_a_run(door)
    assert door.call("POST", f"{step}/approve").status_code == 200
    apart = ask_in_a_run(door, not_by_starter=True)
    assert assert_problem(door.call("POST", f"{apart}/approve"), 403)["code"] == "not_by_starter"


def test_an_approval_action_inside_a_run_asks_for_others_too(door: Door) -> None:
    """The starter of a run is the starter of every question that its actions ask."""
    definition = {"name": "Sign off", "type": "approval", "executor": "approval", "config": {}}
    action = door.call("POST", "/api/actions", json=definition).json["data"]
    contain = {"id": "contain", "type": "action", "action_ref": door.create(name="Contain", type="containment")["id"]}
    sign = {"id": "sign", "type": "action", "action_ref": action["id"]}
    playbook_id = door.create_playbook(steps=[sign, contain])["id"]
    run_id = door.call("POST", f"/api/playbooks/{playbook_id}/run", json={}).json["execution_id"]
    runs.begin(run_id)
    with db.read() as connection:
        run = transitions.get(connection, "default", run_id)
    pinned = json.loads(run.context)["pins"][action["id"]]
    waits = {"waiting_for": "approval", "due_at": db.now_ms() + 60_000, "output": {}}
    row = runs.enter(run_id, "sign", "waiting", action_id=action["id"], revision_id=pinned, **waits)
    path = f"/api/actions/executions/{row}"
    assert assert_problem(door.call("POST", f"{path}/approve"), 403)["code"] == "not_by_starter"
    assert door.call("POST", f"{path}/approve", key=door.key("operator")).status_code == 200


@pytest.mark.parametrize(
    ("config", "pointer"),
    [({"approvers": "ana"}, "/config/approvers"), ({"not_by_starter": "yes"}, "/config/not_by_starter")],
)
def test_a_rule_that_is_none_is_refused(door: Door, config: dict[str, Any], pointer: str) -> None:
    """What binds people is checked when it is written."""
    definition = {"name": "Ask", "type": "approval", "executor": "approval", "config": config}
    answer = assert_problem(door.call("POST", "/api/actions", json=definition), 400)
    assert [each["pointer"] for each in answer["errors"]] == [pointer]


def test_keys_of_callers_are_apart(door: Door) -> None:
    """An idempotency key or event id of one caller leaves those of others free; a clash is audited."""
    door.create_playbook(trigger={"event": "finding.new"})
    first, second = door.key("operator"), door.key("operator")
    sent = {"event": "finding.new", "id": "SIEM-1001", "data": {"n": 1}}
    assert door.call("POST", "/api/events", key=first, json={**sent, "data": {}}).status_code == 202
    real = door.call("POST", "/api/events", key=second, json=sent)
    assert real.status_code == 202, "another caller's event of this id says nothing"
    assert real.json["data"]["started"]
    assert door.call("POST", "/api/events", key=second, json=sent).headers["Idempotency-Replayed"] == "true"
    assert_problem(door.call("POST", "/api/events", key=second, json={**sent, "data": {"n": 2}}), 422)
    with db.read() as connection:
        found = audit.of(connection, "default", f"event/SIEM-1001/{real.json['data']['started'][0]['playbook_id']}")
    assert [(row.actor, row.event) for row in found] == [(second.split("_")[1], "idempotency_key.clashed")]
    action_id, headers = door.create()["id"], {"Idempotency-Key": "alert-1"}
    path, body = f"/api/actions/{action_id}/trigger", {"parameters": {}}
    made = [door.call("POST", path, key=key, json=body, headers=headers) for key in (first, second, first)]
    ids = [answer.json["data"]["execution_id"] for answer in made]
    assert ids[0] == ids[2] != ids[1]
