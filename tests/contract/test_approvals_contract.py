"""The document's approvals, request by request, as written there, in both forms."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support import dispatching
from tests.support.api import Door, assert_problem

PROVIDERS = "providers:\n  email: {kind: mock, behaviour: answer, answer: {sent: true}}\n"
RULES = """\
rules:
  - name: ask
    condition: {field: action.action_type, eq: send_email}
    action: {type: require_approval, requester_may_approve: true, message: Send it?}
"""
ACTION: dict[str, Any] = {
    "namespace": "notifications",
    "tenant": "tenant-1",
    "provider": "email",
    "action_type": "send_email",
    "payload": {"to": "user@example.com"},
}


@pytest.fixture
def key(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A key of tenant-1, and a rule that asks."""
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES)
    yield door.key("operator", workspace="tenant-1")
    dispatching.forget()


def signed(word: str, *names: str) -> Any:
    """The word of a decision, as a parameter of a test that decides so, by a request with these names."""
    path = f"POST /v1/approvals/{{namespace}}/{{tenant}}/{{id}}/{word}"
    return pytest.param(word, marks=pytest.mark.documented(path, 200, *names))


def asked(door: Door, key: str, prefix: str = "/v1") -> dict[str, Any]:
    """The members of the outcome of a dispatch that waits, in the form of the prefix."""
    answer = door.call("POST", f"{prefix}/dispatch", key, json=ACTION)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json if prefix == "/v1" else answer.json["PendingApproval"]
    return found


@pytest.mark.documented("GET /v1/approvals", 200, "?namespace ?tenant")
def test_list_pending_approvals(door: Door, key: str) -> None:
    """Those of a namespace and a tenant, with what existing clients read: token and count."""
    one = asked(door, key)
    answer = door.call("GET", "/v1/approvals?namespace=notifications&tenant=tenant-1", key)
    assert answer.status_code == 200
    assert (answer.json["count"], len(answer.json["approvals"])) == (1, 1)
    [listed] = answer.json["approvals"]
    assert listed["id"] == listed["token"] == one["approval_id"]
    assert (listed["rule"], listed["message"], listed["status"]) == ("ask", "Send it?", "pending")
    assert {"created_at", "expires_at", "decided_at"} <= set(listed)
    assert door.call("GET", "/v1/approvals?namespace=other&tenant=tenant-1", key).json["count"] == 0


@pytest.mark.parametrize("prefix", ["/v1", "/compat/v1"])
@pytest.mark.parametrize("word", [signed("approve", "?sig", "?expires_at"), signed("reject", "?sig", "?expires_at")])
def test_decide_by_signature(door: Door, key: str, prefix: str, word: str) -> None:
    """The path and the query are the document's; ``kid`` may be left out; nothing but the signature is needed."""
    one = asked(door, key, prefix)
    url = urlsplit(one[f"{word}_url"])
    assert url.path == f"/v1/approvals/notifications/tenant-1/{one['approval_id']}/{word}"
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert {"sig", "expires_at", "kid"} <= set(query)
    del query["kid"]
    path = url.path.replace("/v1", prefix, 1)
    assert_problem(door.call("POST", path, None), 404)
    with dispatching.working():
        answer = door.call("POST", path, None, query_string=query)
    assert answer.status_code == 200, answer.text
    assert set(answer.json) == {"id", "status", "outcome"}
    assert answer.json["status"] == {"approve": "approved", "reject": "rejected"}[word]
    outcome = answer.json["outcome"]
    if prefix == "/v1":
        assert outcome["outcome"] == {"approve": "executed", "reject": "failed"}[word]
    else:
        assert set(outcome) == {{"approve": "Executed", "reject": "Failed"}[word]}
    assert_problem(door.call("POST", path, None, query_string=query), 410)


@pytest.mark.parametrize("word", [signed("approve", "?kid"), signed("reject", "?kid")])
def test_decide_by_the_whole_link(door: Door, key: str, word: str) -> None:
    """The link as it was given, its ``kid`` included, decides; with another ``kid`` it decides nothing."""
    one = asked(door, key)
    url = urlsplit(one[f"{word}_url"])
    other = door.call("POST", f"{url.path}?{url.query}x", None)
    assert_problem(other)
    assert door.call("GET", "/v1/approvals?namespace=notifications&tenant=tenant-1", key).json["count"] == 1
    with dispatching.working():
        answer = door.call("POST", f"{url.path}?{url.query}", None)
    assert answer.status_code == 200, answer.text
    assert answer.json["status"] == {"approve": "approved", "reject": "rejected"}[word]
