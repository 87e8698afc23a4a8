"""Circuit breakers of providers: what opens and closes them, what goes out meanwhile, and who may turn them."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import circuits, current, gate_column
from gateway.breakers import Breaker
from store import audit
from store.engine import db
from store.executions import transitions
from store.gateway import breakers, configurations
from store.ids import new_id
from tasks.attempts import action
from tasks.entrypoints import runs as steps
from tasks.generations import follow
from tasks.intake import run_start
from tests.support import dispatching
from tests.support.api import Door, assert_problem
from tests.support.dispatching import body, send

#: a provider that fails until the folder says otherwise, and what takes its place
PROVIDERS = """\
providers:
  email: {kind: mock, behaviour: fail, retry: {max_attempts: 1, backoff_seconds: 0}}
  webhook: {kind: mock, behaviour: answer, answer: {by: webhook}}
  sms: {kind: mock, behaviour: fail, retry: {max_attempts: 1, backoff_seconds: 0}}
  wrong: {kind: http, url: "http://127.0.0.1:1/{{ payload.nothing.at.all }}", retry: {max_attempts: 1}}
  note: {kind: log, message: "{{ payload.to }}"}
circuit_breakers:
  email: {fallback_provider: webhook}
  sms: {failure_threshold: 2, recovery_timeout_seconds: 3600}
  wrong: {failure_threshold: 1}
"""
#: the same with a provider that is well again
MENDED = PROVIDERS.replace("sms: {kind: mock, behaviour: fail,", "sms: {kind: mock, behaviour: ok,")
PATH = "/admin/circuit-breakers"


class Place:
    """The application, its folder, and the worker that carries out each dispatch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._monkeypatch, self._folder = monkeypatch, folder
        self.door = Door()
        self.door.admin = self.door.key(grants=({"tenants": ["*"]},))
        self.load(PROVIDERS)

    def load(self, providers: str, **more: str) -> None:
        """Put these providers in force, and more files."""
        dispatching.put_in_force(self._monkeypatch, self._folder, providers=providers, **more)

    def send(self, provider: str, **more: Any) -> dict[str, Any]:
        """Send a dispatch and carry it out; what became of it."""
        answer = send(self.door, body(provider=provider, **more), headers={"Prefer": "respond-async"})
        assert answer.status_code == 202, answer.text
        action.attempt(answer.json["execution_id"])
        told = self.door.call("GET", f"/v1/dispatch/{answer.json['execution_id']}")
        assert told.status_code == 200, told.text
        found: dict[str, Any] = told.json
        return found

    def turn(self, provider: str, way: str) -> None:
        """Trip or reset a breaker."""
        assert self.door.call("POST", f"{PATH}/{provider}/{way}").status_code == 200

    def state(self, provider: str) -> str:
        """The state of a breaker, as the list shows it."""
        shown = self.door.call("GET", PATH).json["circuit_breakers"]
        return str(next(one["state"] for one in shown if one["provider"] == provider))


@pytest.fixture
def place(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Place]:
    """Everything, on each kind of database."""
    yield Place(monkeypatch, tmp_path)
    dispatching.forget()


def row_of(provider: str) -> Any:
    """The row of a breaker; None without one."""
    with db.read() as connection:
        return next((row for row in breakers.listed(connection) if row.provider == provider), None)


def recover(provider: str) -> None:
    """Let the recovery time of a breaker be over."""
    with db.write() as connection:
        mine = breakers.breakers.c.provider == provider
        later = {"recover_at": db.now_ms() - 1, "version": breakers.breakers.c.version + 1}
        connection.execute(sa.update(breakers.breakers).where(mine).values(later))
        configurations.end(connection)
    follow.look()


def events(provider: str, workspace: str = "") -> list[str]:
    """What the audit trail says of a breaker."""
    with db.read() as connection:
        return [row.event for row in audit.of(connection, workspace, provider)]


def test_the_list_is_as_documented(place: Place) -> None:
    """State and configuration; defaults are shown, an absent fallback is left out."""
    answer = place.door.call("GET", PATH)
    assert answer.status_code == 200, answer.text
    assert answer.json == {
        "circuit_breakers": [
            {
                "provider": "email",
                "state": "closed",
                "failure_threshold": 5,
                "success_threshold": 2,
                "recovery_timeout_seconds": 60,
                "fallback_provider": "webhook",
            },
            {
                "provider": "sms",
                "state": "closed",
                "failure_threshold": 2,
                "success_threshold": 2,
                "recovery_timeout_seconds": 3600,
            },
            {
                "provider": "wrong",
                "state": "closed",
                "failure_threshold": 1,
                "success_threshold": 2,
                "recovery_timeout_seconds": 60,
            },
        ]
    }


def test_trip_and_reset_answer_as_documented(place: Place) -> None:
    """The exact answers; who did it is in the audit trail."""
    answer = place.door.call("POST", f"{PATH}/email/trip")
    assert answer.status_code == 200, answer.text
    assert answer.json == {"provider": "email", "state": "open", "message": "circuit breaker tripped"}
    assert place.state("email") == "open"
    assert row_of("email").forced_by
    answer = place.door.call("POST", f"{PATH}/email/reset")
    assert answer.status_code == 200, answer.text
    assert answer.json == {"provider": "email", "state": "closed", "message": "circuit breaker reset"}
    assert place.state("email") == "closed"
    assert events("email", "default") == ["breaker.tripped", "breaker.reset"]


def test_who_may_see_and_turn_them(place: Place) -> None:
    """Operators and administrators see them; turning one needs a grant over all tenants, too."""
    door = place.door
    viewer, own = door.key("viewer"), door.key("operator")
    whole = door.key("operator", grants=({"tenants": ["*"]},))
    for method, path in (("GET", PATH), ("POST", f"{PATH}/email/trip"), ("POST", f"{PATH}/email/reset")):
        assert_problem(door.call(method, path, key=viewer), 403)
        assert_problem(door.call(method, path, key=None), 401)
        assert door.call(method, path, key=whole).status_code == 200
    assert door.call("GET", PATH, key=own).status_code == 200
    assert assert_problem(door.call("POST", f"{PATH}/email/trip", key=own), 403)["code"] == "not_granted"


def test_a_breaker_that_is_not_there_is_404(place: Place) -> None:
    """A provider without one, no provider, and any where none is configured at all."""
    for name in ("note", "nothing", "a%2Fb"):
        for way in ("trip", "reset"):
            assert_problem(place.door.call("POST", f"{PATH}/{name}/{way}"), 404)
    place.load(PROVIDERS.partition("circuit_breakers:")[0])
    assert_problem(place.door.call("GET", PATH), 404)
    assert_problem(place.door.call("POST", f"{PATH}/email/trip"), 404)
    assert events("note", "default") == []


def test_failures_that_could_pass_open_it(place: Place) -> None:
    """At the threshold nothing goes out any more; the trail has one row of it."""
    assert [place.send("sms")["outcome"] for _ in range(2)] == ["failed", "failed"]
    assert place.state("sms") == "open"
    outcome = place.send("sms")
    assert outcome["outcome"] == "circuit_open"
    assert (outcome["provider"], outcome["fallback_chain"]) == ("sms", [])
    assert events("sms") == ["breaker.opened"]
    with db.read() as connection:
        table = transitions.executions.c
        last = connection.execute(sa.select(transitions.executions).order_by(table.id.desc()).limit(1)).one()
    error = transitions.load(last.error)
    assert (last.status, error["code"], error["retryable"], last.attempt) == ("failed", "circuit_open", False, 1)
    assert not error["outcome_unknown"]


def test_failures_that_will_not_pass_count_for_nothing(place: Place) -> None:
    """A dispatch that cannot be sent says nothing about its receiver."""
    assert place.send("wrong")["outcome"] == "failed"
    assert row_of("wrong") is None


def test_a_success_in_between_starts_the_count_again(place: Place) -> None:
    """It is written only where failures are known."""
    place.send("sms")
    assert row_of("sms").failures == 1
    place.load(MENDED)
    place.send("sms")
    row = row_of("sms")
    assert (row.state, row.failures) == ("closed", 0)
    place.send("sms")
    assert row_of("sms").version == row.version
    assert events("sms") == []


def test_a_fallback_takes_its_place(place: Place) -> None:
    """The outcome and the record tell by which provider it went out, and the row of the execution why."""
    place.turn("email", "trip")
    outcome = place.send("email")
    assert outcome["outcome"] == "rerouted", outcome
    assert (outcome["original_provider"], outcome["new_provider"]) == ("email", "webhook")
    assert outcome["response"]["body"] == {"by": "webhook"}
    with db.read() as connection:
        row = transitions.get(connection, "default", outcome["action_id"])
        record = connection.execute(sa.select(audit.audit).where(audit.audit.c.outcome.is_not(None))).one()
    assert "The circuit breaker of email is open; it goes out by webhook." in row.logs
    assert (record.outcome, record.provider) == ("rerouted", "webhook")
    place.turn("email", "reset")
    assert place.send("email")["outcome"] == "failed"


def test_all_fallbacks_are_walked(place: Place) -> None:
    """When each of them is open the outcome names them in order; a disabled one lets nothing through."""
    chained = PROVIDERS.replace("  sms: {failure", "  webhook: {fallback_provider: sms}\n  sms: {failure")
    place.load(chained)
    for provider in ("email", "webhook", "sms"):
        place.turn(provider, "trip")
    outcome = place.send("email")
    assert outcome["outcome"] == "circuit_open"
    assert (outcome["provider"], outcome["fallback_chain"]) == ("email", ["webhook", "sms"])
    place.turn("sms", "reset")
    assert place.send("email")["outcome"] == "failed"
    assert row_of("sms").failures == 1
    place.load(PROVIDERS.replace("webhook: {kind: mock,", "webhook: {kind: mock, enabled: false,"))
    assert place.send("email")["fallback_chain"] == ["webhook"]


def test_a_fallback_may_stand_for_an_action(place: Place) -> None:
    """It gets the payload as the action's parameters; one whose values do not fit lets nothing through."""
    door = place.door
    door.create(
        id="act-note", parameters=[{"name": "to"}, {"name": "subject"}], config={"url": "http://127.0.0.1:1/{{ to }}"}
    )
    door.create(id="act-other", parameters=[{"name": "other", "required": True}])
    stands = "providers:\n  stand: {kind: action, action: act-note}\n  other: {kind: action, action: act-other}\n"
    place.load(
        PROVIDERS.replace("providers:\n", stands).replace("fallback_provider: webhook", "fallback_provider: stand")
    )
    place.turn("email", "trip")
    outcome = place.send("email")
    assert outcome["outcome"] == "failed", outcome
    assert "127.0.0.1" in outcome["error"]["message"]
    place.load(
        PROVIDERS.replace("providers:\n", stands).replace("fallback_provider: webhook", "fallback_provider: other")
    )
    outcome = place.send("email")
    assert (outcome["outcome"], outcome["fallback_chain"]) == ("circuit_open", ["other"])


STANDS = """\
providers:
  stand: {kind: action, action: act-stand}
  note: {kind: log, message: "{{ action_type }} {{ labels.team }} {{ payload.to }}"}
circuit_breakers:
  stand: {fallback_provider: note}
"""


def test_a_fallback_gets_the_dispatch_of_which_an_action_gets_the_payload(place: Place) -> None:
    """Type and labels are those of the step or the dispatch that names the provider which stands for the action."""
    place.door.create(id="act-stand", parameters=[{"name": "to"}])
    place.load(STANDS)
    place.turn("stand", "trip")
    call, labels = {"action_type": "tell", "payload": {"to": "x"}}, {"team": "blue"}
    given = {**call, "labels": labels}
    row = run(place, {"id": "tell", "type": "action", "action_ref": "provider:stand", "parameters": given})
    assert (row.status, row.output) == ("completed", '{"logged":"tell blue x"}')
    gate = gate_column.read(row.gate)
    assert gate is not None
    assert (gate.provider, gate.original_provider, gate.action_type) == ("note", "stand", "tell")
    outcome = place.send("stand", **call, metadata={"labels": labels})
    assert outcome["response"]["body"] == {"logged": "tell blue x"}


def test_probes_close_it_or_open_it_again(place: Place) -> None:
    """After the recovery time one call probes: a failure opens it again, two successes close it."""
    place.turn("sms", "trip")
    recover("sms")
    assert place.send("sms")["outcome"] == "failed"
    assert place.state("sms") == "open"
    assert place.send("sms")["outcome"] == "circuit_open"
    place.load(MENDED)
    recover("sms")
    assert place.send("sms")["outcome"] == "executed"
    assert place.state("sms") == "half_open"
    assert place.send("sms")["outcome"] == "executed"
    assert place.state("sms") == "closed"
    assert events("sms") == ["breaker.opened", "breaker.closed"]


def test_one_call_at_a_time_probes(place: Place) -> None:
    """While another has the probe nothing goes out; a lease that has lapsed is given to the next."""
    place.load(MENDED)
    place.turn("sms", "trip")
    recover("sms")
    _probe_by("disp-another", until=db.now_ms() + 60_000)
    assert place.send("sms")["outcome"] == "circuit_open"
    _probe_by("disp-another", until=db.now_ms() - 1)
    assert place.send("sms")["outcome"] == "executed"


def _probe_by(execution_id: str, until: int) -> None:
    with db.write() as connection:
        mine = breakers.breakers.c.provider == "sms"
        values = {"state": "half_open", "probe_by": execution_id, "probe_until": until}
        more = {"version": breakers.breakers.c.version + 1}
        connection.execute(sa.update(breakers.breakers).where(mine).values(**values, **more))
    follow.Follower("another").see_breakers()


def test_a_probe_that_calls_nobody_is_given_back(place: Place) -> None:
    """The next call may probe at once."""
    refers = 'email: {kind: http, url: "http://127.0.0.1:1/", headers: {Authorization: "Bearer ${NO_SUCH_TOKEN}"},'
    place.turn("email", "trip")
    place._monkeypatch.setenv("NO_SUCH_TOKEN", "t")
    place.load(PROVIDERS.replace("email: {kind: mock, behaviour: fail,", refers))
    place._monkeypatch.delenv("NO_SUCH_TOKEN")
    recover("email")
    assert place.send("email")["error"]["code"] == "environment"
    row = row_of("email")
    assert (row.state, row.probe_by, row.probe_until) == ("half_open", None, None)


def test_another_process_learns_what_it_must(place: Place) -> None:
    """A count of failures by news, an opening with the edition; late news changes nothing."""
    place.send("sms")
    assert circuits.known()["sms"].failures == 1
    circuits.forget()
    follower = follow.Follower("another")
    follower.see_breakers()
    assert circuits.known()["sms"].failures == 1
    place.send("sms")
    held, state = current.held().number, circuits.known()["sms"]
    assert state.state == "open"
    circuits.put({"sms": Breaker(failures=1, version=1)})
    assert circuits.known()["sms"] == state
    circuits.forget()
    follow.look()
    assert current.held().number == held + 1
    assert circuits.known()["sms"] == state


def statements(place: Place, provider: str) -> list[str]:
    """The statements of one attempt at a dispatch."""
    seen: list[str] = []
    answer = send(place.door, body(provider=provider), headers={"Prefer": "respond-async"})

    mine = threading.get_ident()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if threading.get_ident() == mine:  # the publisher has statements of its own
            seen.append(statement)

    sa.event.listen(db.engine(), "before_cursor_execute", note)
    try:
        action.attempt(answer.json["execution_id"])
    finally:
        sa.event.remove(db.engine(), "before_cursor_execute", note)
    return seen


def test_a_closed_breaker_costs_nothing(place: Place) -> None:
    """An attempt makes the statements that it makes without a breaker."""
    place.load(MENDED)
    place.send("sms")
    with_breaker = statements(place, "sms")
    place.load(MENDED.partition("circuit_breakers:")[0])
    place.send("sms")
    assert with_breaker == statements(place, "sms")
    assert not [text for text in with_breaker if "breakers" in text]


RULE = """\
rules:
  - name: by-email
    origins: [step]
    condition: {field: action.action_type, eq: act-tell}
    action: {type: reroute, target_provider: email}
"""


#: a step that the rule sends to the provider email
TELL = {"id": "tell", "type": "action", "action_ref": "act-tell", "parameters": {"to": "x"}}


def run(place: Place, step: dict[str, Any] = TELL) -> Any:
    """Carry out a playbook of this one step; the step's row."""
    playbook = place.door.create_playbook(name=f"Tell {new_id('x')}", steps=[step])
    request = run_start.RunRequest(workspace_id="default", actor="test", playbook_id=playbook["id"])
    run_id = run_start.start(request).run_id
    steps.begin.apply(args=[run_id]).get()
    with db.read() as connection:
        return transitions.get(connection, "default", f"{run_id}.tell")


def test_a_step_by_a_provider_passes_its_breaker(place: Place) -> None:
    """Its failures count, its end tells of a fallback, and an open breaker fails it."""
    config = {"kind": "slack", "url": "https://hooks.slack.com/services/T/B/x", "text": "{{ to }}"}
    kind = {"type": "notification", "executor": "notification"}
    place.door.create(id="act-tell", parameters=[{"name": "to"}], retry={"max_attempts": 1}, config=config, **kind)
    place.load(PROVIDERS, rules=RULE)
    assert run(place).status == "failed"
    assert row_of("email").failures == 1
    place.turn("email", "trip")
    row = run(place)
    gate = gate_column.read(row.gate)
    assert row.status == "completed", row.error
    assert gate is not None
    assert (gate.origin, gate.rule, gate.provider, gate.original_provider) == ("step", "by-email", "webhook", "slack")
    place.load(PROVIDERS.replace("email: {fallback_provider: webhook}", "email:"))
    row = run(place)
    assert (row.status, transitions.load(row.error)["code"]) == ("failed", "circuit_open")
    place.turn("email", "reset")
    assert run(place).status == "failed"
    assert row_of("email").failures == 1


def test_a_database_from_a_backup_brings_its_breakers(place: Place) -> None:
    """A breaker that was open in the backup is obeyed at once, one that the backup does not have is forgotten."""
    place.turn("sms", "trip")
    circuits.put({"email": Breaker(state="open", version=99)})
    with db.write() as connection:
        connection.execute(configurations.in_force.update().values(edition=current.held().number - 1))
    follow.look()
    assert {provider: one.state for provider, one in circuits.known().items()} == {"sms": "open"}
