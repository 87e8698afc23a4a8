"""What follows an approval: the approvals that other rules want, chains, events and delays, and no fallback unseen."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from store.engine import db
from store.executions import transitions
from store.gateway import approvals
from tasks.intake import run_start
from tasks.intake.run_start import RunRequest
from tests.support import dispatching
from tests.support.api import Door
from tests.support.dispatching import body, send
from tests.support.driven import drive
from tests.support.sse import listen

PROVIDERS = """\
providers:
  drill: {kind: mock, behaviour: answer, answer: {sent: true}}
  other: {kind: mock, behaviour: answer, answer: {sent: other}}
circuit_breakers:
  drill: {failure_threshold: 3, recovery_timeout_seconds: 600, fallback_provider: other}
"""
CHAINS = """\
chains:
  - {name: one, steps: [{name: look, provider: drill, action_type: look}]}
"""
MACHINES = """\
state_machines:
  - {name: alert, initial_state: firing, states: [firing, resolved], transitions: [{from: firing, to: resolved}]}
"""
_MAY = "requester_may_approve: true"
RULES = f"""\
rules:
  - name: few
    priority: 1
    continue: true
    condition: {{field: action.action_type, in_list: [both, act-look, chained, moved, later, capped, once]}}
    action:
      {{type: throttle, max_count: 1, window_seconds: 600, by: action.action_type, on_excess: require_approval, {_MAY}}}
  - name: fewer
    priority: 2
    continue: true
    condition: {{all: [{{field: action.action_type, eq: capped}}, {{field: action.payload.grade, eq: high}}]}}
    action: {{type: throttle, max_count: 1, window_seconds: 600, on_excess: require_approval, {_MAY}}}
  - name: lowered
    priority: 3
    continue: true
    condition: {{field: action.action_type, eq: capped}}
    action: {{type: modify, changes: {{grade: low}}}}
  - name: same
    priority: 3
    continue: true
    condition: {{field: action.action_type, eq: once}}
    action: {{type: deduplicate, ttl_seconds: 600, key_fields: [payload.to]}}
  - name: ciso
    priority: 4
    condition: {{field: action.action_type, in_list: [both, act-look]}}
    action: {{type: require_approval, approvers: [ciso], {_MAY}}}
  - name: instead
    priority: 4
    condition: {{field: action.action_type, eq: chained}}
    action: {{type: chain, chain_name: one}}
    origins: [dispatch, trigger]
  - name: life
    priority: 4
    condition: {{field: action.action_type, eq: moved}}
    action: {{type: state_machine, state_machine: alert, fingerprint_fields: [action_type]}}
  - name: pause
    priority: 4
    condition: {{field: action.action_type, eq: later}}
    action: {{type: schedule, delay_seconds: 600}}
  - name: plain
    condition: {{field: action.action_type, in_list: [plain, told]}}
    action: {{type: require_approval, {_MAY}}}
"""


@pytest.fixture
def door(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each kind of database, with rules that ask one after the other."""
    monkeypatch.setenv("TOCSIN_DISPATCH_WAIT", "5")
    found = Door()
    texts = {"providers": PROVIDERS, "chains": CHAINS, "state_machines": MACHINES, "rules": RULES}
    dispatching.put_in_force(monkeypatch, tmp_path, **texts)
    yield found
    dispatching.forget()


def beyond(door: Door, kind: str, **more: Any) -> dict[str, Any]:
    """Send two of a kind; the outcome of the second, which is beyond the limit."""
    first, second = (send(door, body(action_type=kind, **more), headers={"Prefer": "wait=0"}).json for _ in "12")
    assert "error" not in first, first
    assert second["outcome"] == "pending_approval", second
    found: dict[str, Any] = second
    return found


def pending(execution_id: str) -> Any:
    return db.read_one(approvals.pending_of, execution_id)


def asked(approval_id: str) -> Any:
    return db.read_one(approvals.read, approval_id)


def row(execution_id: str) -> Any:
    with db.read() as connection:
        return transitions.get(connection, "default", execution_id)


def ciso(door: Door) -> str:
    """The token of the one whom a rule wants."""
    door.user(username="ciso", role="operator")
    token: str = door.sign_in("ciso").json["token"]
    return token


def decide(
    door: Door, approval_id: str, decision: str = "approve", key: str = "", headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    answer = door.call("POST", f"/api/approvals/{approval_id}/{decision}", key=key, json={}, headers=headers or {})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_what_two_rules_ask_about_is_approved_by_both(door: Door) -> None:
    """Beyond the limit anybody approves; it goes out only once the approver of the other rule has approved it too."""
    first = beyond(door, "both")
    with dispatching.working():
        said = decide(door, first["approval_id"])
        assert (said["status"], said["outcome"]["outcome"]) == ("approved", "pending_approval")
        second = pending(asked(first["approval_id"]).execution_id)
        assert (second.rule, approvals.approvers_of(second)) == ("ciso", ["ciso"])
        assert said["outcome"]["approval_id"] == second.id
        assert row(second.execution_id).attempt == 0
        refused = door.call("POST", f"/api/approvals/{second.id}/approve", json={})
        assert refused.status_code == 403, refused.text
        assert decide(door, second.id, key=ciso(door))["outcome"]["outcome"] == "executed"


def test_a_trigger_is_approved_by_both_too(door: Door) -> None:
    """A rejection of the second ends it."""
    door.create(id="act-look")
    first, second = (
        door.call("POST", "/api/actions/act-look/trigger", json={"parameters": {}}).json["data"] for _ in "12"
    )
    assert (pending(first["execution_id"]).rule, pending(second["execution_id"]).rule) == ("ciso", "few")
    decide(door, second["approval_id"])
    again = pending(second["execution_id"])
    assert (again.rule, row(second["execution_id"]).due_at) == ("ciso", again.expires_at)
    decide(door, again.id, "reject", key=ciso(door))
    assert (row(second["execution_id"]).status, row(second["execution_id"]).attempt) == ("failed", 0)


def test_a_limit_that_a_change_hides_from_the_decision_asks_all_the_same(door: Door) -> None:
    """What a rule wanted of the dispatch as it came is wanted of what is left of it."""
    payload = {"to": "a", "grade": "high"}
    first = beyond(door, "capped", payload=payload)
    decide(door, first["approval_id"])
    second = pending(asked(first["approval_id"]).execution_id)
    assert second.rule == "fewer"
    with dispatching.working():
        assert decide(door, second.id)["outcome"]["outcome"] == "executed"


def test_what_is_approved_is_still_counted_and_compared(door: Door) -> None:
    """Two equal ones wait; the second that is approved finds that its equal went out."""
    beyond(door, "once", payload={"to": "a"})
    equal = [send(door, body(action_type="once", payload={"to": "b"})).json for _ in "12"]
    assert {one["outcome"] for one in equal} == {"pending_approval"}
    with dispatching.working():
        assert decide(door, equal[0]["approval_id"])["outcome"]["outcome"] == "executed"
        said = decide(door, equal[1]["approval_id"])["outcome"]
    assert (said["outcome"], said["of"]) == ("deduplicated", asked(equal[0]["approval_id"]).execution_id)


def test_what_is_approved_goes_on_to_its_chain(door: Door) -> None:
    """The question says so; the chain runs in its place, and its record says that."""
    first = beyond(door, "chained")
    assert "chain 'one'" in asked(first["approval_id"]).message
    said = decide(door, first["approval_id"])["outcome"]
    assert (said["outcome"], said["chain_name"]) == ("chain_started", "one")
    assert row(said["chain_id"]).kind == "playbook"
    record = door.call("GET", f"/v1/audit/{first['action_id']}").json
    assert (record["outcome"], record["matched_rule"]) == ("chain_started", "instead")


def test_a_trigger_that_is_approved_goes_on_to_its_chain(door: Door) -> None:
    """It has completed, and its output names the run."""
    door.create(id="chained")
    _, second = (door.call("POST", "/api/actions/chained/trigger", json={"parameters": {}}).json["data"] for _ in "12")
    assert second["status"] == "waiting"
    decide(door, second["approval_id"])
    ended = row(second["execution_id"])
    assert (ended.status, row(json.loads(ended.output)["chain_id"]).kind) == ("completed", "playbook")


def test_what_is_approved_moves_its_event(door: Door) -> None:
    """Not before; the answer and the record have the move."""
    first = beyond(door, "moved", status="firing")
    assert "state machine 'alert'" in asked(first["approval_id"]).message
    over = send(door, body(action_type="moved", status="resolved")).json
    said = decide(door, over["approval_id"])["outcome"]
    assert (said["outcome"], said["previous_state"], said["new_state"]) == ("state_changed", "firing", "resolved")
    assert door.call("GET", "/v1/events").json["events"][0]["state"] == "resolved"
    assert door.call("GET", f"/v1/audit/{over['action_id']}").json["outcome"] == "state_changed"


@pytest.mark.parametrize(("kind", "more"), [("chained", {}), ("moved", {"status": "firing"})])
def test_what_is_approved_is_recorded_as_what_passed_at_once(door: Door, kind: str, more: dict[str, Any]) -> None:
    """The trail has the run, or the event and its move, and the approval besides; the stream has them, too."""
    with listen(door) as stream:
        first = send(door, body(action_type=kind, **more), headers={"Prefer": "wait=0"}).json
        second = send(door, body(action_type=kind, **more), headers={"Prefer": "wait=0"}).json
        said = decide(door, second["approval_id"])["outcome"]
        stream.wait(3)
    approved, at_once = door.call("GET", f"/v1/audit?action_type={kind}").json["records"]
    own = {name: approved["details"][name] for name in approved["details"] if name not in ("attempt", "approval")}
    assert own.keys() == at_once["details"].keys()
    assert approved["details"]["approval"] == second["approval_id"]
    assert approved["chain_id"] == said.get("chain_id")
    told = [event.json for event in stream.events if event.json["type"] == "action_dispatched"]
    for one, record, outcome in zip(told, (at_once, approved), (first, said), strict=True):
        assert one.get("chain_id") == record["chain_id"]
        known = one["outcome"]
        assert {name: outcome[name] for name in known} == known
        assert known.keys() == told[0]["outcome"].keys()
    if kind == "moved":
        assert (own["event_id"], own["state_machine"]) == (at_once["details"]["event_id"], "alert")


def test_what_is_approved_keeps_its_delay(door: Door) -> None:
    """It waits as the rule says, from the approval on."""
    first = beyond(door, "later")
    decide(door, first["approval_id"])
    waits = row(asked(first["approval_id"]).execution_id)
    assert (waits.status, waits.waiting_for) == ("waiting", "delay")
    assert waits.due_at > db.now_ms() + 590_000


def test_no_fallback_takes_the_place_of_what_was_approved_unseen(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that the question names does, as for anything else; without one the breaker's code ends it."""
    shown = send(door, body(action_type="plain")).json
    assert "goes out by other" in asked(shown["approval_id"]).message
    texts = {"chains": CHAINS, "state_machines": MACHINES, "rules": RULES}
    without = PROVIDERS.replace(", fallback_provider: other", "")
    dispatching.put_in_force(monkeypatch, tmp_path, providers=without, **texts)
    unseen = send(door, body(action_type="plain")).json
    assert "goes out by" not in asked(unseen["approval_id"]).message
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, **texts)
    everywhere = door.key("operator", grants=({"tenants": ["*"]},))
    assert door.call("POST", "/admin/circuit-breakers/drill/trip", key=everywhere).status_code == 200
    with dispatching.working():
        assert send(door).json["new_provider"] == "other"
        assert decide(door, shown["approval_id"])["outcome"]["new_provider"] == "other"
        over = decide(door, unseen["approval_id"])["outcome"]
    assert (over["outcome"], over["fallback_chain"]) == ("circuit_open", [])


def test_a_step_whose_fallback_is_new_is_asked_about_again(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Rules are asked at its attempt: what was approved without the fallback waits, and then goes out by it."""
    texts = {"chains": CHAINS, "state_machines": MACHINES, "rules": RULES}
    without = PROVIDERS.replace(", fallback_provider: other", "")
    dispatching.put_in_force(monkeypatch, tmp_path, providers=without, **texts)
    parameters = {"action_type": "told", "payload": {"host": "h-1"}}
    step = {"id": "tell", "type": "action", "action_ref": "provider:drill", "parameters": parameters}
    made = door.create_playbook(id="pb-tell", steps=[step])
    run_id = run_start.start(RunRequest(workspace_id="default", actor="test", playbook_id=made["id"])).run_id

    def question() -> Any:
        with contextlib.suppress(AssertionError):
            drive(run_id, rounds=10)
        return pending(f"{run_id}.tell")

    decide(door, question().id, headers=dispatching.AT_ONCE)
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, **texts)
    everywhere = door.key("operator", grants=({"tenants": ["*"]},))
    assert door.call("POST", "/admin/circuit-breakers/drill/trip", key=everywhere).status_code == 200
    again = question()
    assert "goes out by other" in again.message
    decide(door, again.id, headers=dispatching.AT_ONCE)
    assert question() is None
    assert (row(run_id).status, json.loads(row(f"{run_id}.tell").output)) == ("completed", {"sent": "other"})
