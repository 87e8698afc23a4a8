"""Dispatches, runs of chains and their steps are reached under ``/api`` by the grants that cover them."""

from typing import Any

import pytest

from tests.support.api import Door, assert_problem
from tests.support.dispatching import body, send
from tests.support.driven import drive

SOC = {"namespace": "soc", "tenant": "acme"}
PARTS = {"cancel": "POST", "pause": "POST", "resume": "POST", "retry": "POST"}
READS = ("", "/steps", "/logs", "/timeline")


@pytest.fixture
def door(chained_door: Door) -> Door:
    """The application, with rules that start chains."""
    return chained_door


@pytest.fixture
def limited(door: Door) -> str:
    """A key that covers one namespace of its workspace."""
    return door.key("operator", "acme", grants=[{"tenants": ["acme"], "namespaces": ["notifications"]}])


@pytest.fixture
def whole(door: Door) -> str:
    """A key of the same workspace without limits."""
    return door.key("operator", "acme")


@pytest.fixture
def foreign(door: Door) -> str:
    """A key of another workspace that covers the namespace ``soc`` of this one."""
    return door.key("operator", "msp", grants=[{"tenants": ["acme"], "namespaces": ["soc"]}])


def dispatched(door: Door, key: str, **more: Any) -> str:
    """The id of a dispatch that nobody carries out, or of the run of a chain."""
    answer = send(door, body(**more), key=key, headers={"Prefer": "respond-async"})
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json.get("execution_id") or answer.json["chain_id"])


def listed(door: Door, key: str, path: str) -> tuple[set[str], dict[str, Any]]:
    """The ids in a list, and its ``meta``."""
    answer = door.call("GET", path, key)
    assert answer.status_code == 200, answer.text
    return {one["execution_id"] for one in answer.json["data"]}, answer.json["meta"]


def test_a_dispatch_beyond_the_grants_does_not_exist(door: Door, limited: str, whole: str) -> None:
    """It can be neither read nor cancelled; one that a grant covers can."""
    beyond, covered = dispatched(door, whole, **SOC), dispatched(door, whole, tenant="acme")
    for method, more in (("GET", ""), ("POST", "/cancel")):
        assert_problem(door.call(method, f"/api/actions/executions/{beyond}{more}", limited), 404)
        assert door.call(method, f"/api/actions/executions/{covered}{more}", limited).status_code == 200
    assert_problem(door.call("POST", f"/api/actions/executions/{beyond}/approve", limited, json={}), 404)
    assert door.call("GET", f"/api/actions/executions/{beyond}", whole).json["data"]["status"] == "pending"


def test_whoever_covers_a_dispatch_cancels_it(door: Door, foreign: str) -> None:
    """A key of another workspace reads and cancels what it has dispatched, and nothing else there."""
    mine, other = dispatched(door, foreign, **SOC), dispatched(door, door.key("operator", "acme"), tenant="acme")
    assert door.call("GET", f"/api/actions/executions/{mine}", foreign).json["data"]["status"] == "pending"
    cancelled = door.call("POST", f"/api/actions/executions/{mine}/cancel", foreign)
    assert (cancelled.status_code, cancelled.json["data"]["status"]) == (200, "cancelled")
    assert_problem(door.call("GET", f"/api/actions/executions/{other}", foreign), 404)
    assert_problem(door.call("POST", f"/api/actions/executions/{other}/cancel", foreign), 404)


@pytest.mark.parametrize("chain", [True, "nested"])
def test_a_chain_beyond_the_grants_does_not_exist(door: Door, limited: str, whole: str, chain: object) -> None:
    """No operation on its run, on a run that it starts, or on a step of these finds it."""
    run_id = dispatched(door, whole, **SOC, payload={"chain": chain, "host": "h-1"})
    assert drive(run_id) == "completed"
    runs, _ = listed(door, whole, "/api/playbooks/executions")
    steps, _ = listed(door, whole, "/api/actions/executions")
    assert len(runs) == (1 if chain is True else 2)
    assert len(steps) == 1
    for path in (f"/api/playbooks/executions/{one}{more}" for one in runs for more in READS):
        assert door.call("GET", path, whole).status_code == 200
        assert_problem(door.call("GET", path, limited), 404)
    for path, method in ((f"/api/playbooks/executions/{run_id}/{part}", method) for part, method in PARTS.items()):
        assert_problem(door.call(method, path, limited, json={} if path.endswith("retry") else None), 404)
    assert_problem(door.call("GET", f"/api/playbooks/executions/{run_id}/diff?against={run_id}", limited), 404)
    decided = door.call("POST", f"/api/playbooks/executions/{run_id}/steps/look/approve", limited, json={})
    assert_problem(decided, 404)
    assert_problem(door.call("GET", f"/api/actions/executions/{steps.pop()}", limited), 404)


def test_lists_leave_out_what_the_grants_do_not_cover(door: Door, limited: str, whole: str) -> None:
    """What is covered is there, with the actions and playbooks of the workspace; no total counts the rest."""
    beyond = dispatched(door, whole, **SOC, payload={"chain": True, "host": "h-1"})
    covered = dispatched(door, whole, tenant="acme", payload={"chain": True, "host": "h-2"})
    values = {"action_type": "a", "payload": {}}
    steps = [{"id": "go", "type": "action", "action_ref": "provider:drill", "parameters": values}]
    answer = door.call("POST", "/api/playbooks", whole, json={"name": "Own", "steps": steps})
    assert answer.status_code == 201, answer.text
    made = answer.json["data"]["id"]
    own = door.call("POST", f"/api/playbooks/{made}/run", whole, json={}).json["data"]["execution_id"]
    for run_id in (beyond, covered, own):
        assert drive(run_id) == "completed"
    runs, meta = listed(door, limited, "/api/playbooks/executions")
    assert runs == {covered, own}
    assert "total" not in meta
    assert listed(door, limited, "/api/playbooks/executions?playbook_id=chain:one")[0] == {covered}
    assert listed(door, limited, "/api/actions/executions")[0] == {f"{covered}.look", f"{own}.go"}
    runs, meta = listed(door, whole, "/api/playbooks/executions")
    assert (runs, meta["total"]) == ({beyond, covered, own}, 3)
    assert len(listed(door, whole, "/api/actions/executions")[0]) == 3


def test_whoever_covers_a_chain_controls_its_run(door: Door, foreign: str, whole: str) -> None:
    """A key of another workspace reads, pauses, resumes, cancels and retries it."""
    run_id = dispatched(door, foreign, **SOC, payload={"chain": True, "host": "h-1"})
    address = f"/api/playbooks/executions/{run_id}"
    assert [door.call("GET", f"{address}{more}", foreign).status_code for more in READS] == [200] * len(READS)
    states = [door.call("POST", f"{address}/{part}", foreign) for part in ("pause", "resume", "cancel")]
    assert [one.json["data"]["status"] for one in states] == ["paused", "pending", "cancelled"]
    again = door.call("POST", f"{address}/retry", foreign, json={})
    assert again.status_code == 202, again.text
    assert door.call("GET", f"/api/playbooks/executions/{again.json['execution_id']}", whole).status_code == 200
    other = door.key("operator", "msp")
    assert_problem(door.call("GET", address, other), 404)
    assert_problem(door.call("POST", f"{address}/cancel", other), 404)
