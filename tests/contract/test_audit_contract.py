"""The gateway's documented answers of health, metrics and audit: their paths, parameters, members and words."""

import json
from typing import Any

import pytest

from gateway import outcomes
from playbooks.states import Status
from store.engine import db
from store.executions import transitions
from store.records import notes
from store.records.notes import Note
from tasks.clock import metrics as counting
from tasks.clock.duty import TimeSlice
from tests.support import committer
from tests.support.api import Door, assert_problem
from tests.support.executions import new_execution

HEALTH = """
{
  "status": "ok",
  "metrics": {
    "dispatched": 1500,
    "executed": 1200,
    "deduplicated": 150,
    "suppressed": 50,
    "rerouted": 30,
    "throttled": 20,
    "failed": 10,
    "grouped": 25,
    "pending_approval": 5
  }
}
"""
METRICS = """
{
  "dispatched": 1500,
  "executed": 1200,
  "deduplicated": 150,
  "suppressed": 50,
  "rerouted": 30,
  "throttled": 20,
  "failed": 10
}
"""
AUDIT = """
{
  "records": [],
  "total": 150,
  "limit": 50,
  "offset": 0
}
"""
FILTERS = (
    *("namespace", "tenant", "provider", "action_type", "outcome", "verdict", "matched_rule", "caller_id", "chain_id"),
    *("from", "to", "limit", "offset"),
)
#: what clients read of a record
MEMBERS = {
    *("id", "action_id", "namespace", "tenant", "provider", "action_type", "verdict", "outcome", "matched_rule"),
    *("duration_ms", "dispatched_at", "completed_at", "chain_id", "caller_id"),
}
DISPATCHED = {
    "executed": (Status.COMPLETED, {}, None),
    "rerouted": (Status.COMPLETED, {"verdict": "reroute", "rule": "by-night"}, None),
    "failed": (Status.FAILED, {}, "http_status"),
}


@pytest.fixture
def filled(door: Door) -> Door:
    """A system after a few dispatches, with their outcomes counted."""
    for to, gate, code in DISPATCHED.values():
        account = {"origin": "dispatch", "namespace": "notifications", "provider": "email", "action_type": "send_email"}
        values = new_execution(workspace_id="default", gate=json.dumps({**account, **gate}))
        with db.write() as connection:
            transitions.accept(connection, values, publish_again_at=db.now_ms())
            committer.claim(connection, values["id"])
            error = {"error": json.dumps({"code": code, "message": "m"})} if code else {}
            transitions.transition(connection, values["id"], to, **error)
    members: dict[str, Any] = {"workspace_id": "default", "caller": "k", "namespace": "notifications"}
    members |= {"provider": "email", "action_type": "send_email", "payload": {}, "began_at": db.now_ms()}
    with db.write() as connection:
        for outcome in ("deduplicated", "suppressed", "throttled"):
            notes.note(connection, Note(**members, outcome=outcome, verdict="suppress", rule="block-spam"))
    counting.count(TimeSlice())
    return door


@pytest.mark.documented("GET /health", 200)
def test_health_has_the_documented_counts(filled: Door) -> None:
    """All nine, as numbers, in the member metrics."""
    shown = filled.call("GET", "/health").json["metrics"]
    documented = json.loads(HEALTH)["metrics"]
    assert {name: shown[name] for name in documented} == {
        **dict.fromkeys(documented, 1),
        "dispatched": 6,
        "grouped": 0,
        "pending_approval": 0,
    }


@pytest.mark.documented("GET /metrics", 200)
def test_metrics_has_the_documented_counts(filled: Door) -> None:
    """All seven at the top level."""
    shown = filled.call("GET", "/metrics").json
    documented = json.loads(METRICS)
    assert {name: shown[name] for name in documented} == {**dict.fromkeys(documented, 1), "dispatched": 6}


def test_the_audit_list_has_the_documented_members(filled: Door) -> None:
    """Records, total, limit and offset; a record has what existing clients read."""
    shown = filled.call("GET", "/v1/audit").json
    assert shown.keys() >= json.loads(AUDIT).keys()
    assert (shown["total"], shown["limit"], shown["offset"]) == (6, 50, 0)
    assert all(record.keys() >= MEMBERS for record in shown["records"])
    assert {record["outcome"] for record in shown["records"]} <= set(outcomes.NAMES)


@pytest.mark.documented("GET /v1/audit", 200, *(f"?{name}" for name in FILTERS))
def test_each_documented_filter_is_taken(filled: Door) -> None:
    """Every one of the document, and no other word."""
    document = filled.call("GET", "/api/openapi.json").json["paths"]["/v1/audit"]["get"]
    assert {one["name"] for one in document["parameters"]} == {*FILTERS, "cursor"}
    values = {"from": "2026-01-15T10:00:00Z", "to": "2036-01-15T10:00:00Z", "limit": "1000", "offset": "0"}
    values |= {"outcome": "executed", "verdict": "allow", "tenant": "default"}
    for name in FILTERS:
        answer = filled.call("GET", f"/v1/audit?{name}={values.get(name, 'email')}")
        assert answer.status_code == 200, answer.text
    assert_problem(filled.call("GET", "/v1/audit?limit=1001"), 400)


@pytest.mark.documented("GET /v1/audit/{action_id}", 200)
def test_a_record_is_found_by_its_action_id(filled: Door) -> None:
    """The same members as in the list; an unknown id is 404."""
    [newest, *_] = filled.call("GET", "/v1/audit").json["records"]
    assert filled.call("GET", f"/v1/audit/{newest['action_id']}").json == newest
    assert_problem(filled.call("GET", "/v1/audit/unknown"), 404)


def test_audit_needs_a_key(filled: Door) -> None:
    """Every role may read; without a key nobody does."""
    assert filled.call("GET", "/v1/audit", key=filled.key("viewer")).status_code == 200
    assert_problem(filled.call("GET", "/v1/audit", key=None), 401)
