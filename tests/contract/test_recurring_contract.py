"""The document's recurring actions, request by request, in its words and in those of existing clients."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import dispatching
from tests.support.api import Door, assert_problem

PROVIDERS = "providers:\n  email: {kind: mock}\n"
DIGEST: dict[str, Any] = {
    "namespace": "notifications",
    "tenant": "acme",
    "cron_expr": "0 9 * * MON-FRI",
    "timezone": "US/Eastern",
    "provider": "email",
    "action_type": "send_digest",
    "payload": {"to": "team@example.com"},
    "description": "Weekday morning digest",
}
SCOPE = "namespace=notifications&tenant=acme"
FOUND = pytest.mark.documented("GET /v1/recurring/{id}", 200, "?namespace", "?tenant")
#: what existing clients send, beyond what they share with the document
CLIENTS: dict[str, Any] = {
    **{name: value for name, value in DIGEST.items() if name != "cron_expr"},
    "cron_expression": "0 9 * * MON-FRI",
    "name": "digest",
    "metadata": {"team": "soc"},
    "end_date": "2200-01-01T00:00:00Z",
    "max_executions": 100,
    "dedup_key": "digest-{{recurring_id}}-{{execution_time}}",
}


@pytest.fixture
def key(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A key of the tenant, and the document's provider."""
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS)
    yield door.key("operator", workspace="acme")
    dispatching.forget()


def create(door: Door, key: str, **more: Any) -> str:
    """The id of a new recurring action."""
    answer = door.call("POST", "/v1/recurring", key, json={**DIGEST, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json["recurring_id"])


@pytest.mark.documented("POST /v1/recurring", 201, *DIGEST)
def test_create(door: Door, key: str) -> None:
    """201 with the document's five members, and Location; 9 in the morning of New York is 13 or 14 UTC."""
    answer = door.call("POST", "/v1/recurring", key, json=DIGEST)
    assert answer.status_code == 201
    body = answer.json
    assert {name: body[name] for name in ("cron_expr", "timezone", "enabled")} == {
        "cron_expr": "0 9 * * MON-FRI",
        "timezone": "US/Eastern",
        "enabled": True,
    }
    assert body["next_execution"][11:] in ("13:00:00.000Z", "14:00:00.000Z")
    assert body["next"][0] == body["next_execution"]
    assert len(body["next"]) == 5
    assert answer.headers["Location"] == f"/v1/recurring/{body['recurring_id']}"


@pytest.mark.documented("POST /v1/recurring", 400)
@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"cron_expr": "0 9 * *"}, "/cron_expr"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"cron_expr": None}, "/cron_expr"),
        *(({name: ...}, f"/{name}") for name in ("namespace", "tenant", "provider", "action_type", "payload")),
    ],
)
def test_create_refused(door: Door, key: str, change: dict[str, Any], pointer: str) -> None:
    """400 for an invalid cron expression or time zone, and for required members that are missing."""
    body = {name: value for name, value in {**DIGEST, **change}.items() if value is not ...}
    problem = assert_problem(door.call("POST", "/v1/recurring", key, json=body), 400)
    assert [one["pointer"] for one in problem["errors"]] == [pointer]


@pytest.mark.documented("GET /v1/recurring", 200, "?namespace ?tenant ?enabled")
def test_list(door: Door, key: str) -> None:
    """Namespace and tenant are required; ``enabled`` filters, and so does the clients' ``status``."""
    first, second = create(door, key), create(door, key, enabled=False)
    for query in ("", "?namespace=notifications", "?tenant=acme"):
        assert_problem(door.call("GET", f"/v1/recurring{query}", key), 400)

    def listed(more: str) -> list[str]:
        answer = door.call("GET", f"/v1/recurring?{SCOPE}{more}", key)
        assert answer.status_code == 200
        assert answer.json["count"] == len(answer.json["recurring_actions"])
        return [one["id"] for one in answer.json["recurring_actions"]]

    assert listed("") == [second, first]
    assert listed("&enabled=true") == listed("&status=active") == [first]
    assert listed("&enabled=false") == listed("&status=paused") == [second]
    assert listed("&limit=1&offset=1") == [first]
    assert door.call("GET", "/v1/recurring?namespace=other&tenant=acme", key).json["count"] == 0


@pytest.mark.documented("GET /v1/recurring/{id}", 404)
@pytest.mark.parametrize("scope", ["", pytest.param(f"?{SCOPE}", marks=FOUND)])
def test_get(door: Door, key: str, scope: str) -> None:
    """200 with its payload; 404 for one that there is not, and in another namespace."""
    made = create(door, key)
    found = door.call("GET", f"/v1/recurring/{made}{scope}", key)
    assert found.status_code == 200
    assert found.json | DIGEST == found.json
    assert_problem(door.call("GET", f"/v1/recurring/rec-missing{scope}", key), 404)
    assert_problem(door.call("GET", f"/v1/recurring/{made}?namespace=other&tenant=acme", key), 404)


@pytest.mark.documented("PUT /v1/recurring/{id}", 200, "?namespace ?tenant")
@pytest.mark.documented("PUT /v1/recurring/{id}", 400)
@pytest.mark.documented("PUT /v1/recurring/{id}", 404)
def test_update(door: Door, key: str) -> None:
    """Only what is named changes: 200; 400 for an invalid cron expression or time zone, 404."""
    made = create(door, key)
    path = f"/v1/recurring/{made}?{SCOPE}"
    before = door.call("GET", path, key).json
    changed = door.call("PUT", path, key, json={"cron_expr": "30 8 * * *", "payload": {"to": "soc@example.com"}})
    assert changed.status_code == 200
    new = changed.json
    assert (new["cron_expr"], new["payload"]) == ("30 8 * * *", {"to": "soc@example.com"})
    assert new["next_execution"] != before["next_execution"]
    same = ("timezone", "provider", "action_type", "description", "namespace", "tenant", "created_at")
    assert [new[name] for name in same] == [before[name] for name in same]
    for body in ({"cron_expr": "61 * * * *"}, {"timezone": "us/eastern"}):
        assert_problem(door.call("PUT", path, key, json=body), 400)
    assert_problem(door.call("PUT", f"/v1/recurring/rec-missing?{SCOPE}", key, json={"description": "x"}), 404)


@pytest.mark.documented("DELETE /v1/recurring/{id}", 204, "?namespace ?tenant")
@pytest.mark.documented("DELETE /v1/recurring/{id}", 404)
def test_delete(door: Door, key: str) -> None:
    """204 once, then 404."""
    path = f"/v1/recurring/{create(door, key)}?{SCOPE}"
    answer = door.call("DELETE", path, key)
    assert (answer.status_code, answer.text) == (204, "")
    assert_problem(door.call("DELETE", path, key), 404)


@pytest.mark.documented("POST /v1/recurring/{id}/pause", 200, "?namespace ?tenant")
@pytest.mark.documented("POST /v1/recurring/{id}/resume", 200, "?namespace ?tenant")
def test_pause_and_resume(door: Door, key: str) -> None:
    """Pausing stops it, resuming computes its next time from now; what is so already is 409."""
    path = f"/v1/recurring/{create(door, key)}"
    assert_problem(door.call("POST", f"{path}/resume?{SCOPE}", key), 409)
    paused = door.call("POST", f"{path}/pause?{SCOPE}", key)
    assert paused.status_code == 200
    assert (paused.json["enabled"], paused.json["status"], paused.json["next_execution"]) == (False, "paused", None)
    assert_problem(door.call("POST", f"{path}/pause?{SCOPE}", key), 409)
    resumed = door.call("POST", f"{path}/resume?{SCOPE}", key)
    assert resumed.status_code == 200
    assert (resumed.json["enabled"], resumed.json["status"]) == (True, "active")
    assert resumed.json["next_execution"] is not None
    for step in ("pause", "resume"):
        assert_problem(door.call("POST", f"/v1/recurring/rec-missing/{step}?{SCOPE}", key), 404)


def test_existing_clients(door: Door, key: str) -> None:
    """They send the scope in the body and other words, and read ``id``, ``next_execution_at`` and ``status``."""
    answer = door.call("POST", "/compat/v1/recurring", key, json=CLIENTS)
    assert answer.status_code == 201, answer.text
    assert (answer.json["name"], answer.json["status"]) == ("digest", "active")
    path, scope = f"/compat/v1/recurring/{answer.json['id']}", {"namespace": "notifications", "tenant": "acme"}
    changed = door.call("PUT", path, key, json={**scope, "cron_expression": "0 8 * * *", "end_date": None})
    assert changed.status_code == 200
    assert (changed.json["cron_expression"], changed.json["end_date"]) == ("0 8 * * *", None)
    assert changed.json["labels"] == {"team": "soc"}
    assert door.call("POST", f"{path}/pause", key, json=scope).json["status"] == "paused"
    assert door.call("POST", f"{path}/resume", key, json=scope).json["status"] == "active"
    for other in ({**scope, "namespace": "other"}, {"namespace": "other"}):
        assert_problem(door.call("POST", f"{path}/pause", key, json=other), 404)
    both = door.call("POST", f"{path}/pause?namespace=notifications", key, json={"namespace": "other"})
    assert assert_problem(both, 400)["errors"][0]["pointer"] == "/namespace"
    assert door.call("DELETE", f"{path}?{SCOPE}", key).status_code == 204


def test_permissions(door: Door, key: str) -> None:
    """Viewers read; grants limit who sees, changes and makes what."""
    made, viewer = create(door, key), door.key("viewer", workspace="acme")
    assert door.call("GET", f"/v1/recurring/{made}", viewer).status_code == 200
    assert_problem(door.call("POST", "/v1/recurring", viewer, json=DIGEST), 403)
    assert_problem(door.call("POST", f"/v1/recurring/{made}/pause", viewer), 403)
    narrow = door.key("operator", workspace="acme", grants=[{"tenants": ["acme"], "providers": ["sms"]}])
    assert_problem(door.call("GET", f"/v1/recurring/{made}", narrow), 404)
    assert_problem(door.call("POST", "/v1/recurring", narrow, json=DIGEST), 403)
    assert door.call("GET", f"/v1/recurring?{SCOPE}", narrow).json["count"] == 0
    stranger = door.key("operator", workspace="elsewhere")
    assert_problem(door.call("GET", f"/v1/recurring/{made}?{SCOPE}", stranger), 403)
    assert_problem(door.call("GET", f"/v1/recurring/{made}", stranger), 404)
