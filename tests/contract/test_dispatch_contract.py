"""The document's dispatch and batch, request by request, as written there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import dispatching
from tests.support.api import Door, assert_problem

PROVIDERS = """\
providers:
  email: {kind: mock, behaviour: answer, answer: {sent: true}}
"""
ACTION: dict[str, Any] = {
    "namespace": "notifications",
    "tenant": "tenant-1",
    "provider": "email",
    "action_type": "send_email",
    "payload": {"to": "user@example.com", "subject": "Hello!"},
    "dedup_key": "welcome-user@example.com",
    "metadata": {"labels": {"priority": "high"}},
    "status": "firing",
    "fingerprint": "alert-cluster1-cpu",
    "starts_at": "2026-01-15T10:00:00Z",
    "ends_at": "2026-01-15T11:00:00Z",
}
ALICE = {
    "namespace": "notifications",
    "tenant": "tenant-1",
    "provider": "email",
    "action_type": "send_email",
    "payload": {"to": "alice@example.com"},
}
SMS = {
    "namespace": "notifications",
    "tenant": "tenant-1",
    "provider": "sms",
    "action_type": "send_sms",
    "payload": {"to": "+1234567890"},
}
REQUIRED = ("namespace", "tenant", "provider", "action_type", "payload")
TRACE = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "congo=t61rcWkgMzE",
}


@pytest.fixture
def key(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A key of tenant-1, with the provider that the document names."""
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS)
    yield door.key("operator", workspace="tenant-1")
    dispatching.forget()


@pytest.mark.documented(
    "POST /v1/dispatch", 200, "Content-Type:", "Authorization:", "traceparent:", "tracestate:", *ACTION
)
def test_dispatch(door: Door, key: str) -> None:
    """200, the outcome, and what the provider answered."""
    with dispatching.working():
        answer = door.call("POST", "/v1/dispatch", key, json=ACTION, headers=TRACE)
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "application/json"
    told = answer.json
    assert told.pop("action_id")
    assert told == {"outcome": "executed", "response": {"status": "success", "body": {"sent": True}}}


@pytest.mark.parametrize("member", REQUIRED)
def test_dispatch_needs_each_required_member(door: Door, key: str, member: str) -> None:
    """400 with the member."""
    given = {name: value for name, value in ACTION.items() if name != member}
    problem = assert_problem(door.call("POST", "/v1/dispatch", key, json=given), 400)
    assert problem["errors"] == [{"pointer": f"/{member}", "detail": "is required"}]


@pytest.mark.parametrize("member", [name for name in ACTION if name not in REQUIRED])
def test_dispatch_needs_no_other_member(door: Door, key: str, member: str) -> None:
    """Each of the others may be missing."""
    given = {name: value for name, value in ACTION.items() if name != member}
    answer = door.call("POST", "/v1/dispatch", key, json=given, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text


@pytest.mark.documented("POST /v1/dispatch", 200, "?dry_run")
def test_dispatch_dry_run(door: Door, key: str) -> None:
    """Rules are evaluated, nothing is executed."""
    answer = door.call("POST", "/v1/dispatch?dry_run=true", key, json=ACTION)
    assert answer.status_code == 200, answer.text
    assert answer.json["outcome"] == "dry_run"


def test_dispatch_wants_json_and_a_key(door: Door, key: str) -> None:
    """415 for another type of content, 401 without a key."""
    assert_problem(door.call("POST", "/v1/dispatch", key, data="x", content_type="text/plain"), 415)
    assert_problem(door.call("POST", "/v1/dispatch", None, json=ACTION), 401)


def test_a_malformed_trace_is_ignored(door: Door, key: str) -> None:
    """As W3C says."""
    headers = {"traceparent": "00-zz", "tracestate": "=", "Prefer": "respond-async"}
    assert door.call("POST", "/v1/dispatch", key, json=ACTION, headers=headers).status_code == 202


@pytest.mark.documented("POST /v1/dispatch/batch", 200, "actions traceparent: tracestate:")
def test_batch(door: Door, key: str) -> None:
    """Results in order: an outcome, and the error of the provider that is not there."""
    with dispatching.working():
        answer = door.call("POST", "/v1/dispatch/batch", key, json={"actions": [ALICE, SMS]}, headers=TRACE)
    assert answer.status_code == 200, answer.text
    first, second = answer.json["results"]
    assert first["status"] == "success"
    assert first["outcome"]["outcome"] == "executed"
    assert first["outcome"]["response"]["body"] == {"sent": True}
    assert second["status"] == "error"
    assert second["error"]["message"] == "Provider not found: sms"


@pytest.mark.documented("POST /v1/dispatch/batch", 200, "?dry_run")
def test_batch_dry_run(door: Door, key: str) -> None:
    """The same for a batch."""
    answer = door.call("POST", "/v1/dispatch/batch?dry_run=true", key, json={"actions": [ALICE, SMS]})
    assert [one["status"] for one in answer.json["results"]] == ["success", "error"]
    assert answer.json["results"][0]["outcome"]["outcome"] == "dry_run"


@pytest.mark.documented("POST /v1/dispatch", 200, "=chain_started")
def test_a_chain_is_started(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By a rule that starts one in place of the dispatch; the answer names the chain, its run and the record."""
    dispatching.put_in_force(monkeypatch, tmp_path, **dispatching.CHAINED)
    answer = door.call("POST", "/v1/dispatch", json=dispatching.body(payload={"chain": True}))
    assert answer.status_code == 200, answer.text
    assert (answer.json["outcome"], answer.json["chain_name"]) == ("chain_started", "one")
    assert answer.json["chain_id"]
    record = door.call("GET", f"/v1/audit/{answer.json['action_id']}").json
    assert (record["outcome"], record["chain_id"]) == ("chain_started", answer.json["chain_id"])
    dispatching.forget()
