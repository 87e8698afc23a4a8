"""A rule starts a chain in place of a trigger, a step or a scheduled run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine

from store.engine import db
from store.executions import transitions
from tasks.clock import schedules
from tasks.clock.duty import TimeSlice
from tests.support import dispatching
from tests.support.api import Door
from tests.support.driven import drive

SECRET = "hunter2-and-more"
PROVIDERS = """\
providers:
  drill: {kind: mock, behaviour: answer, answer: {seen: true}}
  note: {kind: log, message: "{{ payload.host }} {{ payload.token }} {{ payload.seen }}"}
"""
CHAINS = """\
chains:
  - name: two
    steps:
      - {name: look, provider: drill, action_type: look, payload_template: {host: "{{ origin.payload.host }}"}}
      - name: tell
        provider: note
        action_type: tell
        payload_template:
          host: "{{ origin.payload.host }}"
          token: "{{ origin.payload.token | default('none') }}"
          seen: "{{ prev.seen }}"
"""
RULES = """\
rules:
  - {name: five, priority: 1, condition: {field: action.payload.host, eq: five},
     action: {type: throttle, max_count: 1, window_seconds: 60, on_excess: ON, max_wait_seconds: 600}, continue: true}
  - {name: deep, priority: 2, condition: {field: action.origin, eq: chain}, action: {type: allow}}
  - {name: instead, priority: 3, origins: [trigger, step, recurring],
     condition: {any: [{field: action.category, eq: containment}, {field: action.origin, eq: recurring}]},
     action: {type: chain, chain_name: two, reason: a drill}}
"""


@pytest.fixture
def door(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each kind of database, with a rule that starts a chain."""
    made = Door()
    rules = RULES.replace("ON", "wait")
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=rules, chains=CHAINS)
    yield made
    dispatching.forget()


@pytest.fixture
def action_id(door: Door) -> str:
    """An action with a secret among its parameters."""
    declared = [{"name": "host"}, {"name": "token", "type": "secret"}]
    return str(door.create(parameters=declared, type="containment")["id"])


def rows(kind: str) -> list[Any]:
    """The rows of a kind, in the order in which they were made."""
    table = transitions.executions
    with db.read() as connection:
        query = table.select().where(table.c.kind == kind).order_by(table.c.created_at, table.c.id)
        return list(connection.execute(query))


def records(door: Door, query: str = "") -> list[dict[str, Any]]:
    """The records, newest first."""
    answer = door.call("GET", f"/v1/audit{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json["records"])


def test_a_chain_runs_in_place_of_a_trigger(door: Door, action_id: str) -> None:
    """The execution has completed and names the run; the secret stays with the action; the records tell the story."""
    given = {"parameters": {"host": "h-1", "token": SECRET}}
    answer = door.call("POST", f"/api/actions/{action_id}/trigger", json=given)
    assert answer.status_code == 202, answer.text
    told = answer.json["data"]
    assert (told["status"], told["verdict"], told["rule"], told["reason"]) == (
        "completed",
        "chain",
        "instead",
        "a drill",
    )
    shown = door.call("GET", f"/api/actions/executions/{told['execution_id']}").json["data"]
    (run,) = rows("playbook")
    assert shown["output"] == {"chain_id": run.id, "chain_name": "two", "total_steps": 2, "first_step": "look"}
    assert (run.cause, run.action_id) == ("chain", "chain:two")
    assert drive(run.id) == "completed"
    assert rows("step")[-1].output == '{"logged":"h-1 ******** true"}'
    assert SECRET not in json.dumps(
        [[str(value) for value in row] for kind in ("playbook", "step") for row in rows(kind)]
    )
    with db.read() as connection:
        assert transitions.get(connection, "default", told["execution_id"]).sealed is None
    tell, look, begun = records(door)
    assert (begun["outcome"], begun["verdict"], begun["matched_rule"]) == ("chain_started", "chain", "instead")
    assert (begun["action_id"], begun["chain_id"]) == (told["execution_id"], run.id)
    assert begun["details"] == {"action": action_id, "chain": "two"} | {"chain_id": run.id}
    assert [(one["origin"], one["namespace"], one["provider"], one["action_type"]) for one in (look, tell)] == [
        ("chain", "actions", "drill", "look"),
        ("chain", "actions", "note", "tell"),
    ]


def test_a_step_of_a_chain_that_cannot_begin_is_one_of_a_chain(door: Door) -> None:
    """Its record has the chain's origin, though no rule was asked about it."""
    without = door.create(id="act-without-host", name="Without", type="containment")["id"]
    door.call("POST", f"/api/actions/{without}/trigger", json={"parameters": {}})
    (run,) = rows("playbook")
    assert drive(run.id) == "failed"
    failed, _ = records(door)
    assert (failed["outcome"], failed["origin"], failed["provider"]) == ("failed", "chain", "drill")


def test_the_same_request_starts_one_chain(door: Door, action_id: str) -> None:
    """A copy under the same key is answered as the first; a dry run starts none, a sandbox run one of its kind."""
    given, key = {"parameters": {"host": "h-1"}}, {"Idempotency-Key": "k-1"}
    first, again = (
        door.call("POST", f"/api/actions/{action_id}/trigger", json=given, headers=key).json["data"] for _ in range(2)
    )
    assert first["execution_id"] == again["execution_id"]
    assert len(rows("playbook")) == 1
    door.call("POST", f"/api/actions/{action_id}/trigger", json={**given, "dry_run": True})
    assert len(rows("playbook")) == 1
    sandbox = door.call("POST", f"/api/actions/{action_id}/trigger", json={**given, "sandbox": True})
    assert sandbox.json["data"]["status"] == "completed"
    assert [run.mode for run in rows("playbook")] == ["live", "sandbox"]


def test_a_chain_waits_for_the_slot_of_its_trigger(door: Door, action_id: str) -> None:
    """Two within a minute: the second chain begins a minute later."""
    for _ in range(2):
        door.call("POST", f"/api/actions/{action_id}/trigger", json={"parameters": {"host": "five"}})
    now, later = sorted(rows("playbook"), key=lambda run: run.due_at)
    assert later.publishes == 0
    assert later.due_at - now.due_at > 20_000
    assert 50_000 < later.due_at - later.created_at < 70_000


def test_a_chain_runs_in_place_of_a_step(door: Door, action_id: str) -> None:
    """The step has completed, its output names the chain's run, and its own run goes on."""
    isolate = {
        "id": "isolate",
        "type": "action",
        "action_ref": action_id,
        "parameters": {"host": "{{ parameters.host }}"},
        "outputs": {"id": "{{ output.chain_id }}"},
    }
    parameters = {"action_type": "tell", "payload": {"host": "{{ vars.id }}", "token": "", "seen": ""}}
    rest = {"id": "rest", "type": "action", "action_ref": "provider:note", "parameters": parameters}
    playbook = door.create_playbook(steps=[isolate, rest], parameters=[{"name": "host"}])
    started = door.call("POST", f"/api/playbooks/{playbook['id']}/run", json={"parameters": {"host": "h-2"}})
    run_id = started.json["data"]["execution_id"]
    assert drive(run_id) == "completed"
    (chain,) = [run for run in rows("playbook") if run.cause == "chain"]
    assert drive(chain.id) == "completed"
    assert chain.id in next(row for row in rows("step") if row.step_id == "rest").output
    steps = door.call("GET", f"/api/playbooks/executions/{run_id}/steps").json["data"]
    shown = next(one for one in steps if one["step_id"] == "isolate")
    assert (shown["status"], shown["verdict"], shown["output"]["chain_id"]) == ("completed", "chain", chain.id)
    assert json.loads(chain.context)["depth"] == 1
    found = [(one["outcome"], one["matched_rule"]) for one in records(door, f"?chain_id={run_id}")]
    assert found == [("executed", None), ("chain_started", "instead")]


def test_a_chain_runs_in_place_of_a_scheduled_run(door: Door) -> None:
    """The scheduled run has completed without a step; the schedule has moved on."""
    with time_machine.travel("2026-11-22T10:30:00Z", tick=False) as clock:
        playbook = door.create_playbook(trigger={"event": "schedule", "cron": "0 * * * *"})
        clock.shift(3600)
        assert schedules.fire_due(TimeSlice()) == 1
        assert schedules.fire_due(TimeSlice()) == 0
    ended, chain = sorted(rows("playbook"), key=lambda run: run.cause, reverse=True)
    assert (ended.action_id, ended.status, ended.error) == (playbook["id"], "completed", None)
    assert json.loads(ended.output)["chain_id"] == chain.id
    assert (chain.cause, chain.status) == ("chain", "pending")
    shown = door.call("GET", f"/api/playbooks/executions/{ended.id}").json["data"]
    assert (shown["verdict"], shown["rule"]) == ("chain", "instead")
