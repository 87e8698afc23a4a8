"""``POST /v1/dispatch``: what a sender is told, and what is kept of it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.engine import db
from store.executions import recovery, transitions
from tests.support import dispatching
from tests.support.api import PASSWORD, Door, assert_problem
from tests.support.dispatching import body, send
from tests.support.waiting import eventually

PROVIDERS = """\
providers:
  drill: {kind: mock, behaviour: answer, answer: {sent: true}}
  broken: {kind: mock, behaviour: fail, retry: {max_attempts: 1, backoff_seconds: 0}}
  note: {kind: log, message: "{{ payload.to }}"}
  off: {kind: mock, enabled: false}
"""


@pytest.fixture
def everywhere(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each kind of database, with providers."""
    door = Door()
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS)
    yield door
    dispatching.forget()


def test_a_dispatch_is_answered_with_its_outcome(everywhere: Door) -> None:
    """The answer has what the provider answered."""
    with dispatching.working():
        answer = send(everywhere)
    assert answer.status_code == 200, answer.text
    assert answer.json["outcome"] == "executed"
    assert answer.json["response"] == {"status": "success", "body": {"sent": True}}
    with db.read() as connection:
        row = transitions.get(connection, "default", answer.json["action_id"])
    assert (row.kind, row.action_id, row.status) == ("dispatch", "provider:drill", "completed")


def test_ended_dispatches_are_forgotten(everywhere: Door) -> None:
    """Retention deletes those that have ended, and leaves those that wait."""
    with dispatching.working():
        ended = send(everywhere).json["action_id"]
    waiting = send(everywhere, headers={"Prefer": "respond-async"}).json["execution_id"]
    with db.write() as connection:
        assert recovery.forget(connection, before=db.now_ms() + 1000) == 1
    with db.read() as connection:
        assert transitions.states(connection, [ended, waiting]) == {waiting: ("pending", 0)}


def test_an_unknown_provider_is_named(everywhere: Door) -> None:
    """404 with the words of the document."""
    problem = assert_problem(send(everywhere, body(provider="sms")), 404)
    assert problem["message"] == "Provider not found: sms"
    assert problem["errors"] == [{"pointer": "/provider", "detail": "GET /v1/providers lists them"}]
    near = assert_problem(send(everywhere, body(provider="dril")), 404)
    assert near["message"] == "Provider not found: dril"
    [told] = near["errors"]
    assert told["detail"] == "did you mean 'drill'? GET /v1/providers lists them"


def test_a_failing_provider_is_told_with_its_error(everywhere: Door) -> None:
    """After the last attempt the outcome has code, message, whether it may pass, and the attempts."""
    with dispatching.working():
        answer = send(everywhere, body(provider="broken"))
    assert answer.status_code == 200, answer.text
    assert answer.json["outcome"] == "failed"
    error = answer.json["error"]
    assert (error["code"], error["retryable"], error["attempts"]) == ("mock_failure", True, 1)
    assert "mock provider" in error["message"]


def test_a_disabled_provider_takes_nothing(everywhere: Door) -> None:
    """It is refused by name."""
    problem = assert_problem(send(everywhere, body(provider="off")), 409)
    assert problem["code"] == "provider_disabled"


def test_the_same_id_makes_one_dispatch(everywhere: Door) -> None:
    """Sent again it has the outcome of the first; another body under it is refused."""
    with dispatching.working():
        first = send(everywhere, body(id="a-1"))
        again = send(everywhere, body(id="a-1"))
    assert first.json["action_id"] == "a-1"
    assert again.json == first.json
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    problem = assert_problem(send(everywhere, body(id="a-1", action_type="other")), 409)
    assert problem["code"] == "id_reused"
    with db.read() as connection:
        rows = connection.execute(transitions.executions.select()).all()
    assert len(rows) == 1


def test_a_sender_may_not_wait(everywhere: Door) -> None:
    """202 with an address, where the outcome can be asked for later."""
    answer = send(everywhere, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    execution_id = answer.json["execution_id"]
    assert answer.json == {"outcome": "accepted", "action_id": execution_id, "execution_id": execution_id}
    address = answer.headers["Location"]
    assert everywhere.call("GET", address).json["outcome"] == "accepted"
    with dispatching.working():
        later = everywhere.call("GET", f"{address}?wait=5")
    assert later.json["outcome"] == "executed"
    assert everywhere.call("GET", address, everywhere.key(workspace="other")).status_code == 404


def test_a_wait_ends_at_its_time(everywhere: Door) -> None:
    """Nobody carries it out: the answer comes after the time that the sender has."""
    answer = send(everywhere, headers={"Prefer": "wait=1"})
    assert answer.status_code == 202, answer.text


def test_many_wait_for_one_dispatch(everywhere: Door) -> None:
    """Each reader has the end as soon as it is there; one that gives up leaves the others."""
    execution_id = send(everywhere, headers={"Prefer": "respond-async"}).json["execution_id"]
    took: dict[int, tuple[str, float]] = {}

    def ask(seconds: int) -> None:
        began = time.monotonic()
        asked = everywhere.app.test_client().get(
            f"/v1/dispatch/{execution_id}?wait={seconds}", headers={"Authorization": f"Bearer {everywhere.admin}"}
        )
        took[seconds] = asked.json["outcome"], time.monotonic() - began

    waits = everywhere.app.extensions["tocsin.ends"]
    readers = []
    for number, seconds in enumerate((30, 1, 29), 1):
        readers.append(threading.Thread(target=ask, args=[seconds]))
        readers[-1].start()
        eventually(lambda number=number: waits._places == number, 5, "it waits")
    readers[1].join(10)
    with dispatching.working():
        readers[0].join(20)
        readers[2].join(20)
    assert {seconds: outcome for seconds, (outcome, _) in took.items()} == {
        1: "accepted",
        30: "executed",
        29: "executed",
    }
    assert all(took[seconds][1] < 20 for seconds in (29, 30))
    assert not waits._of


def test_no_more_wait_than_may(everywhere: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender beyond the bound is answered at once."""
    from config.settings import settings

    monkeypatch.setenv("TOCSIN_DISPATCH_WAITERS", "0")
    settings.cache_clear()
    assert send(everywhere).status_code == 202


def test_a_batch_is_answered_in_order_and_in_its_form(everywhere: Door) -> None:
    """A fault of one is its own; a list is answered with a list."""
    items = [body(), body(provider="sms"), body(provider="broken"), body(payload=3), body(id="x"), body(id="x")]
    with dispatching.working():
        answer = send(everywhere, {"actions": items}, "/v1/dispatch/batch")
        bare = send(everywhere, items[:2], "/v1/dispatch/batch")
    assert answer.status_code == 200, answer.text
    results = answer.json["results"]
    assert [one["status"] for one in results] == ["success", "error", "success", "error", "success", "success"]
    assert results[0]["outcome"]["outcome"] == "executed"
    assert results[1]["error"]["message"] == "Provider not found: sms"
    assert results[2]["outcome"]["outcome"] == "failed"
    assert "/payload" in results[3]["error"]["message"]
    assert results[4]["outcome"] == results[5]["outcome"]
    assert [one["status"] for one in bare.json] == ["success", "error"]


def test_existing_clients_get_tagged_outcomes(everywhere: Door) -> None:
    """Under /compat/v1 the outcomes are written as they read them."""
    with dispatching.working():
        one = send(everywhere, path="/compat/v1/dispatch")
        many = send(everywhere, [body(), body(provider="sms")], "/compat/v1/dispatch/batch")
    assert one.json == {"Executed": {"status": "success", "body": {"sent": True}, "headers": {}}}
    assert many.json[0] == one.json
    assert many.json[1] == {
        "error": {"code": "provider_not_found", "message": "Provider not found: sms", "retryable": False}
    }


def test_existing_clients_find_the_rest_of_the_gateway(everywhere: Door) -> None:
    """Rules are a bare list below /compat; everything else has the form that it has without."""
    user = everywhere.user()
    given = {"username": user, "password": PASSWORD}
    token = everywhere.call("POST", "/compat/v1/auth/login", key=None, json=given).json["token"]
    assert everywhere.call("GET", "/compat/v1/rules", token).json == everywhere.call("GET", "/v1/rules").json["rules"]
    for path in ("/v1/rules/history", "/v1/providers", "/v1/audit", "/admin/circuit-breakers"):
        one, other = everywhere.call("GET", path, token), everywhere.call("GET", f"/compat{path}", token)
        assert (other.status_code, other.json.keys()) == (one.status_code, one.json.keys()), path
    whole = everywhere.key(grants=[{"tenants": ["*"]}])
    assert everywhere.call("POST", "/compat/v1/rules/reload", whole).json["errors"] == []
    assert everywhere.call("POST", "/compat/v1/auth/logout", token).status_code == 200
    assert_problem(everywhere.call("GET", "/compat/v1/rules", None), 401)


def test_a_dry_run_touches_nothing(everywhere: Door) -> None:
    """It says what would be, and neither accepts nor records."""
    one = send(everywhere, path="/v1/dispatch?dry_run=true")
    assert one.status_code == 200, one.text
    many = send(everywhere, {"actions": [body(), body(provider="sms")]}, "/v1/dispatch/batch?dry_run=true")
    assert (one.json["outcome"], one.json["verdict"], one.json["would_be_provider"]) == ("dry_run", "allow", "drill")
    assert one.json["matched_rule"] is None
    assert [item["status"] for item in many.json["results"]] == ["success", "error"]
    with db.read() as connection:
        assert not connection.execute(transitions.executions.select()).all()


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"namespace": None}, "/namespace"),
        ({"tenant": 5}, "/tenant"),
        ({"provider": "p" * 129}, "/provider"),
        ({"action_type": "a\u0007"}, "/action_type"),
        ({"payload": []}, "/payload"),
        ({"payloads": {}}, "/payloads"),
        ({"template": "x"}, "/template"),
        ({"metadata": {"labels": {"a": 1}}}, "/metadata/labels/a"),
        ({"metadata": {"labels": {}, "b": "c"}}, "/metadata/b"),
        ({"starts_at": "2026-01-15T11:00:00Z", "ends_at": "2026-01-15T10:00:00Z"}, "/ends_at"),
        ({"starts_at": "2026-01-15 11:00"}, "/starts_at"),
        ({"id": ""}, "/id"),
    ],
)
def test_faults_are_named(door: Door, more: dict[str, object], pointer: str) -> None:
    """Each fault of a dispatch is told with the place of its member."""
    problem = assert_problem(send(door, body(**more)), 400)
    assert pointer in [one["pointer"] for one in problem["errors"]], problem


@pytest.mark.parametrize("given", [{}, {"actions": []}, [], {"actions": [{}] * 1001}, {"actions": {}}, {"action": []}])
def test_a_batch_that_is_none_is_refused(door: Door, given: object) -> None:
    """Empty, too long, or something else."""
    assert_problem(send(door, given, "/v1/dispatch/batch"), 400)


def test_a_payload_is_bounded(door: Door) -> None:
    """More than 1 MiB is 413, in a batch a fault of its item; nested deeper than 32 is 400."""
    assert_problem(send(door, body(payload={"a": "x" * 1024 * 1024})), 413)
    batch = send(door, [body(payload={"a": "x" * 1024 * 1024}), 5], "/v1/dispatch/batch")
    assert "/payload" in batch.json[0]["error"]["message"]
    deep: object = {}
    for _ in range(33):
        deep = {"a": deep}
    assert_problem(send(door, body(payload=deep)), 400)


def test_a_foreign_tenant_is_refused(door: Door) -> None:
    """From the grants alone, whether there is such a tenant or not."""
    assert_problem(send(door, body(tenant="other")), 403)
    assert_problem(send(door, body(tenant="'; DROP TABLE executions; --")), 403)
    batch = send(door, [body(tenant="../other")], "/v1/dispatch/batch")
    assert batch.json[0]["error"]["code"] == "not_granted"
