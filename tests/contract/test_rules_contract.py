"""The document's rules and circuit breakers, request by request, as written there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import dispatching
from tests.support.api import Door, assert_problem

PROVIDERS = "providers:\n  email: {kind: mock}\n  webhook: {kind: mock}\n"
BREAKERS = "circuit_breakers:\n  email: {fallback_provider: webhook}\n"
RULES = """\
rules:
  - name: dedup-emails
    priority: 10
    description: Deduplicate email sends
    condition: {field: action.action_type, eq: send_email}
    action: {type: deduplicate, ttl_seconds: 300}
  - name: block-spam
    priority: 1
    description: Block spam actions
    condition: {field: action.action_type, eq: spam}
    action: {type: suppress}
"""
LISTED = [
    {"name": "block-spam", "priority": 1, "enabled": True, "description": "Block spam actions"},
    {"name": "dedup-emails", "priority": 10, "enabled": True, "description": "Deduplicate email sends"},
]
CLOSED = {
    "provider": "email",
    "state": "closed",
    "failure_threshold": 5,
    "success_threshold": 2,
    "recovery_timeout_seconds": 60,
    "fallback_provider": "webhook",
}
PATH = "/admin/circuit-breakers"
TRIP, RESET = f"POST {PATH}/{{provider}}/trip", f"POST {PATH}/{{provider}}/reset"


@pytest.fixture
def folder(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The folder in force, with the document's rules and breaker; the administrator covers all tenants."""
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS + BREAKERS, rules=RULES)
    door.admin = door.key(grants=[{"tenants": ["*"]}])
    yield tmp_path
    dispatching.forget()


@pytest.mark.documented("GET /v1/rules", 200)
@pytest.mark.usefixtures("folder")
def test_list_rules(door: Door) -> None:
    """Each with its name, its priority, whether it is enabled, and its description; in the order of asking."""
    answer = door.call("GET", "/v1/rules")
    assert answer.status_code == 200
    assert [{name: rule[name] for name in LISTED[0]} for rule in answer.json["rules"]] == LISTED


@pytest.mark.documented("POST /v1/rules/reload", 200)
def test_reload_rules(door: Door, folder: Path) -> None:
    """How many are loaded, and no errors; a fault is named, and what was in force stays so."""
    answer = door.call("POST", "/v1/rules/reload")
    assert answer.status_code == 200
    assert (answer.json["loaded"], answer.json["errors"]) == (2, [])
    (folder / "rules" / "all.yaml").write_text(RULES.replace("suppress", "supress"))
    answer = door.call("POST", "/v1/rules/reload")
    assert (answer.status_code, answer.json["loaded"], len(answer.json["errors"])) == (200, 2, 1)
    assert "supress" in answer.json["errors"][0]
    assert len(door.call("GET", "/v1/rules").json["rules"]) == 2


@pytest.mark.documented("PUT /v1/rules/{name}/enabled", 200, "enabled")
@pytest.mark.usefixtures("folder")
def test_switch_a_rule(door: Door) -> None:
    """200, and the rule decides no more, until it is enabled again."""
    path = "/v1/rules/block-spam/enabled"
    for enabled in (False, True):
        assert door.call("PUT", path, json={"enabled": enabled}).status_code == 200
        shown = door.call("GET", "/v1/rules").json["rules"]
        assert {rule["name"]: rule["enabled"] for rule in shown} == {"block-spam": enabled, "dedup-emails": True}
    assert_problem(door.call("PUT", "/v1/rules/missing/enabled", json={"enabled": True}), 404)


@pytest.mark.documented(f"GET {PATH}", 200)
@pytest.mark.documented(TRIP, 200)
@pytest.mark.documented(RESET, 200)
@pytest.mark.usefixtures("folder")
def test_circuit_breakers(door: Door) -> None:
    """The list, and the answers to trip and reset, are the printed ones; operators see and turn them, too."""
    operator = door.key("operator", grants=[{"tenants": ["*"]}])
    for key in (door.admin, operator):
        answer = door.call("GET", PATH, key)
        assert (answer.status_code, answer.json) == (200, {"circuit_breakers": [CLOSED]})
        answer = door.call("POST", f"{PATH}/email/trip", key)
        assert answer.status_code == 200
        assert answer.json == {"provider": "email", "state": "open", "message": "circuit breaker tripped"}
        assert door.call("GET", PATH, key).json == {"circuit_breakers": [{**CLOSED, "state": "open"}]}
        answer = door.call("POST", f"{PATH}/email/reset", key)
        assert answer.status_code == 200
        assert answer.json == {"provider": "email", "state": "closed", "message": "circuit breaker reset"}


@pytest.mark.documented(TRIP, 403)
@pytest.mark.documented(RESET, 403)
@pytest.mark.usefixtures("folder")
def test_a_viewer_turns_no_breaker(door: Door) -> None:
    """403: it needs the role of an operator."""
    for way in ("trip", "reset"):
        assert_problem(door.call("POST", f"{PATH}/email/{way}", door.key("viewer")), 403)


@pytest.mark.documented(f"GET {PATH}", 404)
@pytest.mark.documented(TRIP, 404)
@pytest.mark.documented(RESET, 404)
def test_a_breaker_that_there_is_not(door: Door, folder: Path) -> None:
    """404 for a provider without one, and for all where none is configured."""
    for way in ("trip", "reset"):
        assert_problem(door.call("POST", f"{PATH}/webhook/{way}"), 404)
    (folder / "providers.yaml").write_text(PROVIDERS)
    assert door.call("POST", "/v1/rules/reload").json["errors"] == []
    assert_problem(door.call("GET", PATH), 404)
    for way in ("trip", "reset"):
        assert_problem(door.call("POST", f"{PATH}/email/{way}"), 404)
