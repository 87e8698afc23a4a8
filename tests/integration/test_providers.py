"""``/v1/providers``: what there is, how its calls have ended, and a call that tries one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway import gate_column
from store.engine import db
from store.executions import transitions
from tests.support import dispatching
from tests.support.api import Door, assert_problem
from tests.support.dispatching import body, send

PROVIDERS = """\
providers:
  drill: {kind: mock, description: For drills.}
  broken: {kind: mock, behaviour: fail, retry: {max_attempts: 1, backoff_seconds: 0}}
  off: {kind: log, enabled: false}
circuit_breakers:
  broken: {failure_threshold: 2}
"""


@pytest.fixture
def door(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each kind of database, with providers."""
    made = Door()
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS)
    yield made
    dispatching.forget()


def test_the_list_has_what_grants_cover(door: Door) -> None:
    """By name; a caller whose grants name providers sees these."""
    shown = door.call("GET", "/v1/providers", key=door.key("viewer")).json["providers"]
    assert [one["name"] for one in shown] == ["broken", "drill", "off"]
    drill = {name: value for name, value in shown[1].items() if name != "updated_at"}
    assert drill == {
        "name": "drill",
        "kind": "mock",
        "description": "For drills.",
        "enabled": True,
        "timeout_seconds": 30.0,
        "idempotent": True,
        "source": "file",
        "circuit_breaker": None,
    }
    assert (shown[0]["circuit_breaker"], shown[2]["enabled"]) == ("closed", False)
    few = door.key("viewer", grants=({"tenants": ["default"], "providers": ["drill"]},))
    assert [one["name"] for one in door.call("GET", "/v1/providers", key=few).json["providers"]] == ["drill"]


def test_the_health_counts_what_has_ended(door: Door) -> None:
    """Calls, failures and times from the records that grants cover; what was not called is no call."""
    with dispatching.working():
        for provider in ("drill", "drill", "broken", "broken", "broken"):
            send(door, body(provider=provider))
    answer = door.call("GET", "/v1/providers/health")
    assert answer.status_code == 200, answer.text
    shown = {one["provider"]: one for one in answer.json["providers"]}
    assert (shown["drill"]["calls"], shown["drill"]["failures"]) == (2, 0)
    assert 0 <= shown["drill"]["p50_ms"] <= shown["drill"]["p95_ms"]
    assert (shown["broken"]["calls"], shown["broken"]["failures"]) == (2, 2)
    assert shown["broken"]["circuit_breaker"] == "open"
    assert (shown["off"]["calls"], shown["off"]["p50_ms"], shown["off"]["p95_ms"]) == (0, None, None)
    other = door.call("GET", "/v1/providers/health", key=door.key("viewer", "another")).json["providers"]
    assert {one["calls"] for one in other} == {0}


def test_a_test_is_a_call_marked_as_a_drill(door: Door) -> None:
    """It is dispatched in a namespace of its own and with a label; the answer has its outcome."""
    with dispatching.working():
        answer = door.call("POST", "/v1/providers/drill/test", json={"payload": {"to": "x"}})
        empty = door.call("POST", "/v1/providers/drill/test")
    assert answer.status_code == empty.status_code == 200, answer.text + empty.text
    assert answer.json["outcome"] == "executed"
    with db.read() as connection:
        row = transitions.get(connection, "default", answer.json["action_id"])
    gate = gate_column.read(row.gate)
    assert gate is not None
    assert (gate.namespace, dict(gate.labels), gate.action_type) == ("drills", {"drill": "true"}, "drill")
    assert transitions.load(row.input)["payload"] == {"to": "x"}


def test_a_test_is_refused_as_a_dispatch_is(door: Door) -> None:
    """Who may not dispatch, no such provider, a disabled one, another tenant, members that do not fit."""
    path = "/v1/providers/{}/test"
    assert assert_problem(door.call("POST", path.format("none")), 404)["message"] == "Provider not found: none"
    assert_problem(door.call("POST", path.format("off")), 409)
    assert_problem(door.call("POST", path.format("drill"), key=door.key("viewer")), 403)
    assert_problem(door.call("POST", path.format("drill"), json={"tenant": "other"}), 403)
    deep: dict[str, object] = {}
    for _ in range(40):
        deep = {"in": deep}
    for wrong in ({"payload": []}, {"action_type": ""}, {"what": 1}, {"action_type": "a\nb"}, {"payload": deep}):
        assert_problem(door.call("POST", path.format("drill"), json=wrong), 400)
    with db.read() as connection:
        assert connection.execute(sa.select(transitions.executions)).all() == []


def test_a_test_that_is_not_waited_for_tells_where_to_look(door: Door) -> None:
    """202 with the address of the dispatch."""
    answer = door.call("POST", "/v1/providers/drill/test", json={}, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/dispatch/{answer.json['execution_id']}"
