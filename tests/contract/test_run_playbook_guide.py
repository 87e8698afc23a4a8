"""The guide to running playbooks, followed word by word: its requests, its answers and its table of errors."""

import json
from typing import Any

import pytest

from tests.support import runs
from tests.support.api import Door, assert_problem
from tests.support.printed import assert_shows, replay

PLAYBOOK = "pb-11223344-5566-7788-99aa-bbccddeeff00"
PRINTED_RUN = "exec-aabb1122-3344-5566-7788-99aabbccddee"
PAYLOAD = """
{
"target_asset_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
"parameters": {
"notify_channel": "#incident-response",
"patch_version": "2.4.1",
"rollback_enabled": true
},
"dry_run": false
}
"""
ACCEPTED = """
{
"execution_id": "exec-aabb1122-3344-5566-7788-99aabbccddee",
"playbook_id": "pb-11223344-5566-7788-99aa-bbccddeeff00",
"status": "pending",
"dry_run": false,
"created_at": "2026-04-28T11:00:00Z",
"steps": [
{"index": 0, "action_id": "act-001", "name": "Enrich finding", "status": "pending"},
{"index": 1, "action_id": "act-002", "name": "Notify Slack", "status": "pending"},
{"index": 2, "action_id": "act-003", "name": "Apply remediation", "status": "pending"},
{"index": 3, "action_id": "act-004", "name": "Verify fix", "status": "pending"}
]
}
"""
STATUS = """
{
"execution_id": "exec-aabb1122-3344-5566-7788-99aabbccddee",
"playbook_id": "pb-11223344-5566-7788-99aa-bbccddeeff00",
"status": "running",
"started_at": "2026-04-28T11:00:05Z",
"steps": [
{"index": 0, "name": "Enrich finding", "status": "completed", "duration_ms": 1200},
{"index": 1, "name": "Notify Slack", "status": "completed", "duration_ms": 340},
{"index": 2, "name": "Apply remediation", "status": "running", "duration_ms": null},
{"index": 3, "name": "Verify fix", "status": "pending", "duration_ms": null}
]
}
"""
RUN_TRIAGE = """
curl -X POST "https://api.s4e.io/api/playbooks/pb-11223344-5566-7788-99aa-bbccddeeff00/run" \\
-H "Authorization: Bearer $S4E_API_TOKEN" \\
-H "Content-Type: application/json" \\
-d '{
"target_asset_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
"parameters": {
"notify_channel": "#incident-response",
"auto_assign": true
},
"dry_run": true
}'
"""
MONITOR = """
curl -s "https://api.s4e.io/api/playbooks/executions/exec-aabb1122-3344-5566-7788-99aabbccddee" \\
-H "Authorization: Bearer $S4E_API_TOKEN" | python3 -m json.tool
"""
BOTH = pytest.mark.parametrize("base", ["/api", "/api/v1"])
RUN = f"/api/playbooks/{PLAYBOOK}/run"
STEP_IDS = ("step-1", "step-2", "step-3", "step-4")


def prepare(door: Door, **more: Any) -> None:
    """The playbook of the guide; it declares what the guide's requests give."""
    steps = []
    for number, step in enumerate(json.loads(ACCEPTED)["steps"]):
        door.create(id=step["action_id"], name=step["name"])
        action = {"type": "action", "action_ref": step["action_id"]}
        steps.append({"id": STEP_IDS[number], "name": step["name"], **action})
    parameters = [
        {"name": "notify_channel", "type": "string"},
        {"name": "patch_version", "type": "string"},
        {"name": "rollback_enabled", "type": "boolean"},
        {"name": "auto_assign", "type": "boolean"},
    ]
    definition = {"id": PLAYBOOK, "name": "Incident triage", "steps": steps, "parameters": parameters, **more}
    door.create_playbook(**definition)


def run(door: Door, **more: Any) -> str:
    """Run the playbook as the guide does; returns the run's id."""
    answer = door.call("POST", RUN, json={**json.loads(PAYLOAD), **more})
    assert answer.status_code == 202, answer.text
    return answer.json["execution_id"]


def under_way(door: Door) -> str:
    """A run that stands where the printed status stands; returns its id."""
    run_id = run(door)
    runs.begin(run_id)
    for step_id, milliseconds in (("step-1", 1200), ("step-2", 340)):
        row_id = runs.enter(run_id, step_id, started_at=1_000_000, created_at=1_000_000)
        runs.end(row_id, completed_at=1_000_000 + milliseconds)
    runs.enter(run_id, "step-3")
    return run_id


def shown(door: Door, run_id: str) -> dict[str, Any]:
    """The run as a reader sees it."""
    return door.call("GET", f"/api/playbooks/executions/{run_id}").json


@pytest.mark.documented(
    "POST /api/playbooks/{id}/run", 202, "Content-Type: Authorization: target_asset_id parameters dry_run"
)
@BOTH
def test_a_run_is_accepted(door: Door, base: str) -> None:
    """202 with every printed member at the top level, and the same once more under ``data``."""
    prepare(door)
    answer = door.call("POST", RUN.replace("/api", base), data=PAYLOAD, headers={"Content-Type": "application/json"})
    assert answer.status_code == 202, answer.text
    assert_shows(json.loads(ACCEPTED), answer.json)
    assert_shows(json.loads(ACCEPTED), answer.json["data"])
    assert {name: value for name, value in answer.json.items() if name != "data"} == answer.json["data"]
    detail = door.call("GET", f"/api/playbooks/{PLAYBOOK}").json["data"]
    assert {one["name"] for one in detail["parameters"]} >= set(json.loads(PAYLOAD)["parameters"])


@BOTH
def test_a_run_is_monitored(door: Door, base: str) -> None:
    """The status shows every printed member at the top level, and the same once more under ``data``."""
    prepare(door)
    run_id = under_way(door)
    answer = replay(door, MONITOR, base=base, ids={PRINTED_RUN: run_id})
    assert answer.status_code == 200
    assert_shows(json.loads(STATUS), answer.json)
    assert {name: value for name, value in answer.json.items() if name != "data"} == answer.json["data"]


def test_the_example_of_the_guide_works(door: Door) -> None:
    """The printed commands run the playbook as a dry run and follow it."""
    prepare(door)
    accepted = replay(door, RUN_TRIAGE)
    assert (accepted.status_code, accepted.json["dry_run"]) == (202, True)
    followed = replay(door, MONITOR, ids={PRINTED_RUN: accepted.json["execution_id"]})
    assert (followed.status_code, followed.json["dry_run"]) == (200, True)
    assert_shows({"notify_channel": "#incident-response", "auto_assign": True}, followed.json["parameters"])


def test_a_dry_run_comes_before_the_real_one(door: Door) -> None:
    """The same request with the flag turned runs for real, next to the dry run."""
    prepare(door)
    rehearsal = run(door, dry_run=True)
    assert shown(door, run(door))["dry_run"] is False
    assert shown(door, rehearsal)["dry_run"] is True


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(one, marks=pytest.mark.documented("GET /api/playbooks/executions/{id}", 200, f"={one}"))
        for one in ("pending", "running", "completed", "failed", "skipped", "cancelled")
    ],
)
def test_a_step_is_shown_in_each_documented_state(door: Door, state: str) -> None:
    """Every state that the guide lists is a state of a step."""
    prepare(door)
    run_id = run(door)
    runs.begin(run_id)
    runs.enter(run_id, "step-1", state)
    assert shown(door, run_id)["steps"][0]["status"] == state
    assert door.call("GET", f"/api/playbooks/executions/{run_id}/steps").json["data"][0]["status"] == state


def test_after_a_failed_step_the_steps_array_says_where(door: Door) -> None:
    """With the strategy abort the steps behind the failed one are skipped, and the run has failed."""
    prepare(door, on_failure="abort")
    run_id = run(door)
    runs.begin(run_id)
    runs.end(runs.enter(run_id, "step-1"))
    runs.end(runs.enter(run_id, "step-2"), "failed", error={"code": "http_error", "message": "500"})
    runs.end_run(run_id, "failed", error={"code": "step_failed", "message": "no", "step_id": "step-2"})
    answer = shown(door, run_id)
    assert (answer["status"], answer["error"]["step_id"]) == ("failed", "step-2")
    assert [step["status"] for step in answer["steps"]] == ["completed", "failed", "skipped", "skipped"]
    assert answer["steps"][1]["error"]["code"] == "http_error"


@pytest.mark.documented("POST /api/playbooks/executions/{id}/cancel", 200)
@BOTH
def test_a_run_is_cancelled(door: Door, base: str) -> None:
    """200, and the status is cancelled; completed steps stay completed. A second time there is nothing to cancel."""
    prepare(door)
    run_id = under_way(door)
    path = f"{base}/playbooks/executions/{run_id}/cancel"
    answer = door.call("POST", path)
    assert answer.status_code == 200
    assert answer.json["status"] == answer.json["data"]["status"] == "cancelled"
    assert [step["status"] for step in answer.json["steps"]] == ["completed", "completed", "cancelled", "cancelled"]
    assert shown(door, run_id)["status"] == "cancelled"
    assert_problem(door.call("POST", path), 409)


BAD_PAYLOADS = {
    "not JSON": b"{",
    "a list": b"[]",
    "an asset that is a number": b'{"target_asset_id": 7}',
    "an empty asset": b'{"target_asset_id": ""}',
    "parameters that are a list": b'{"parameters": []}',
    "parameters that are null": b'{"parameters": null}',
    "a flag that is a word": b'{"dry_run": "yes"}',
    "an unknown member": b'{"dry-run": true}',
}


@pytest.mark.documented("POST /api/playbooks/{id}/run", 400)
@pytest.mark.parametrize("name", BAD_PAYLOADS)
def test_400_invalid_payload(door: Door, name: str) -> None:
    """A payload that is not what the guide describes is refused."""
    prepare(door)
    assert_problem(door.call("POST", RUN, data=BAD_PAYLOADS[name], headers={"Content-Type": "application/json"}), 400)


def test_400_missing_required_field(door: Door) -> None:
    """The asset is required where the playbook says so."""
    prepare(door, target_required=True)
    problem = assert_problem(door.call("POST", RUN, json={"parameters": {}}), 400)
    assert (problem["code"], problem["errors"][0]["pointer"]) == ("target_required", "/target_asset_id")
    assert door.call("POST", RUN, json={"target_asset_id": "a-1001"}).status_code == 202


@pytest.mark.documented("POST /api/playbooks/{id}/run", 401)
def test_401_missing_or_expired_token(door: Door) -> None:
    """Without a key, with a wrong one and with one that has expired."""
    prepare(door)
    for key in (None, "tcn_0123456789ab_wrong", door.key(expires_at=1)):
        assert_problem(door.call("POST", RUN, key=key, data=PAYLOAD), 401)


@pytest.mark.documented("POST /api/playbooks/{id}/run", 403)
def test_403_token_lacks_the_permission(door: Door) -> None:
    """A run needs the permission that the guide calls playbook:execute; a caller with it may run any."""
    prepare(door)
    for key in (door.key("viewer"), door.key("operator", scopes=("read:playbooks", "execute:actions"))):
        assert_problem(door.call("POST", RUN, key=key, json={}), 403)
    assert door.call("POST", RUN, key=door.key("operator", scopes=("playbook:execute",)), json={}).status_code == 202


@pytest.mark.documented("POST /api/playbooks/{id}/run", 404)
def test_404_playbook_not_found(door: Door) -> None:
    """A playbook that is not there, or belongs to another workspace. Assets are not registered here: any id will do."""
    prepare(door)
    assert_problem(door.call("POST", "/api/playbooks/pb-missing/run", json={}), 404)
    assert_problem(door.call("POST", RUN, key=door.key(workspace="elsewhere"), json={}), 404)
    assert_problem(door.call("GET", "/api/playbooks/executions/pexec-missing"), 404)


@pytest.mark.documented("POST /api/playbooks/{id}/run", 409)
def test_409_already_running_for_the_asset(door: Door) -> None:
    """A second run for the same asset waits until the first has ended; another asset, or none, is no conflict."""
    prepare(door)
    first = run(door)
    problem = assert_problem(door.call("POST", RUN, data=PAYLOAD, headers={"Content-Type": "application/json"}), 409)
    assert (problem["code"], problem["running_execution_id"]) == ("already_running", first)
    assert repr(first) in problem["message"]
    run(door, target_asset_id="a-1002")
    run(door, target_asset_id=None)
    run(door, target_asset_id=None)
    assert door.call("POST", f"/api/playbooks/executions/{first}/cancel").status_code == 200
    run(door)


@pytest.mark.documented("POST /api/playbooks/{id}/run", 422)
def test_422_parameters_against_the_schema(door: Door) -> None:
    """Values that do not fit what the playbook declares are named with their place; so are unknown ones."""
    prepare(door)
    given = {"rollback_enabled": "perhaps", "notify_chanel": "#x"}
    problem = assert_problem(door.call("POST", RUN, json={"parameters": given}), 422)
    assert {fault["pointer"] for fault in problem["errors"]} == {
        "/parameters/rollback_enabled",
        "/parameters/notify_chanel",
    }
