"""Circuit breakers of providers that stand for actions of the tenant: their secrets, and which breaker is asked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import gate_column
from providers.base import ProviderError
from store.engine import db
from store.executions import transitions
from store.gateway import approvals, breakers
from store.ids import new_id
from tasks.attempts import action as attempts
from tests.support import dispatching
from tests.support.api import Door
from tests.support.dispatching import body, send
from tests.support.driven import drive

SECRET = "hunter2-and-more"
MASK = "********"
PROVIDERS = """\
providers:
  note: {kind: log, message: "{{ action_type }}: {{ payload.host }}", retry: {max_attempts: 1}}
  isolate: {kind: action, action: act-isolate}
  again: {kind: action, action: act-isolate}
  other: {kind: action, action: act-other}
  strict: {kind: action, action: act-strict}
  twice: {kind: action, action: act-twice}
circuit_breakers:
"""
GIVEN = {"host": "h-1", "token": SECRET}


class Place:
    """The application, what it calls, and the folder of its gateway."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._monkeypatch, self._folder = monkeypatch, folder
        self.door = Door()
        self.door.admin = self.door.key(grants=({"tenants": ["*"]},))
        #: the calls that went out by an action: its name and its parameters
        self.called: list[tuple[str, dict[str, Any]]] = []
        declared = [{"name": "host", "required": True}, {"name": "note"}, {"name": "token", "type": "secret"}]
        for name in ("isolate", "other", "twice"):
            self._action(name, declared, attempts=2 if name == "twice" else 1)
        self._action("strict", [{"name": "host"}, {"name": "token", "type": "secret", "required": True}])

    def _action(self, name: str, declared: list[dict[str, Any]], attempts: int = 1) -> None:
        more = {"type": "containment", "retry": {"max_attempts": attempts, "backoff_seconds": 0}}
        self.door.create(id=f"act-{name}", name=name, parameters=declared, **more)

    def load(self, *breakers: str, rules: list[dict[str, Any]] | None = None) -> None:
        """Put the providers in force with these breakers and rules."""
        providers = PROVIDERS + "".join(f"  {one}\n" for one in breakers)
        more = {"rules": json.dumps({"rules": rules})} if rules else {}
        dispatching.put_in_force(self._monkeypatch, self._folder, providers=providers, **more)

    def turn(self, provider: str, way: str = "trip") -> None:
        """Trip or reset a breaker."""
        assert self.door.call("POST", f"/admin/circuit-breakers/{provider}/{way}").status_code == 200

    def dispatch(self, provider: str, **payload: Any) -> Any:
        """Send a dispatch and carry it out; its row."""
        answer = send(self.door, body(provider=provider, payload=payload), headers={"Prefer": "respond-async"})
        assert answer.status_code == 202, answer.text
        attempts.attempt(answer.json["execution_id"])
        return row_of(answer.json["execution_id"])

    def trigger(self, action_id: str, host: str) -> str:
        """Trigger an action and carry it out; its execution."""
        asked = {"parameters": {"host": host}, "target": "web-1"}
        answer = self.door.call("POST", f"/api/actions/{action_id}/trigger", json=asked)
        assert answer.status_code == 202, answer.text
        execution_id = str(answer.json["data"]["execution_id"])
        attempts.attempt(execution_id)
        return execution_id

    def step(self, reference: str, given: dict[str, Any], **parameters: Any) -> Any:
        """Carry out a playbook of one step, with these secret parameters; the step's row."""
        declared = [{"name": name, "type": "secret"} for name in parameters]
        step = {"id": "s", "type": "action", "action_ref": reference, "parameters": given}
        playbook = self.door.create_playbook(name=new_id("x"), steps=[step], parameters=declared)
        started = self.door.call("POST", f"/api/playbooks/{playbook['id']}/run", json={"parameters": parameters})
        assert started.status_code == 202, started.text
        run_id = started.json["data"]["execution_id"]
        drive(run_id)
        return row_of(f"{run_id}.s")


@pytest.fixture
def place(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    """Everything, on each kind of database; an action's call only notes what goes out."""
    from providers import webhook

    made = Place(monkeypatch, tmp_path)

    def perform(call: Any) -> Any:
        call.checkpoint()
        made.called.append((call.context["action"]["name"], dict(call.parameters)))
        if call.parameters["host"] == "fails":
            raise ProviderError("away", "It is away.", retryable=True)
        return {"ok": True}

    monkeypatch.setattr(webhook, "perform", perform)
    yield made
    dispatching.forget()


def row_of(execution_id: str) -> Any:
    with db.read() as connection:
        return transitions.get(connection, "default", execution_id)


def failures(provider: str) -> int:
    """The failures that the breaker of a provider counts."""
    with db.read() as connection:
        return sum(row.failures for row in breakers.listed(connection) if row.provider == provider)


def step_of(token: str) -> dict[str, Any]:
    return {"action_type": "contain", "payload": {"host": "h-1", "token": token}}


def test_a_fallback_that_is_a_provider_gets_the_secrets_of_an_action_masked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a dispatch, of a step, and what is secret in its run, wherever the step writes it."""
    from providers.inner import log

    sent: list[dict[str, Any]] = []
    perform = log.perform

    def noted(call: Any) -> Any:
        sent.append(call.parameters["payload"])
        return perform(call)

    monkeypatch.setattr(log, "perform", noted)
    place.load("isolate: {fallback_provider: note}")
    place.turn("isolate")
    assert place.dispatch("isolate", **GIVEN).status == "completed"
    written = {"action_type": "contain", "payload": {**GIVEN, "note": "by {{ parameters.key }}"}}
    assert place.step("provider:isolate", written, key="the-run-s-own-key").status == "completed"
    assert [(one["host"], one["token"], one["note"]) for one in sent] == [
        ("h-1", MASK, None),
        ("h-1", MASK, f"by {MASK}"),
    ]


def test_a_fallback_that_is_another_action_gets_no_secrets(place: Place) -> None:
    """One that needs a secret of its own lets nothing through, and the error says why."""
    place.load("other: {fallback_provider: isolate}", "isolate: {fallback_provider: strict}")
    place.turn("other")
    assert place.dispatch("other", **GIVEN).status == "completed"
    assert place.step("provider:other", step_of(SECRET)).status == "completed"
    assert [(name, given["host"], given["token"]) for name, given in place.called] == [("isolate", "h-1", None)] * 2
    place.turn("isolate")
    for row in (place.dispatch("other", **GIVEN), place.step("provider:other", step_of(SECRET))):
        error = json.loads(row.error)
        assert (row.status, error["code"]) == ("failed", "circuit_open")
        assert "'strict' takes other values: /payload/token: 'token' is required." in error["message"]
        assert error["details"]["fallback_chain"] == ["strict"]
    assert len(place.called) == 2


def test_an_action_that_is_a_fallback_gets_no_mask_for_what_is_secret_in_a_run(place: Place) -> None:
    """It would take the mask for the secret itself."""
    place.load("note: {fallback_provider: isolate}")
    place.turn("note")
    assert place.step("provider:note", step_of("{{ parameters.key }}"), key="the-run-s-own-key").status == "completed"
    assert [(name, given["host"], given["token"]) for name, given in place.called] == [("isolate", "h-1", None)]


def test_a_fallback_that_stands_for_the_same_action_gets_its_secrets(place: Place) -> None:
    """They stay where they were put."""
    place.load("isolate: {fallback_provider: again}")
    place.turn("isolate")
    assert place.dispatch("isolate", **GIVEN).status == "completed"
    assert place.step("provider:isolate", step_of(SECRET)).status == "completed"
    assert [(name, given["token"]) for name, given in place.called] == [("isolate", SECRET)] * 2


def away(target: str) -> list[dict[str, Any]]:
    """The rule that sends everything of an action, and what names the provider ``note``, to another provider."""
    condition = {"field": "action.action_type", "in_list": ["act-other", "contain"]}
    effect = {"type": "reroute", "target_provider": target}
    return [{"name": "away", "origins": ["trigger", "step"], "condition": condition, "action": effect}]


def by(place: Place, way: str, host: str) -> Any:
    """Have the rule send a trigger, a step of an action or a step that names another provider; the row."""
    if way == "trigger":
        return row_of(place.trigger("act-other", host))
    if way == "step":
        return place.step("act-other", {"host": host})
    return place.step("provider:note", {"action_type": "contain", "payload": {"host": host}})


@pytest.mark.parametrize("way", ["trigger", "step", "provider"])
def test_the_breaker_of_the_provider_that_a_rule_names_is_asked_and_counted(place: Place, way: str) -> None:
    """Not that of the provider that the step names; while it is open, nothing goes out, or it does by the fallback."""
    place.load("note: {}", "isolate: {}", rules=away("isolate"))
    assert by(place, way, "fails").error is not None
    assert (failures("isolate"), failures("note")) == (1, 0)
    place.turn("note")
    assert by(place, way, "h-1").status == "completed"
    assert failures("isolate") == 0
    place.turn("isolate")
    row = by(place, way, "h-1")
    error = json.loads(row.error)
    assert (row.status, error["code"], error["details"]["provider"]) == ("failed", "circuit_open", "isolate")
    place.load("isolate: {fallback_provider: note}", rules=away("isolate"))
    row = by(place, way, "h-1")
    kind = "act-other" if way != "provider" else "contain"
    assert (row.status, row.output) == ("completed", json.dumps({"logged": f"{kind}: h-1"}, separators=(",", ":")))
    gate = gate_column.read(row.gate)
    assert gate is not None
    first = None if way == "provider" else "webhook"  # it is back at the provider that the step names
    assert (gate.provider, gate.original_provider, gate.asked_provider) == ("note", first, "isolate")
    assert [name for name, _ in place.called] == ["isolate"] * 2


def test_a_retry_asks_the_provider_of_the_rule_again(place: Place) -> None:
    """Whatever fallback has carried out the attempt before."""
    place.load("twice: {fallback_provider: other}", rules=away("twice"))
    place.turn("twice")
    execution_id = place.trigger("act-other", "fails")
    row = row_of(execution_id)
    assert (row.status, row.waiting_for) == ("waiting", "retry")
    place.turn("twice", "reset")
    attempts.attempt(execution_id)
    assert [name for name, _ in place.called] == ["other", "twice"]
    row = row_of(execution_id)
    gate = gate_column.read(row.gate)
    assert gate is not None
    assert (gate.provider, gate.original_provider, gate.asked_provider) == ("twice", "webhook", None)


def test_the_breaker_of_the_rule_s_provider_is_asked_once_it_is_approved(place: Place) -> None:
    """What is sent elsewhere and exceeds a limit waits; approved, it passes the breaker, with fallback and retry."""
    limit = {"type": "throttle", "max_count": 1, "window_seconds": 600, "on_excess": "require_approval"}
    few = {"name": "few", "priority": 1, "continue": True, "origins": ["trigger"]}
    few |= {
        "condition": {"field": "action.action_type", "eq": "act-other"},
        "action": {**limit, "requester_may_approve": True},
    }

    rules = [few, {**away("twice")[0], "priority": 2}]

    def approved(host: str) -> Any:
        execution_id = place.trigger("act-other", host)
        asked = db.read_one(approvals.pending_of, execution_id)
        said = place.door.call("POST", f"/api/approvals/{asked.id}/approve", json={}, headers=dispatching.AT_ONCE)
        assert said.status_code == 200
        attempts.attempt(execution_id)
        return row_of(execution_id)

    place.load("twice: {fallback_provider: other}", rules=rules)
    place.trigger("act-other", "h-1")
    waits = approved("fails")
    assert (waits.status, waits.waiting_for, failures("twice")) == ("waiting", "retry", 1)
    place.turn("twice")
    attempts.attempt(waits.id)
    assert (row_of(waits.id).status, place.called[-1][0]) == ("failed", "other")
    place.load("twice: {}", rules=rules)
    ended = approved("h-1")
    error = json.loads(ended.error)
    assert (ended.status, error["code"], error["details"]["provider"]) == ("failed", "circuit_open", "twice")
    assert [name for name, _ in place.called] == ["twice", "twice", "other"]
