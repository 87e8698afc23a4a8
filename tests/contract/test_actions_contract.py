"""The documented examples of the actions API, sent as printed.

Each ``curl`` command is taken apart and sent; each printed answer must come back with the same members and the
same values. Ids, times and the host are ours; where the answer says ``running`` we say what is true at that
moment, ``pending``.
"""

import json
from typing import Any

import pytest

from tests.support.api import Door, carry_out
from tests.support.printed import TIME, assert_shows, replay

LIST_ACTIONS = """
curl -X GET "https://api.s4e.io/api/actions?type=remediation" \\
  -H "Authorization: Bearer YOUR_API_KEY"
"""
LISTED = """
{
  "data": [
    {
      "id": "act-block-ip",
      "name": "Block IP Address",
      "type": "remediation",
      "description": "Block a malicious IP address on the firewall.",
      "version": "1.2.0",
      "executor": "opservant",
      "parameters": [
        {"name": "ip_address", "type": "string", "required": true},
        {"name": "duration_hours", "type": "integer", "required": false, "default": 24}
      ],
      "created_at": "2026-02-10T09:00:00Z"
    }
  ],
  "meta": {
    "total": 1,
    "page": 1,
    "per_page": 20
  }
}
"""
CREATE_ACTION = r"""
curl -X POST "https://api.s4e.io/api/actions" \
  -H "Authorization: Bearer YOUR_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "Send Slack Alert",
    "type": "notification",
    "description": "Send a notification to a Slack channel.",
    "executor": "webhook",
    "parameters": [
      {"name": "channel", "type": "string", "required": true},
      {"name": "message", "type": "string", "required": true}
    ],
    "config": {
      "url": "https://hooks.slack.com/services/T00/B00/xxx",
      "method": "POST",
      "headers": {"Content-Type": "application/json"},
      "body_template": "{\"channel\": \"{{ channel }}\", \"text\": \"{{ message }}\"}"
    }
  }'
"""
CREATED = """
{
  "data": {
    "id": "act-slack-alert",
    "name": "Send Slack Alert",
    "type": "notification",
    "executor": "webhook",
    "version": "1.0.0",
    "created_at": "2026-04-28T12:00:00Z"
  }
}
"""
GET_ACTION = """
curl -X GET "https://api.s4e.io/api/actions/act-block-ip" \\
  -H "Authorization: Bearer YOUR_API_KEY"
"""
TRIGGER = """
curl -X POST "https://api.s4e.io/api/actions/act-block-ip/trigger" \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "target": "a-1001",
    "parameters": {
      "ip_address": "203.0.113.50",
      "duration_hours": 48
    }
  }'
"""
LIST_EXECUTIONS = """
curl -X GET "https://api.s4e.io/api/actions/act-block-ip/executions?page=1&per_page=10" \\
  -H "Authorization: Bearer YOUR_API_KEY"
"""
EXECUTIONS_LISTED = """
{
  "data": [
    {
      "execution_id": "exec-9912",
      "status": "completed",
      "parameters": {"ip_address": "203.0.113.50", "duration_hours": 48},
      "output": {"rule_id": "fw-789", "blocked": true, "expires_at": "2026-04-30T12:00:00Z"},
      "started_at": "2026-04-28T12:00:00Z",
      "completed_at": "2026-04-28T12:00:05Z",
      "duration_seconds": 5
    }
  ],
  "meta": {"total": 1, "page": 1, "per_page": 10}
}
"""
GET_EXECUTION = """
curl -X GET "https://api.s4e.io/api/actions/executions/exec-9912" \\
  -H "Authorization: Bearer YOUR_API_KEY"
"""
EXECUTION = """
{
  "data": {
    "execution_id": "exec-9912",
    "action_id": "act-block-ip",
    "action_name": "Block IP Address",
    "status": "completed",
    "target": "a-1001",
    "parameters": {
      "ip_address": "203.0.113.50",
      "duration_hours": 48
    },
    "output": {
      "rule_id": "fw-789",
      "blocked": true,
      "expires_at": "2026-04-30T12:00:00Z"
    },
    "logs": [
      {"timestamp": "2026-04-28T12:00:01Z", "level": "INFO", "message": "Connecting to firewall API."},
      {"timestamp": "2026-04-28T12:00:03Z", "level": "INFO", "message": "Block rule created: fw-789."},
      {"timestamp": "2026-04-28T12:00:05Z", "level": "INFO", "message": "Action completed successfully."}
    ],
    "started_at": "2026-04-28T12:00:00Z",
    "completed_at": "2026-04-28T12:00:05Z"
  }
}
"""
BLOCK_IP: dict[str, Any] = {
    "id": "act-block-ip",
    "name": "Block IP Address",
    "type": "remediation",
    "description": "Block a malicious IP address on the firewall.",
    "version": "1.2.0",
    "parameters": [
        {"name": "ip_address", "type": "string", "required": True},
        {"name": "duration_hours", "type": "integer", "required": False, "default": 24},
    ],
}


@pytest.mark.documented("GET /api/actions", 200, "?type")
@pytest.mark.parametrize("base", ["/api", "/api/v1"])
def test_actions_are_listed_by_type(door: Door, base: str) -> None:
    """The list of remediations shows the action with every printed member, under both prefixes."""
    door.create(**BLOCK_IP, executor="opservant", config={})
    door.create(name="Something else", type="webhook")
    answer = replay(door, LIST_ACTIONS, base=base)
    assert answer.status_code == 200
    assert_shows(json.loads(LISTED), answer.json)


@pytest.mark.documented("POST /api/actions", 201, "name type description executor parameters config")
@pytest.mark.parametrize("base", ["/api", "/api/v1"])
def test_an_action_is_created(door: Door, base: str) -> None:
    """The printed body makes an action of version 1.0.0; Location says where it is."""
    answer = replay(door, CREATE_ACTION, base=base)
    assert answer.status_code == 201
    assert_shows(json.loads(CREATED), answer.json)
    shown = door.call("GET", answer.headers["Location"]).json["data"]
    assert shown == answer.json["data"]
    assert shown["description"] == "Send a notification to a Slack channel."
    assert shown["config"]["body_template"] == '{"channel": "{{ channel }}", "text": "{{ message }}"}'


@pytest.mark.documented("GET /api/actions/{id}", 200)
def test_an_action_is_shown(door: Door) -> None:
    """The details of an action hold what its list item holds."""
    door.create(**BLOCK_IP, executor="opservant", config={})
    answer = replay(door, GET_ACTION)
    assert answer.status_code == 200
    assert_shows(json.loads(LISTED)["data"][0], answer.json["data"])


@pytest.mark.documented("POST /api/actions/{id}/trigger", 202, "target parameters")
@pytest.mark.parametrize("base", ["/api", "/api/v1"])
def test_an_action_is_triggered(door: Door, base: str) -> None:
    """A trigger is accepted: the execution has an id, and is pending until a worker takes it up."""
    door.create(**BLOCK_IP)
    answer = replay(door, TRIGGER, base=base)
    assert answer.status_code == 202
    accepted = answer.json["data"]
    assert accepted["execution_id"].startswith("exec-")
    assert accepted["action_id"] == "act-block-ip"
    assert (accepted["status"], accepted["started_at"]) == ("pending", None)
    assert TIME.fullmatch(accepted["created_at"])
    assert answer.headers["Location"] == f"{base}/actions/executions/{accepted['execution_id']}"


@pytest.mark.documented("GET /api/actions/executions/{id}", 200)
@pytest.mark.documented("GET /api/actions/{id}/executions", 200, "?page ?per_page")
def test_an_execution_is_followed_to_its_end(door: Door) -> None:
    """List and details of executions show parameters, output, logs and times as printed."""
    door.create(**BLOCK_IP)
    execution_id = replay(door, TRIGGER).json["data"]["execution_id"]
    printed = json.loads(EXECUTION)["data"]
    carry_out(execution_id, output=printed["output"], logs=printed["logs"])
    shown = replay(door, GET_EXECUTION, ids={"exec-9912": execution_id})
    assert shown.status_code == 200
    assert_shows({"data": printed}, shown.json)
    listed = replay(door, LIST_EXECUTIONS)
    assert listed.status_code == 200
    expected = json.loads(EXECUTIONS_LISTED)
    del expected["data"][0]["duration_seconds"]
    assert_shows(expected, listed.json)
    assert isinstance(listed.json["data"][0]["duration_seconds"], int | float)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(one, marks=pytest.mark.documented("POST /api/actions", 201, f"={one}"))
        for one in ("notification", "remediation", "webhook", "script", "approval")
    ],
)
def test_every_documented_type_is_accepted(door: Door, kind: str) -> None:
    """An action of each documented type can be created and found by it."""
    door.create(name=f"A {kind}", type=kind)
    found = door.call("GET", f"/api/actions?type={kind}").json["data"]
    assert [action["name"] for action in found] == [f"A {kind}"]


@pytest.mark.documented("GET /api/actions", 200, "?search ?page ?per_page")
def test_search_and_pages(door: Door) -> None:
    """``search`` looks into name and description; ``page`` and ``per_page`` cut the list."""
    for number in range(25):
        door.create(name=f"Block host {number}", description="firewall" if number % 5 == 0 else "")
    first = door.call("GET", "/api/actions").json
    place = {"total": 25, "page": 1, "per_page": 20, "total_pages": 2}
    assert (len(first["data"]), first["meta"] | place) == (20, first["meta"])
    assert len(door.call("GET", "/api/actions?page=2").json["data"]) == 5
    assert door.call("GET", "/api/actions?search=FIREWALL").json["meta"]["total"] == 5
    assert door.call("GET", "/api/actions?search=host%2024").json["meta"]["total"] == 1
    assert door.call("GET", "/api/actions?per_page=100").json["meta"]["total_pages"] == 1
    assert door.call("GET", "/api/actions?per_page=101").status_code == 400


@pytest.mark.documented("POST /api/actions/{id}/trigger", 202, "sandbox dry_run")
def test_sandbox_and_dry_run_are_said_in_the_answer(door: Door) -> None:
    """``sandbox`` and ``dry_run`` are accepted, shown by trigger, list and details, and exclude each other."""
    action = door.create()
    path = f"/api/actions/{action['id']}/trigger"
    for name in ("sandbox", "dry_run"):
        accepted = door.call("POST", path, json={"parameters": {}, name: True}).json["data"]
        shown = door.call("GET", f"/api/actions/executions/{accepted['execution_id']}").json["data"]
        for members in (accepted, shown):
            assert {mode: members[mode] for mode in ("sandbox", "dry_run")} == {
                "sandbox": name == "sandbox",
                "dry_run": name == "dry_run",
            }
    assert door.call("POST", path, json={"parameters": {}, "sandbox": True, "dry_run": True}).status_code == 400


def test_a_cancelled_execution_has_the_documented_state(door: Door) -> None:
    """A pending execution can be cancelled once; its state is ``cancelled`` for ever."""
    execution_id = door.trigger(door.create()["id"])
    cancelled = door.call("POST", f"/api/actions/executions/{execution_id}/cancel")
    assert cancelled.status_code == 200
    assert cancelled.json["data"]["status"] == "cancelled"
    assert cancelled.json["data"]["duration_seconds"] is None
    assert door.call("POST", f"/api/actions/executions/{execution_id}/cancel").status_code == 409


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(one, marks=pytest.mark.documented("GET /api/actions/executions/{id}", 200, f"={one}"))
        for one in ("pending", "running", "completed", "failed", "timeout", "cancelled")
    ],
)
def test_every_documented_state_is_shown_and_found(door: Door, state: str) -> None:
    """An execution in each documented state shows it and is found by it."""
    execution_id = door.trigger(door.create()["id"])
    if state == "cancelled":
        assert door.call("POST", f"/api/actions/executions/{execution_id}/cancel").status_code == 200
    elif state != "pending":
        carry_out(execution_id, state)
    assert door.call("GET", f"/api/actions/executions/{execution_id}").json["data"]["status"] == state
    found = door.call("GET", f"/api/actions/executions?status={state}").json["data"]
    assert [item["execution_id"] for item in found] == [execution_id]


def test_a_version_of_null_goes_up_by_itself(door: Door) -> None:
    """Null says nothing, as if the version had been left out."""
    action = door.create(id="act-counted")
    for expected in ("1.1.0", "1.2.0"):
        change = {"version": None, "timeout_seconds": int(expected[2]) + 1}
        answer = door.call("PATCH", f"/api/actions/{action['id']}", json=change)
        assert (answer.status_code, answer.json["data"]["version"]) == (200, expected)
