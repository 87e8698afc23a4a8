"""The document's events, request by request, as written there, in both forms."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import dispatching
from tests.support.api import Door, assert_problem

PROVIDERS = "providers:\n  email: {kind: mock}\n"
MACHINES = """\
state_machines:
  - name: alert
    initial_state: firing
    states: [firing, acknowledged, resolved]
    transitions:
      - {from: firing, to: acknowledged}
      - {from: [firing, acknowledged], to: resolved, on_transition: {notify: true}}
    timeouts: [{in_state: acknowledged, after_seconds: 3600, transition_to: resolved}]
"""
RULES = """\
rules:
  - name: alerts
    condition: {field: action.action_type, eq: send_email}
    action: {type: state_machine, state_machine: alert, fingerprint_fields: [action_type, metadata.cluster]}
"""
ACTION: dict[str, Any] = {
    "namespace": "monitoring",
    "tenant": "tenant-1",
    "provider": "email",
    "action_type": "send_email",
    "payload": {"to": "user@example.com", "subject": "Hello!"},
    "metadata": {"labels": {"priority": "high"}},
    "status": "firing",
    "fingerprint": "alert-cluster1-cpu",
    "starts_at": "2026-01-15T10:00:00Z",
}


@pytest.fixture
def key(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A key of tenant-1, and a rule with a state machine."""
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES, state_machines=MACHINES)
    yield door.key("operator", workspace="tenant-1")
    dispatching.forget()


def dispatched(door: Door, key: str, prefix: str = "/v1", **more: Any) -> dict[str, Any]:
    """The members of the outcome of a dispatch, in the form of the prefix."""
    answer = door.call("POST", f"{prefix}/dispatch", key, json={**ACTION, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json if prefix == "/v1" else answer.json["StateChanged"]
    return found


@pytest.mark.parametrize("prefix", ["/v1", "/compat/v1"])
def test_state_changed(door: Door, key: str, prefix: str) -> None:
    """A dispatch with the document's lifecycle members moves its event; both forms have the same four members."""
    first = dispatched(door, key, prefix)
    said = {"fingerprint": "alert-cluster1-cpu", "previous_state": "firing", "new_state": "firing", "notify": False}
    if prefix == "/v1":
        assert first.pop("outcome") == "state_changed"
        first.pop("action_id")
    assert first == said
    ended = dispatched(door, key, prefix, ends_at="2026-01-15T11:00:00Z")
    assert (ended["previous_state"], ended["new_state"], ended["notify"]) == ("firing", "resolved", True)


@pytest.mark.documented("POST /v1/dispatch", 200, "=state_changed")
@pytest.mark.documented("GET /v1/events", 200, "?status ?namespace ?tenant")
@pytest.mark.parametrize("prefix", ["/v1", "/compat/v1"])
def test_list_events(door: Door, key: str, prefix: str) -> None:
    """Status, namespace and tenant, each optional; existing clients need the count."""
    dispatched(door, key)
    for query in ("", "?status=firing", "?status=firing&namespace=monitoring&tenant=tenant-1&limit=100"):
        answer = door.call("GET", f"{prefix}/events{query}", key)
        assert (answer.status_code, answer.json["count"]) == (200, 1)
        [listed] = answer.json["events"]
        assert {"fingerprint", "state", "action_type", "updated_at"} <= set(listed)
    assert door.call("GET", f"{prefix}/events?status=resolved", key).json["count"] == 0


@pytest.mark.documented("GET /v1/events/{fingerprint}", 200, "?namespace ?tenant")
@pytest.mark.parametrize("prefix", ["/v1", "/compat/v1"])
def test_get_event(door: Door, key: str, prefix: str) -> None:
    """By its fingerprint, with or without its namespace and tenant."""
    dispatched(door, key)
    for query in ("", "?namespace=monitoring&tenant=tenant-1"):
        answer = door.call("GET", f"{prefix}/events/alert-cluster1-cpu{query}", key)
        assert answer.status_code == 200
        assert (answer.json["fingerprint"], answer.json["state"]) == ("alert-cluster1-cpu", "firing")
    assert_problem(door.call("GET", f"{prefix}/events/none?namespace=monitoring&tenant=tenant-1", key), 404)


@pytest.mark.parametrize("prefix", ["/v1", "/compat/v1"])
@pytest.mark.parametrize(
    "member",
    [
        pytest.param(
            "to_state",
            marks=pytest.mark.documented(
                "PUT /v1/events/{fingerprint}/transition", 200, "to_state", "namespace", "tenant"
            ),
        ),
        "to",
    ],
)
def test_transition_event(door: Door, key: str, prefix: str, member: str) -> None:
    """The document's body, and that of existing clients; what is not allowed is a conflict."""
    dispatched(door, key)
    path = f"{prefix}/events/alert-cluster1-cpu/transition"
    given = {member: "acknowledged", "namespace": "monitoring", "tenant": "tenant-1"}
    answer = door.call("PUT", path, key, json=given)
    assert answer.status_code == 200, answer.text
    assert answer.json == {
        "fingerprint": "alert-cluster1-cpu",
        "previous_state": "firing",
        "new_state": "acknowledged",
        "notify": False,
    }
    assert assert_problem(door.call("PUT", path, key, json={**given, member: "firing"}), 409)["allowed"] == ["resolved"]
