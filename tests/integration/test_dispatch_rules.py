"""What the rules make of dispatches: one answer for each verdict, and what is kept."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.requests import Dispatch
from store.access import Caller
from store.audit import audit
from store.engine import db
from store.engine.db import IntegrityError
from store.executions import transitions
from tasks.attempts import action as attempts
from tasks.intake.dispatches import accept, batch
from tasks.intake.dispatches.rows import Asked
from tests.support import dispatching
from tests.support.api import Door
from tests.support.dispatching import body, send

PROVIDERS = """\
providers:
  drill: {kind: mock, behaviour: answer, answer: {sent: true}}
  other: {kind: log, message: "{{ payload.subject }} {{ payload.footer | default('') }}"}
  respond: {kind: playbook, playbook: pb-respond}
  isolate: {kind: action, action: act-isolate}
"""
CHAINS = """\
chains:
  - name: two
    steps:
      - {name: first, provider: drill, action_type: look, payload_template: {host: "{{ origin.payload.subject }}"}}
      - {name: second, provider: other, action_type: tell, payload_template: {subject: "{{ prev.sent }}"}}
"""
RULES = """\
rules:
  - {name: no, condition: {field: action.action_type, eq: denied}, action: {type: deny, reason: never}}
  - {name: hush, condition: {field: action.action_type, eq: suppressed}, action: {type: suppress, reason: a test}}
  - {name: once, condition: {field: action.action_type, eq: once}, action: {type: deduplicate, ttl_seconds: 60}}
  - name: two-a-minute
    condition: {field: action.action_type, eq: limited}
    action: {type: throttle, max_count: 2, window_seconds: 60}
  - name: paced
    condition: {field: action.action_type, eq: paced}
    action: {type: throttle, max_count: 1, window_seconds: 2, on_excess: wait, max_wait_seconds: 60}
  - {name: away, condition: {field: action.action_type, eq: away}, action: {type: reroute, target_provider: other}}
  - name: marked
    condition: {field: action.action_type, eq: marked}
    action: {type: modify, changes: {footer: F, to: null}}
  - {name: later, condition: {field: action.action_type, eq: later}, action: {type: schedule, delay_seconds: 1}}
  - {name: chained, condition: {field: action.action_type, eq: chained}, action: {type: chain, chain_name: two}}
  - name: watched
    mode: shadow
    condition: {field: action.action_type, eq: watched}
    action: {type: suppress}
"""


@pytest.fixture
def everywhere(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each kind of database, with rules of every kind."""
    door = Door()
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES, chains=CHAINS)
    yield door
    dispatching.forget()


def executions() -> list[Any]:
    """All executions."""
    with db.read() as connection:
        return list(connection.execute(transitions.executions.select().order_by(transitions.executions.c.id)))


def outcomes() -> list[str]:
    """The outcomes of all records."""
    with db.read() as connection:
        found = connection.execute(audit.select().where(audit.c.outcome.is_not(None)).order_by(audit.c.id))
        return [row.outcome for row in found]


@pytest.mark.parametrize(("word", "rule", "denied"), [("denied", "no", True), ("suppressed", "hush", None)])
def test_what_a_rule_stops_makes_no_execution(everywhere: Door, word: str, rule: str, denied: bool | None) -> None:
    """The answer names rule and reason, and there is one record of it."""
    answer = send(everywhere, body(action_type=word, id="d-1"))
    assert answer.status_code == 200, answer.text
    assert (answer.json["outcome"], answer.json["rule"]) == ("suppressed", rule)
    assert answer.json.get("denied") == denied
    again = send(everywhere, body(action_type=word, id="d-1"))
    assert again.json == answer.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert not executions()
    assert outcomes() == ["suppressed"]


def test_an_equal_dispatch_is_deduplicated(everywhere: Door) -> None:
    """Within the time the second is told which went out, alone and within one batch."""
    with dispatching.working():
        first = send(everywhere, body(action_type="once"))
        second = send(everywhere, body(action_type="once"))
        many = send(everywhere, [body(action_type="once", payload={"n": 1})] * 3, "/v1/dispatch/batch")
    assert first.json["outcome"] == "executed"
    assert second.json["outcome"] == "deduplicated"
    assert second.json["of"] == first.json["action_id"]
    assert [one["outcome"]["outcome"] for one in many.json] == ["executed", "deduplicated", "deduplicated"]
    assert len(executions()) == 2
    assert sorted(outcomes()) == ["deduplicated"] * 3 + ["executed"] * 2


@pytest.mark.parametrize("by", ["key", "id"])
def test_batches_that_cross_do_not_wait_in_a_circle(everywhere: Door, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """Two batches of the same dispatches in opposite orders: each is written, and answered in its own order."""
    monkeypatch.setattr("tasks.messages.publisher.publish_after_commit", lambda *_: None)
    broken: list[Exception] = []
    for module, name in ((batch, "write"), (batch.dispatch_gate, "carried_out"), (batch.dispatch_ids, "remember")):
        monkeypatch.setattr(module, name, _slowly(getattr(module, name), broken))
    caller = Caller(key_id="key", workspace_id="default", role="admin", permissions=frozenset())
    together, answers = threading.Barrier(2, timeout=30), dict[tuple[int, int], list[Any]]()

    def send_them(sender: int) -> None:
        for number in range(3):
            places = [f"{number}-{place}" for place in range(6)][:: 1 - 2 * sender]
            word = "once" if by == "key" else "as it is"
            ids = {place: place if by == "id" else None for place in places}
            them = [body(action_type=word, payload={"n": place}, id=ids[place]) for place in places]
            asked = [Asked(caller=caller, dispatch=Dispatch(**one)) for one in them]
            together.wait()
            answers[number, sender] = [one.asked.dispatch.payload["n"] for one in accept.accept(asked)]
            assert answers[number, sender] == places

    threads = [threading.Thread(target=send_them, args=(sender,), daemon=True) for sender in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 6
    assert len(executions()) == 18
    assert not [error for error in broken if not isinstance(error, IntegrityError)]


def _slowly(work: Any, broken: list[Exception]) -> Any:
    """The same, a little later; what it raises is noted."""

    def do(*given: Any, **more: Any) -> Any:
        time.sleep(0.003)
        try:
            return work(*given, **more)
        except Exception as error:
            broken.append(error)
            raise

    return do


def _answer_nothing(listener: socket.socket, times: int) -> None:
    """A receiver that takes so many calls, answers none, and is then gone."""
    for _ in range(times):
        taken, _ = listener.accept()
        taken.recv(65_536)
        taken.close()
    listener.close()


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_an_equal_dispatch_waits_for_the_time_of_a_key_in_doubt(
    everywhere: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, taken: int
) -> None:
    """The receiver took a call and never answered; that the retry got no connection does not undo it."""
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    once = "retry: {max_attempts: 2, backoff_seconds: 0}, idempotent: true"
    lossy = f"  lossy: {{kind: http, url: 'http://127.0.0.1:{port}/', {once}}}\n"
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS + lossy, rules=RULES, chains=CHAINS)
    receiver = threading.Thread(target=_answer_nothing, args=(listener, taken), daemon=True)
    receiver.start()
    sent = body(action_type="once", provider="lossy")
    first = send(everywhere, sent, headers={"Prefer": "respond-async"}).json["action_id"]
    ends = [attempts.attempt(first).status for _ in range(2)]
    receiver.join(10)
    assert ends == ["waiting", "failed"]
    error = transitions.load(executions()[0].error)
    assert (error["code"], error["outcome_unknown"]) == ("connection_failed", False)
    assert error.get("effect_possible", False) is (taken == 2)
    second = send(everywhere, sent, headers={"Prefer": "respond-async"}).json
    assert second["outcome"] == ("deduplicated" if taken else "accepted")
    assert second.get("of") == (first if taken else None)


def test_a_limit_throttles(everywhere: Door) -> None:
    """Beyond it the answer says when, also as a header; the same id may be sent again."""
    with dispatching.working():
        answers = [send(everywhere, body(action_type="limited", id=f"t-{number}")) for number in range(4)]
        again = send(everywhere, body(action_type="limited", id="t-3"))
    assert [one.json["outcome"] for one in answers] == ["executed", "executed", "throttled", "throttled"]
    assert 0 < answers[2].json["retry_after_seconds"] <= 60
    assert answers[2].headers["Retry-After"] == str(answers[2].json["retry_after_seconds"])
    assert again.json["outcome"] == "throttled"
    assert "Idempotency-Replayed" not in again.headers


def test_a_paced_limit_gives_each_its_slot(everywhere: Door) -> None:
    """The second waits for its own time."""
    answer = send(
        everywhere, [body(action_type="paced")] * 3, "/v1/dispatch/batch", headers={"Prefer": "respond-async"}
    )
    assert answer.status_code == 202
    rows = executions()
    assert [row.status for row in rows] == ["pending", "waiting", "waiting"]
    apart = rows[2].due_at - rows[1].due_at
    assert 1_900 <= apart <= 2_100
    assert not outcomes()


def test_a_dispatch_is_rerouted(everywhere: Door) -> None:
    """The answer names both providers; the other one's revision carries it out."""
    with dispatching.working():
        answer = send(everywhere, body(action_type="away"))
    assert answer.json["outcome"] == "rerouted"
    assert (answer.json["original_provider"], answer.json["new_provider"]) == ("drill", "other")
    assert answer.json["response"]["body"] == {"logged": "Hello! "}
    assert outcomes() == ["rerouted"]


def test_a_dispatch_is_modified(everywhere: Door) -> None:
    """Its payload is changed before it goes out."""
    with dispatching.working():
        answer = send(everywhere, body(action_type="marked", provider="other"))
    assert answer.json["response"]["body"] == {"logged": "Hello! F"}


def test_a_dispatch_is_scheduled(everywhere: Door) -> None:
    """The answer says when; until then it waits."""
    answer = send(everywhere, body(action_type="later"))
    assert answer.json["outcome"] == "scheduled"
    (row,) = executions()
    assert (row.status, row.waiting_for) == ("waiting", "delay")
    assert answer.json["scheduled_for"].endswith("Z")


def test_a_dispatch_starts_a_chain(everywhere: Door) -> None:
    """The answer names the run, which carries out its steps by their providers."""
    from tests.support.driven import drive

    answer = send(everywhere, body(action_type="chained"))
    assert answer.status_code == 200, answer.text
    told = answer.json
    assert (told["outcome"], told["chain_name"], told["total_steps"], told["first_step"]) == (
        "chain_started",
        "two",
        2,
        "first",
    )
    assert drive(told["chain_id"]) == "completed"
    steps = [row for row in executions() if row.kind == "step"]
    assert [(row.step_id, row.action_id, row.status) for row in steps] == [
        ("first", "provider:drill", "completed"),
        ("second", "provider:other", "completed"),
    ]


def test_a_chain_is_recorded_under_the_id_of_the_answer(everywhere: Door) -> None:
    """So is its replay, whose answer is the same each time."""
    told = send(everywhere, body(action_type="chained")).json
    first, again = (everywhere.call("POST", f"/v1/audit/{told['action_id']}/replay").json for _ in "12")
    assert first == again
    assert first["action_id"] not in (told["action_id"], first["chain_id"])
    for answer in (told, first):
        record = everywhere.call("GET", f"/v1/audit/{answer['action_id']}").json
        assert (record["outcome"], record["chain_id"]) == ("chain_started", answer["chain_id"])


def test_a_shadow_rule_changes_nothing_but_the_account(everywhere: Door) -> None:
    """It goes out, and what the rule would have done is noted."""
    with dispatching.working():
        answer = send(everywhere, body(action_type="watched"))
    assert answer.json["outcome"] == "executed"
    (row,) = executions()
    assert '"watched"' in row.gate


def test_a_dry_run_names_the_rule(everywhere: Door) -> None:
    """It says verdict, rule and provider."""
    answer = send(everywhere, body(action_type="away"), "/v1/dispatch?dry_run=true")
    assert answer.json["verdict"] == "reroute"
    assert (answer.json["matched_rule"], answer.json["would_be_provider"]) == ("away", "other")
    assert not executions()
    assert not outcomes()


def test_a_provider_stands_for_an_action(everywhere: Door) -> None:
    """Its payload is the action's parameters: checked, and the secret ones sealed."""
    secret = {"name": "token", "type": "secret", "required": True}
    host = {"name": "host", "type": "string", "required": True}
    everywhere.create(id="act-isolate", name="Isolate", type="containment", parameters=[host, secret])
    faulty = send(everywhere, body(provider="isolate", payload={"host": 5}))
    assert faulty.status_code == 422, faulty.text
    assert {one["pointer"] for one in faulty.json["errors"]} == {"/payload/host", "/payload/token"}
    taken = body(provider="isolate", payload={"host": "h1", "token": "hunter2-hunter2"})
    answer = send(everywhere, taken, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    (row,) = executions()
    assert row.queue in ("urgent", "bulk")
    assert "hunter2" not in row.input
    assert row.sealed is not None
    with dispatching.working():
        told = everywhere.call("GET", f"{answer.headers['Location']}?wait=10").json
    assert told["outcome"] == "failed"  # nobody listens at its URL
    assert told["error"]["code"] != "sealed"


def test_a_provider_starts_a_playbook(everywhere: Door) -> None:
    """The answer names the run; one that cannot be started is a failure."""
    missing = send(everywhere, body(provider="respond"), headers={"Prefer": "wait=0"})
    everywhere.create_playbook(id="pb-respond", name="Respond")
    from tasks.intake import started_runs

    started_runs.install()
    with dispatching.working():
        answer = send(everywhere, body(provider="respond", payload={}))
    assert answer.json["outcome"] == "executed", answer.text
    run_id = answer.json["response"]["body"]["execution_id"]
    assert [row.cause for row in executions() if row.id == run_id] == ["dispatch"]
    assert missing.status_code == 202


def test_a_playbook_step_names_a_provider(everywhere: Door) -> None:
    """It is pinned when the run begins and called with the step's payload; an unknown one is refused with a hint."""
    from tests.support.driven import drive

    step = {
        "id": "tell",
        "type": "action",
        "action_ref": "provider:other",
        "parameters": {"action_type": "tell", "payload": {"subject": "{{ parameters.word }}"}},
    }
    word = {"name": "word", "type": "string"}
    playbook = everywhere.create_playbook(name="Tell", parameters=[word], steps=[step])
    run = {"parameters": {"word": "now"}}
    started = everywhere.call("POST", f"/api/playbooks/{playbook['id']}/run", json=run)
    assert started.status_code == 202, started.text
    assert drive(started.json["data"]["execution_id"]) == "completed"
    (told,) = [row for row in executions() if row.kind == "step"]
    assert told.output == '{"logged":"now "}'
    wrong = {"name": "Wrong", "steps": [{**step, "action_ref": "provider:othr"}]}
    refused = everywhere.call("POST", "/api/playbooks", json=wrong)
    assert refused.status_code == 400
    assert "provider:other" in refused.text


def test_an_author_of_a_step_by_a_provider_may_dispatch(everywhere: Door) -> None:
    """Writing such a playbook takes the right to dispatch."""
    step = {
        "id": "tell",
        "type": "action",
        "action_ref": "provider:other",
        "parameters": {"action_type": "tell", "payload": {}},
    }
    key = everywhere.key("operator", scopes=("write:playbooks", "read:playbooks"))
    refused = everywhere.call("POST", "/api/playbooks", key, json={"name": "Tell", "steps": [step]})
    assert refused.status_code == 403
    assert "dispatch" in refused.json["message"]
