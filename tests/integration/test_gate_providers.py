"""Rules about steps that name providers, and about ways that lead to an action of the tenant."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import gate_column
from store.audit import audit
from store.engine import db
from store.executions import transitions
from tasks.attempts import action as attempts
from tasks.intake import started_runs
from tasks.runs import verdicts
from tests.support import dispatching
from tests.support.api import Door, assert_problem
from tests.support.dispatching import body, send
from tests.support.driven import drive

SECRET = "hunter2-and-more"
PROVIDERS = """\
providers:
  note: {kind: log, message: "{{ payload.host }} {{ payload.footer | default('') }}"}
  isolate: {kind: action, action: act-isolate}
  strict: {kind: action, action: act-strict}
  other: {kind: action, action: act-other}
  respond: {kind: playbook, playbook: pb-respond}
"""


@pytest.fixture
def door(database: str) -> Iterator[Door]:
    """The application on each kind of database, with an action that has a secret parameter and only tells its log."""
    made = Door()
    declared = [{"name": "host", "required": True}, {"name": "note"}, {"name": "token", "type": "secret"}]
    made.create(id="act-isolate", name="Isolate", type="containment", parameters=declared)
    made.create(id="act-other", name="Other", type="containment", parameters=declared)
    yield made
    dispatching.forget()


@pytest.fixture
def in_force(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Puts rules in force: JSON is YAML."""

    def put(*rules: dict[str, Any]) -> None:
        dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=json.dumps({"rules": rules}))

    return put


def rule(name: str, kind: str, condition: dict[str, Any], priority: int = 0, **more: Any) -> dict[str, Any]:
    given = {member: more.pop(member) for member in ("origins", "continue") if member in more}
    return {"name": name, "priority": priority, "condition": condition, "action": {"type": kind, **more}, **given}


def field(path: str, **more: Any) -> dict[str, Any]:
    return {"field": f"action.{path}", **more}


def step(step_id: str, provider: str, payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"action_type": "contain", "payload": payload, "labels": {"team": "blue"}}
    return {"id": step_id, "type": "action", "action_ref": f"provider:{provider}", "parameters": given, **more}


def run(door: Door, *steps: dict[str, Any], **parameters: Any) -> str:
    """Start a run of a new playbook; its id."""
    declared = [{"name": name, **({"type": "secret"} if name == "token" else {})} for name in parameters]
    playbook = door.create_playbook(id=f"pb-{len(rows('playbook'))}", steps=list(steps), parameters=declared)
    started = door.call("POST", f"/api/playbooks/{playbook['id']}/run", json={"parameters": parameters})
    assert started.status_code == 202, started.text
    return str(started.json["data"]["execution_id"])


def rows(kind: str) -> list[Any]:
    table = transitions.executions
    with db.read() as connection:
        query = table.select().where(table.c.kind == kind).order_by(table.c.created_at, table.c.id)
        return list(connection.execute(query))


def everything() -> str:
    """All that the database keeps of executions and of the trail."""
    found = []
    with db.read() as connection:
        for table in (transitions.executions, audit, *(audit.metadata.tables[name] for name in ("payloads",))):
            found += [[str(value) for value in row] for row in connection.execute(table.select())]
    return json.dumps(found)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The calls that went out by an action: its name and its parameters."""
    from providers import webhook

    calls: list[tuple[str, dict[str, Any]]] = []

    def perform(call: Any) -> Any:
        call.checkpoint()
        calls.append((call.context["action"]["name"], dict(call.parameters)))
        return {"ok": True}

    monkeypatch.setattr(webhook, "perform", perform)
    return calls


def test_rules_read_the_payload_of_a_provider_that_stands_for_an_action(door: Door, in_force: Any, called: Any) -> None:
    """Payload, type and labels, as those of a dispatch: one host is denied, two others are no duplicates."""
    in_force(
        rule("dc", "deny", {"all": [field("payload.host", regex="^dc"), field("metadata.team", eq="blue")]}),
        rule("once", "deduplicate", field("action_type", eq="contain"), priority=1),
    )
    hosts = [step(f"s{number}", "isolate", {"host": name}) for number, name in enumerate(["web-1", "web-2", "dc1"])]
    assert drive(run(door, *hosts)) == "failed"
    assert [row.status for row in rows("step")] == ["completed", "completed", "failed"]
    assert json.loads(rows("step")[-1].error)["code"] == "denied"
    assert [given["host"] for _, given in called] == ["web-1", "web-2"]


def test_a_rule_changes_the_payload_of_a_step_by_a_provider(door: Door, in_force: Any) -> None:
    """The payload, not the dispatch around it; a reroute sends the changed one on."""
    in_force(
        rule("mark", "modify", field("payload.host", exists=True), changes={"footer": "F"}, **{"continue": True}),
        rule("away", "reroute", field("action_type", eq="away"), priority=1, target_provider="note", origins=["step"]),
    )
    plain, away = step("plain", "note", {"host": "h-1"}), step("away", "note", {"host": "h-2"})
    away["parameters"]["action_type"] = "away"
    assert drive(run(door, plain, away)) == "completed"
    assert [row.output for row in rows("step")] == ['{"logged":"h-1 F"}', '{"logged":"h-2 F"}']


def test_a_trigger_and_a_step_are_sent_to_an_action_of_the_tenant(door: Door, in_force: Any, called: Any) -> None:
    """The provider stands for it: it gets the parameters, without the secret, and its record says rerouted."""
    away = rule(
        "away", "reroute", field("action_type", eq="act-other"), target_provider="isolate", origins=["trigger", "step"]
    )
    in_force(away)
    given = {"host": "h-1", "token": SECRET}
    answer = door.call("POST", "/api/actions/act-other/trigger", json={"parameters": given})
    assert answer.status_code == 202, answer.text
    assert attempts.attempt(answer.json["data"]["execution_id"]).status == "completed"
    other = {"id": "s", "type": "action", "action_ref": "act-other", "parameters": {"host": "h-2"}}
    assert drive(run(door, other)) == "completed"
    found = [(name, given["host"], given["token"]) for name, given in called]
    assert found == [("Isolate", "h-1", None), ("Isolate", "h-2", None)]
    records = door.call("GET", "/v1/audit").json["records"]
    assert [(one["outcome"], one["provider"]) for one in records] == [("rerouted", "isolate")] * 2
    refused = door.call("PATCH", "/api/actions/act-isolate", json={"enabled": False})
    assert refused.status_code == 200, refused.text
    answer = door.call("POST", "/api/actions/act-other/trigger", json={"parameters": given})
    assert (answer.status_code, answer.json["code"]) == (409, "action_disabled")
    assert "away" in answer.json["message"]


def test_a_secret_of_the_run_is_no_mask_for_the_action_a_rule_sends_a_step_to(
    door: Door, in_force: Any, called: Any
) -> None:
    """The step by a provider names the secret of its run; the action gets none, rather than eight asterisks."""
    away = rule("away", "reroute", field("action_type", eq="contain"), target_provider="isolate", origins=["step"])
    in_force(away)
    asked = step("s", "note", {"host": "h-1", "token": "{{ token }}", "note": "with {{ token }}"})
    assert drive(run(door, asked, token=SECRET)) == "completed"
    assert called == [("Isolate", {"host": "h-1", "note": "with ********", "token": None})]
    assert SECRET not in everything()


def test_a_dispatch_is_sent_from_one_action_of_the_tenant_to_another(door: Door, in_force: Any, called: Any) -> None:
    """Without the secret of the first: the second never gets a mask for it, and one that needs it refuses by name."""
    in_force(
        rule("away", "reroute", field("payload.host", eq="h-1"), target_provider="isolate"),
        rule("strict", "reroute", field("payload.host", eq="h-2"), target_provider="strict", priority=1),
    )
    given = {"host": "h-1", "token": SECRET}
    answer = send(door, body(provider="other", payload=given), headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    assert attempts.attempt(answer.json["execution_id"]).status == "completed"
    assert [(name, got["host"], got["token"]) for name, got in called] == [("Isolate", "h-1", None)]
    required = [{"name": "host"}, {"name": "token", "type": "secret", "required": True}]
    door.create(id="act-strict", name="Strict", type="containment", parameters=required)
    answer = send(door, body(provider="other", payload={**given, "host": "h-2"}))
    problem = assert_problem(answer, 422)
    assert "'strict'" in problem["message"]
    assert [one["pointer"] for one in problem["errors"]] == ["/payload/token"]
    assert SECRET not in everything()


def test_an_attempt_that_is_sent_on_no_more_says_so(door: Door, in_force: Any) -> None:
    """Once the rule is gone, provider and record are those of the step itself."""
    gate = gate_column.Gate(
        origin="step",
        namespace="playbooks",
        provider="note",
        action_type="act-other",
        verdict="reroute",
        rule="away",
        original_provider="webhook",
    )
    after = verdicts._undecided(gate)
    assert (after.provider, after.original_provider, after.verdict, after.rule) == ("webhook", None, "allow", None)


def test_a_delay_comes_before_what_is_counted(door: Door, in_force: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One an hour, a minute late: the step goes out after a minute, and has counted once."""
    in_force(
        rule("one", "throttle", field("action_type", eq="contain"), max_count=1, window_seconds=3600)
        | {"continue": True},
        rule("later", "schedule", field("action_type", eq="contain"), priority=1, delay_seconds=60),
    )
    run_id = run(door, step("s", "note", {"host": "h"}))
    with pytest.raises(AssertionError):
        drive(run_id)
    (waiting,) = rows("step")
    with db.write() as connection:
        transitions.transition(connection, waiting.id, "pending", waiting_for=None, due_at=db.now_ms())
    monkeypatch.setattr(db, "now_ms", lambda: waiting.due_at + 1)
    assert drive(run_id) == "completed"


def test_a_refused_dispatch_is_recorded_under_the_rule_that_refused_it(door: Door, in_force: Any) -> None:
    """Not under the last rule that was asked; the reason of that rule is told, and what only watches."""
    in_force(
        rule("once", "deduplicate", field("provider", eq="note"), reason="a storm") | {"continue": True},
        rule("watch", "deny", field("provider", eq="note"), priority=1) | {"mode": "shadow"},
        rule("many", "throttle", field("provider", eq="note"), priority=2, max_count=100, window_seconds=60),
    )
    for _ in range(2):
        send(door, body(provider="note", payload={"host": "h"}), headers={"Prefer": "respond-async"})
    (record,) = door.call("GET", "/v1/audit").json["records"]
    assert (record["outcome"], record["verdict"], record["matched_rule"]) == ("deduplicated", "deduplicate", "once")
    with db.read() as connection:
        details = json.loads(
            connection.execute(audit.select().where(audit.c.event == "dispatch.deduplicated")).one().details
        )
    assert details["reason"] == "a storm"
    assert details["shadows"] == [{"rule": "watch", "verdict": "deny"}]


@pytest.mark.parametrize("kind", ["suppress", "deny", "reroute"])
def test_what_an_action_calls_secret_is_kept_by_no_record(door: Door, in_force: Any, kind: str) -> None:
    """A dispatch by a provider that stands for the action, stopped or sent elsewhere."""
    more = {"target_provider": "note"} if kind == "reroute" else {}
    in_force(rule("r", kind, field("payload.host", eq="h"), **more))
    send(door, body(provider="isolate", payload={"host": "h", "token": SECRET}), headers={"Prefer": "respond-async"})
    assert SECRET not in everything()


def test_a_runs_secret_goes_to_no_other_provider(door: Door, in_force: Any) -> None:
    """A parameter that contains one, changed and then sent on by rules."""
    in_force(
        rule("mark", "modify", field("payload.host", exists=True), changes={"host": "changed"}) | {"continue": True},
        rule("away", "reroute", field("payload.host", exists=True), priority=1, target_provider="note")
        | {"origins": ["step"]},
    )
    given = {"host": "h", "note": "t={{ parameters.token }}"}
    other = {"id": "s", "type": "action", "action_ref": "act-other", "parameters": given}
    assert drive(run(door, other, token=SECRET)) == "completed"
    (told,) = rows("step")
    assert told.output == '{"logged":"changed "}'
    assert json.loads(told.input)["payload"]["note"] == "t=********"
    assert SECRET not in everything()


def test_playbooks_that_start_each_other_by_a_provider_come_to_an_end(door: Door, in_force: Any) -> None:
    """Eight deep, as playbooks that name each other; the runs belong to the sender."""
    started_runs.install()
    in_force()
    door.create_playbook(id="pb-respond", name="Respond", steps=[step("again", "respond", {})])
    answer = send(door, body(provider="respond", payload={}), headers={"Prefer": "respond-async"})
    with dispatching.working():
        told = door.call("GET", f"{answer.headers['Location']}?wait=10").json
    first = told["response"]["body"]["execution_id"]
    for _ in range(20):
        for row in rows("playbook"):
            if row.status not in transitions.TERMINAL:
                drive(row.id)
    runs = rows("playbook")
    assert len(runs) == 9
    assert {json.loads(row.context)["root"] for row in runs if row.id != first} == {first}
    assert json.loads(rows("step")[-1].error)["code"] == "too_deep"
    assert len({row.created_by for row in runs}) == 1
    assert "system" not in {row.created_by for row in runs}
