"""The document's event groups, request by request, in both forms."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import dispatching
from tests.support.api import Door, assert_problem

PROVIDERS = "providers:\n  email: {kind: mock, behaviour: answer, answer: {sent: true}}\n"
RULES = """\
rules:
  - name: gather
    condition: {field: action.action_type, eq: send_email}
    action: {type: group, group_by: [payload.to]}
"""
ACTION: dict[str, Any] = {
    "namespace": "notifications",
    "tenant": "tenant-1",
    "provider": "email",
    "action_type": "send_email",
    "payload": {"to": "user@example.com", "subject": "Hello!"},
}


@pytest.fixture
def key(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A key of tenant-1, and a rule that gathers."""
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES)
    yield door.key("operator", workspace="tenant-1")
    dispatching.forget()


def grouped(door: Door, key: str, prefix: str) -> dict[str, Any]:
    """The members of the outcome of a dispatch that is gathered, in the form of the prefix."""
    given = {**ACTION, "fingerprint": "mail:1", "status": "firing"}
    answer = door.call("POST", f"{prefix}/dispatch", key, json=given)
    assert answer.status_code == 200, answer.text
    if prefix == "/v1":
        assert answer.json["outcome"] == "grouped"
        return answer.json
    return answer.json["Grouped"]


@pytest.mark.documented("GET /v1/groups", 200)
@pytest.mark.documented("GET /v1/groups/{group_key}", 200)
@pytest.mark.documented("DELETE /v1/groups/{group_key}", 200)
@pytest.mark.parametrize("prefix", ["/v1", "/compat/v1"])
def test_groups(door: Door, key: str, prefix: str) -> None:
    """List, get and flush, without any parameter; then the group is gone, as one that there never was."""
    outcome = grouped(door, key, prefix)
    assert {"group_id", "group_size", "notify_at"} <= set(outcome)
    listed = door.call("GET", f"{prefix}/groups", key)
    assert listed.status_code == 200
    assert listed.json["total"] == 1
    [group] = listed.json["groups"]
    assert {"group_id", "group_key", "event_count", "state", "notify_at", "created_at"} <= set(group)
    assert (group["group_id"], group["event_count"], group["state"]) == (outcome["group_id"], 1, "pending")
    path = f"{prefix}/groups/{group['group_key']}"
    detail = door.call("GET", path, key).json
    assert (detail["group"], detail["labels"]) == (group, {"to": "user@example.com"})
    [event] = detail["events"]
    if prefix == "/v1":
        assert (event["fingerprint"], event["status"], event["payload"]) == ("mail:1", "firing", ACTION["payload"])
    else:
        assert event == "mail:1"
    flushed = door.call("DELETE", path, key)
    assert flushed.status_code == 200
    expected = {"group_id": group["group_id"], "event_count": 1, "status": "flushed", "notified": True}
    assert {name: flushed.json[name] for name in expected} == expected
    assert door.call("GET", f"{prefix}/groups", key).json["total"] == 0
    assert_problem(door.call("DELETE", path, key), 404)
    assert_problem(door.call("GET", f"{prefix}/groups/nothing", key), 404)


def test_a_viewer_sees_groups_and_flushes_none(door: Door, key: str) -> None:
    """Flushing needs a permission of its own."""
    viewer = door.key("viewer", workspace="tenant-1")
    outcome = grouped(door, key, "/v1")
    assert door.call("GET", "/v1/groups", viewer).json["total"] == 1
    assert_problem(door.call("DELETE", f"/v1/groups/{outcome['group_id']}", viewer), 403)
