"""A step that a rule holds back until it is approved, and steps that only ask."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from store.engine import db
from store.executions import transitions
from store.gateway import approvals
from tasks.clock.duty import TimeSlice
from tasks.clock.sweep import handle_due
from tests.integration.test_gate_steps import SECRET, TELL, Bench
from tests.support import force
from tests.support.api import Door
from tests.support.force import rule


@pytest.fixture
def door(database: str) -> Iterator[Door]:
    """The application on each database, without rules."""
    with force.clean():
        yield Door()


@pytest.fixture
def bench(door: Door, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(door, monkeypatch)


def pending(row_id: str) -> Any:
    """The approval for which a step waits."""
    found = db.read_one(approvals.pending_of, row_id)
    assert found is not None
    return found


def decide(bench: Bench, approval_id: str, decision: str = "approve") -> dict[str, Any]:
    headers = {"Prefer": "respond-async"}
    path = f"/api/approvals/{approval_id}/{decision}"
    answer = bench.door.call("POST", path, json={"note": "seen"}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_a_step_waits_for_its_approval_and_goes_out_once(bench: Bench) -> None:
    """Its row, its view and the list show the question; nothing goes out before; then the run goes on."""
    force.put(rule("ask", "require_approval", TELL, message="Tell {{ action.payload.host }}?"))
    run_id, status = bench.run()
    assert (status, bench.names) == ("running", [])
    row = bench.row(f"{run_id}.tell")
    assert (row.status, row.waiting_for) == ("waiting", "gate")
    asked = pending(row.id)
    assert (asked.message, asked.origin, asked.requested_by) == ("Tell h-1?", "rule", "test")
    assert asked.expires_at == row.due_at
    shown = bench.shown(run_id)
    assert (shown["status"], shown["waiting_for"]) == ("waiting", "gate")
    assert (shown["verdict"], shown["approval_id"]) == ("require_approval", asked.id)
    assert SECRET not in f"{asked}{row.gate}"
    assert decide(bench, asked.id)["outcome"]["outcome"] == "accepted"
    assert bench.go_on(run_id) == "completed"
    assert bench.names == ["tell", "after"]
    assert bench.shown(run_id)["approval_id"] == asked.id


def test_a_rejected_step_fails_and_its_failure_link_is_followed(bench: Bench) -> None:
    """The error has the code rejected; the run goes on as for any failure."""
    force.put(rule("ask", "require_approval", TELL))
    run_id, _ = bench.run(on_failure="after")
    decided = decide(bench, pending(f"{run_id}.tell").id, "reject")
    assert decided["outcome"]["error"]["code"] == "rejected"
    assert bench.go_on(run_id) == "completed"
    assert (bench.names, bench.shown(run_id)["status"]) == (["after"], "failed")


def test_a_step_that_is_not_decided_in_time_follows_its_failure_link(bench: Bench) -> None:
    """As an approval step without a link of its own."""
    force.put(rule("ask", "require_approval", TELL, timeout_seconds=1))
    run_id, _ = bench.run(on_failure="after")
    table = transitions.executions
    with db.write() as connection:
        early = table.update().where(table.c.waiting_for == "gate").values(due_at=db.now_ms() - 1)
        connection.execute(early)
    handle_due(TimeSlice())
    assert bench.go_on(run_id) == "completed"
    row = bench.row(f"{run_id}.tell")
    assert (row.status, json.loads(row.error)["code"], bench.names) == ("timeout", "approval_expired", ["after"])


def test_a_step_that_differs_by_its_next_attempt_is_asked_again(bench: Bench) -> None:
    """The approval is kept in the row for what it was given for; the same is not asked twice, another is."""
    force.put(rule("ask", "require_approval", TELL))
    run_id, _ = bench.run()
    row_id = f"{run_id}.tell"
    first = pending(row_id)
    decide(bench, first.id)
    changed = {"type": "modify", "changes": {"host": "h-2"}}
    other = {**rule("other", "allow", TELL), "action": changed, "continue": True, "priority": -1}
    force.put(other, rule("ask", "require_approval", TELL))
    assert bench.go_on(run_id) == "running"
    again = pending(row_id)
    assert (again.id != first.id, bench.names) == (True, [])
    decide(bench, again.id)
    assert bench.go_on(run_id) == "completed"
    assert bench.calls[0] == ("tell", {"host": "h-2", "level": 1, "token": SECRET})


def test_a_deny_that_came_meanwhile_wins_over_the_approval(bench: Bench) -> None:
    """Steps are judged at each attempt."""
    force.put(rule("ask", "require_approval", TELL))
    run_id, _ = bench.run()
    decide(bench, pending(f"{run_id}.tell").id)
    force.put(rule("freeze", "deny", TELL))
    assert bench.go_on(run_id) == "failed"
    assert bench.names == []


def test_a_step_beyond_a_limit_is_asked_about(bench: Bench) -> None:
    """The blast-radius guard: the first goes out, the next one needs an approval, and goes out by it."""
    limit = {"max_count": 1, "window_seconds": 600, "on_excess": "require_approval", "quorum": 1}
    force.put(rule("few", "throttle", TELL, **limit))
    _first, status = bench.run()
    assert (status, bench.names) == ("completed", ["tell", "after"])
    second, status = bench.run("h-2")
    assert (status, bench.names) == ("running", ["tell", "after"])
    decide(bench, pending(f"{second}.tell").id)
    assert bench.go_on(second) == "completed"
    assert bench.names == ["tell", "after"] * 2


def test_two_rules_ask_about_the_same_step_once_each(bench: Bench) -> None:
    """What one of them has asked stays answered while the other asks."""
    limit = {"max_count": 1, "window_seconds": 600, "on_excess": "require_approval", "quorum": 1}
    force.put({**rule("few", "throttle", TELL, **limit), "continue": True}, rule("ask", "require_approval", TELL))
    runs = [bench.run(host)[0] for host in ("h-1", "h-2")]
    asked: list[str] = []
    for run_id in runs:
        while (found := db.read_one(approvals.pending_of, f"{run_id}.tell")) is not None and len(asked) < 5:
            asked.append(found.rule)
            decide(bench, found.id)
            bench.go_on(run_id)
    assert asked == ["ask", "ask", "few"]
    assert bench.names == ["tell", "after"] * 2


def test_a_cancelled_run_leaves_no_question(bench: Bench) -> None:
    """No decision about its step counts."""
    force.put(rule("ask", "require_approval", TELL))
    run_id, _ = bench.run()
    asked = pending(f"{run_id}.tell")
    assert bench.door.call("POST", f"/api/playbooks/executions/{run_id}/cancel").status_code == 200
    assert bench.door.call("POST", f"/api/approvals/{asked.id}/approve", json={}).status_code == 409
    assert bench.door.call("GET", "/v1/approvals").json["approvals"] == []


def test_an_approval_step_has_its_row_from_its_beginning(bench: Bench) -> None:
    """Written with the step; the older path and the new one decide about it."""
    ask = {"id": "ask", "type": "approval", "message": "Go on with {{ parameters.host }}?", "not_by_starter": False}
    steps = [ask, {"id": "after", "type": "action", "action_ref": bench.action_id, "parameters": {"host": "x"}}]
    made = bench.door.create_playbook(id="pb-ask", steps=steps, parameters=[{"name": "host"}, {"name": "token"}])
    for new in (True, False):
        run_id = bench.start(made["id"], host=f"h-{new}")
        bench.go_on(run_id)
        asked = pending(f"{run_id}.ask")
        assert (asked.origin, asked.message) == ("step", f"Go on with h-{new}?")
        assert asked.expires_at == bench.row(f"{run_id}.ask").due_at
        if new:
            assert decide(bench, asked.id)["outcome"]["response"]["body"]["decision"] == "approved"
        else:
            path = f"/api/playbooks/executions/{run_id}/steps/ask/approve"
            assert bench.door.call("POST", path, json={}).status_code == 200
        assert bench.go_on(run_id) == "completed"
        assert db.read_one(approvals.read, asked.id).status == "approved"
