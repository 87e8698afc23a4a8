"""The documented examples of the playbooks API, sent as printed.

Where the printed answer to a run says ``running`` we say what is true at that moment, ``pending``, and the time at
which it started is not known yet.
"""

import json
from typing import Any

import pytest

from tests.support import runs
from tests.support.api import Door
from tests.support.printed import TIME, assert_shows, replay

LIST_PLAYBOOKS = """
curl -X GET "https://api.s4e.io/api/playbooks?tag=incident-response" \\
  -H "Authorization: Bearer YOUR_API_KEY"
"""
LISTED = """
{
  "data": [
    {
      "id": "pb-critical-vuln-response",
      "name": "Critical Vulnerability Response",
      "version": "1.2.0",
      "description": "Automated triage and response for critical vulnerabilities.",
      "trigger": {
        "event": "finding.new",
        "conditions": {"severity": "critical"}
      },
      "step_count": 5,
      "tags": ["security", "automated", "incident-response"],
      "created_at": "2026-03-01T10:00:00Z",
      "updated_at": "2026-04-15T14:00:00Z"
    }
  ],
  "meta": {
    "total": 8,
    "page": 1,
    "per_page": 20
  }
}
"""
CREATE_PLAYBOOK = """
curl -X POST "https://api.s4e.io/api/playbooks" \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "Critical Finding Alert",
    "version": "1.0.0",
    "description": "Notify team and create ticket for critical findings.",
    "trigger": {
      "event": "finding.new",
      "conditions": {"severity": "critical"}
    },
    "steps": [
      {
        "id": "notify",
        "name": "Notify Security Team",
        "type": "action",
        "action_ref": "act-slack-notify",
        "parameters": {
          "channel": "#security-alerts",
          "message": "Critical finding: {{ finding.title }}"
        },
        "on_success": "create-ticket"
      },
      {
        "id": "create-ticket",
        "name": "Create JIRA Ticket",
        "type": "action",
        "action_ref": "act-jira-create",
        "parameters": {
          "project": "SEC",
          "summary": "{{ finding.title }}",
          "priority": "Critical"
        }
      }
    ],
    "on_failure": "abort",
    "timeout_minutes": 30,
    "tags": ["incident-response"]
  }'
"""
CREATED = """
{
  "data": {
    "id": "pb-critical-finding-alert",
    "name": "Critical Finding Alert",
    "version": "1.0.0",
    "step_count": 2,
    "created_at": "2026-04-28T12:00:00Z"
  }
}
"""
GET_PLAYBOOK = """
curl -X GET "https://api.s4e.io/api/playbooks/pb-critical-vuln-response" \\
  -H "Authorization: Bearer YOUR_API_KEY"
"""
RUN_PLAYBOOK = """
curl -X POST "https://api.s4e.io/api/playbooks/pb-critical-vuln-response/run" \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "target_asset_id": "a-1001",
    "parameters": {
      "notification_channel": "#incidents"
    },
    "dry_run": false
  }'
"""
RUNNING = """
{
  "data": {
    "execution_id": "pexec-7721",
    "playbook_id": "pb-critical-vuln-response",
    "status": "running",
    "started_at": "2026-04-28T12:00:00Z"
  }
}
"""
GET_RUN = """
curl -X GET "https://api.s4e.io/api/playbooks/executions/pexec-7721" \\
  -H "Authorization: Bearer YOUR_API_KEY"
"""
COMPLETED = """
{
  "data": {
    "execution_id": "pexec-7721",
    "playbook_id": "pb-critical-vuln-response",
    "playbook_name": "Critical Vulnerability Response",
    "status": "completed",
    "current_step": null,
    "steps_completed": 5,
    "steps_total": 5,
    "started_at": "2026-04-28T12:00:00Z",
    "completed_at": "2026-04-28T12:02:15Z",
    "duration_seconds": 135
  }
}
"""
GET_STEPS = """
curl -X GET "https://api.s4e.io/api/playbooks/executions/pexec-7721/steps" \\
  -H "Authorization: Bearer YOUR_API_KEY"
"""
STEPS = """
{
  "data": [
    {
      "step_id": "notify",
      "step_name": "Notify Security Team",
      "type": "action",
      "status": "completed",
      "output": {"message_ts": "1714305660.001234"},
      "started_at": "2026-04-28T12:00:01Z",
      "completed_at": "2026-04-28T12:00:03Z"
    },
    {
      "step_id": "create-ticket",
      "step_name": "Create JIRA Ticket",
      "type": "action",
      "status": "completed",
      "output": {"issue_key": "SEC-1234"},
      "started_at": "2026-04-28T12:00:03Z",
      "completed_at": "2026-04-28T12:00:08Z"
    }
  ]
}
"""
EXPORT = """
curl -X GET "https://api.s4e.io/api/playbooks/pb-critical-vuln-response/export?format=cacao_v2" \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -o playbook.json
"""
IMPORT = """
curl -X POST "https://api.s4e.io/api/playbooks/import" \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d @cacao-playbook.json
"""
PRINTED_STEPS = CREATE_PLAYBOOK[CREATE_PLAYBOOK.index("[") : CREATE_PLAYBOOK.index("]") + 1]
BOTH = pytest.mark.parametrize("base", ["/api", "/api/v1"])


def documented_actions(door: Door) -> None:
    """The actions that the printed playbook names, with the parameters that it gives them."""
    for step in json.loads(PRINTED_STEPS):
        parameters = [{"name": name, "type": "string"} for name in step["parameters"]]
        door.create(id=step["action_ref"], name=step["name"], parameters=parameters)


def response(door: Door, **more: Any) -> dict[str, Any]:
    """The playbook of the printed list: five steps, and the parameter that the printed run overrides."""
    documented_actions(door)
    names = ("enrich", "notify", "create-ticket", "contain", "verify")
    steps = [{"id": name, "type": "action", "action_ref": "act-slack-notify"} for name in names]
    whole = {**json.loads(LISTED)["data"][0], "steps": steps}
    for name in ("step_count", "created_at", "updated_at"):
        del whole[name]
    parameters = [{"name": "notification_channel", "type": "string", "default": "#security"}]
    return door.create_playbook(**{**whole, "parameters": parameters, **more})


@pytest.mark.documented("GET /api/playbooks", 200, "?tag")
@BOTH
def test_playbooks_are_listed_by_tag(door: Door, base: str) -> None:
    """The list of those with a tag shows the playbook with every printed member, and how many there are."""
    for number in range(7):
        door.create_playbook(name=f"Another {number}", tags=["incident-response"])
    door.create_playbook(name="Something else", tags=["incident"])
    response(door)
    answer = replay(door, LIST_PLAYBOOKS, base=base)
    assert answer.status_code == 200
    printed = json.loads(LISTED)
    assert_shows(printed["meta"], answer.json["meta"])
    assert_shows(printed["data"], [one for one in answer.json["data"] if one["step_count"] == 5])


@pytest.mark.documented("GET /api/playbooks", 200, "?search ?page ?per_page")
def test_search_and_pages(door: Door) -> None:
    """``search`` looks into name and description; ``page`` and ``per_page`` cut the list, of twenty unless asked."""
    for number in range(25):
        door.create_playbook(name=f"Contain host {number}", description="ransomware" if number % 5 == 0 else "")
    first = door.call("GET", "/api/playbooks").json
    place = {"total": 25, "page": 1, "per_page": 20, "total_pages": 2}
    assert (len(first["data"]), first["meta"] | place) == (20, first["meta"])
    assert len(door.call("GET", "/api/playbooks?page=2").json["data"]) == 5
    assert door.call("GET", "/api/playbooks?search=RANSOMWARE").json["meta"]["total"] == 5
    assert door.call("GET", "/api/playbooks?search=host%2024").json["meta"]["total"] == 1
    assert door.call("GET", "/api/playbooks?per_page=100").json["meta"]["total_pages"] == 1
    assert door.call("GET", "/api/playbooks?per_page=101").status_code == 400


@pytest.mark.documented(
    "POST /api/playbooks", 201, "name version description trigger steps on_failure timeout_minutes tags"
)
@BOTH
def test_a_playbook_is_created(door: Door, base: str) -> None:
    """The printed body makes a playbook of version 1.0.0; what it leaves out gets its default."""
    documented_actions(door)
    answer = replay(door, CREATE_PLAYBOOK, base=base)
    assert answer.status_code == 201, answer.text
    assert_shows(json.loads(CREATED), answer.json)
    shown = door.call("GET", answer.headers["Location"]).json["data"]
    assert shown["trigger"] == {"event": "finding.new", "conditions": {"severity": "critical"}}
    assert (shown["on_failure"], shown["timeout_minutes"], shown["tags"]) == ("abort", 30, ["incident-response"])
    assert [step["id"] for step in shown["steps"]] == ["notify", "create-ticket"]


@pytest.mark.documented("GET /api/playbooks/{id}", 200)
def test_a_playbook_is_shown_in_full(door: Door) -> None:
    """The details of a playbook hold what its list item holds, all steps and all configuration."""
    kept = response(door)
    answer = replay(door, GET_PLAYBOOK)
    assert answer.status_code == 200
    assert_shows(json.loads(LISTED)["data"][0], answer.json["data"])
    assert answer.json["data"] == kept
    assert len(kept["steps"]) == 5


@pytest.mark.documented("POST /api/playbooks/{id}/run", 202, "target_asset_id parameters dry_run")
@BOTH
def test_a_playbook_is_run(door: Door, base: str) -> None:
    """A run is accepted with the printed members under ``data``; what the caller gives overrides the default."""
    response(door)
    answer = replay(door, RUN_PLAYBOOK, base=base)
    assert answer.status_code == 202, answer.text
    printed = json.loads(RUNNING)
    printed["data"]["status"] = "pending"
    del printed["data"]["started_at"]
    assert_shows(printed, answer.json)
    assert answer.json["data"]["started_at"] is None
    assert TIME.fullmatch(answer.json["data"]["created_at"])
    shown = door.call("GET", answer.headers["Location"]).json["data"]
    assert answer.headers["Location"] == f"{base}/playbooks/executions/{shown['execution_id']}"
    assert shown["parameters"] == {"notification_channel": "#incidents"}
    assert (shown["target_asset_id"], shown["dry_run"]) == ("a-1001", False)


@pytest.mark.parametrize("body", [None, {}, {"dry_run": True}, {"target_asset_id": "a-1"}, {"parameters": {}}])
def test_nothing_in_the_body_of_a_run_is_required(door: Door, body: dict[str, Any] | None) -> None:
    """The asset, the parameters and the flag may each be left out."""
    response(door)
    answer = door.call("POST", "/api/playbooks/pb-critical-vuln-response/run", json=body)
    assert answer.status_code == 202
    shown = door.call("GET", answer.headers["Location"]).json["data"]
    assert shown["parameters"] == {"notification_channel": "#security"}
    assert shown["dry_run"] == bool((body or {}).get("dry_run"))


@pytest.mark.documented("GET /api/playbooks/executions/{id}", 200)
@BOTH
def test_the_status_of_an_execution_is_shown(door: Door, base: str) -> None:
    """A completed run shows every printed member with its value."""
    response(door)
    run_id = replay(door, RUN_PLAYBOOK).json["data"]["execution_id"]
    runs.begin(run_id, started_at=1_777_377_600_000)
    for name in ("enrich", "notify", "create-ticket", "contain", "verify"):
        runs.end(runs.enter(run_id, name))
    runs.end_run(run_id, completed_at=1_777_377_735_000)
    answer = replay(door, GET_RUN, base=base, ids={"pexec-7721": run_id})
    assert answer.status_code == 200
    assert_shows(json.loads(COMPLETED), answer.json)
    assert answer.json["data"]["started_at"] == "2026-04-28T12:00:00.000Z"
    assert answer.json["data"]["completed_at"] == "2026-04-28T12:02:15.000Z"


@pytest.mark.documented("GET /api/playbooks/executions/{id}/steps", 200)
@BOTH
def test_the_steps_of_an_execution_are_shown(door: Door, base: str) -> None:
    """Each step comes with its status and its output."""
    documented_actions(door)
    replay(door, CREATE_PLAYBOOK)
    run_id = door.call("POST", "/api/playbooks/pb-critical-finding-alert/run", json={}).json["execution_id"]
    printed = json.loads(STEPS)
    runs.begin(run_id)
    for step in printed["data"]:
        runs.end(runs.enter(run_id, step["step_id"]), output=step["output"])
    runs.end_run(run_id)
    answer = replay(door, GET_STEPS, base=base, ids={"pexec-7721": run_id})
    assert answer.status_code == 200
    assert_shows(printed, answer.json)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(one, marks=pytest.mark.documented("GET /api/playbooks/executions/{id}", 200, f"={one}"))
        for one in ("pending", "running", "paused", "completed", "failed", "cancelled")
    ],
)
def test_every_documented_state_is_shown_and_found(door: Door, state: str) -> None:
    """A run in each documented state shows it and is found by it: paused is one that waits for approval or delay."""
    playbook_id = door.create_playbook()["id"]
    run_id = door.call("POST", f"/api/playbooks/{playbook_id}/run", json={}).json["execution_id"]
    if state != "pending":
        runs.begin(run_id)
    if state == "paused":
        runs.enter(run_id, "wait", "waiting", type="delay", waiting_for="delay")
    if state in ("completed", "failed", "cancelled"):
        runs.end_run(run_id, state)
    assert door.call("GET", f"/api/playbooks/executions/{run_id}").json["data"]["status"] == state
    found = door.call("GET", f"/api/playbooks/executions?status={state}").json["data"]
    assert [(one["execution_id"], one["status"]) for one in found] == [(run_id, state)]


@pytest.mark.documented("GET /api/playbooks/{id}/export", 200, "?format")
@pytest.mark.documented("POST /api/playbooks/import", 201)
@BOTH
def test_playbooks_are_exported_and_imported(door: Door, base: str) -> None:
    """The printed export gives a CACAO document as a file, and the printed import takes such a file."""
    response(door)
    exported = replay(door, EXPORT, base=base)
    assert exported.status_code == 200
    assert (exported.json["type"], exported.json["spec_version"]) == ("playbook", "cacao-2.0")
    assert "attachment" in exported.headers["Content-Disposition"]
    door.call("DELETE", "/api/playbooks/pb-critical-vuln-response")
    imported = replay(door, IMPORT, base=base, files={"cacao-playbook.json": exported.text})
    assert imported.status_code == 201
    assert imported.json["data"]["id"] == "pb-critical-vuln-response"


@pytest.mark.documented("POST /api/playbooks/import", 200, "dry_run")
@BOTH
def test_dry_run_in_the_request_previews_and_creates_nothing(door: Door, base: str) -> None:
    """As the tip says: with dry_run in the request the conversion is shown, and there is no playbook afterwards."""
    response(door)
    document = replay(door, EXPORT, base=base).json
    door.call("DELETE", "/api/playbooks/pb-critical-vuln-response")
    text = json.dumps({**document, "dry_run": True})
    shown = replay(door, IMPORT, base=base, files={"cacao-playbook.json": text})
    assert shown.status_code == 200
    assert len(shown.json["data"]["playbook"]["steps"]) == 5
    assert door.call("GET", "/api/playbooks/pb-critical-vuln-response").status_code == 404
