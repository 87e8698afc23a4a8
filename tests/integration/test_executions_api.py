"""Following executions: waiting for news, repeating a trigger safely, deciding, cancelling, finding."""

import threading
import time

import pytest

from api.actions import examples, schemas
from api.http.long_poll import Watcher
from store.engine import db
from store.executions import transitions
from tests.support.api import Door, assert_problem, carry_out
from tests.support.waiting import eventually


def test_a_waiting_reader_hears_of_the_next_step(door: Door) -> None:
    """``wait`` answers as soon as the state differs from the one at the time of the request."""
    execution_id = door.trigger(door.create()["id"])
    worker = threading.Timer(0.3, carry_out, (execution_id,))
    before = time.monotonic()
    worker.start()
    shown = door.call("GET", f"/api/actions/executions/{execution_id}?wait=20").json["data"]
    worker.join()
    assert shown["status"] in ("running", "completed")
    assert 0.2 < time.monotonic() - before < 15


def test_a_waiting_reader_is_answered_when_its_time_is_over(door: Door) -> None:
    """Without news the answer is the state as it is."""
    execution_id = door.trigger(door.create()["id"])
    before = time.monotonic()
    shown = door.call("GET", f"/api/actions/executions/{execution_id}?wait=0.3").json["data"]
    assert (shown["status"], time.monotonic() - before >= 0.3) == ("pending", True)


def test_a_reader_of_what_has_ended_does_not_wait(door: Door) -> None:
    """A terminal state has no news to wait for."""
    execution_id = door.trigger(door.create()["id"])
    carry_out(execution_id)
    before = time.monotonic()
    assert door.call("GET", f"/api/actions/executions/{execution_id}?wait=30").status_code == 200
    assert time.monotonic() - before < 10


def test_a_stopping_process_answers_its_waiting_readers(door: Door) -> None:
    """A process that is about to stop answers at once."""
    execution_id = door.trigger(door.create()["id"])
    watcher = Watcher()
    reader = threading.Thread(target=watcher.wait, args=(execution_id, ("pending", 0), 30))
    reader.start()
    watcher.draining = True
    reader.join(10)
    assert not reader.is_alive()


def test_one_question_serves_all_waiting_readers(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers of many executions share the watcher's query; each receives its own news only."""
    asked: list[int] = []
    real = transitions.states
    monkeypatch.setattr(transitions, "states", lambda c, ids: (asked.append(len(set(ids))), real(c, ids))[1])
    action_id, watcher = door.create()["id"], Watcher()
    ids = [door.trigger(action_id) for _ in range(8)]
    readers = [threading.Thread(target=watcher.wait, args=(one, ("pending", 0), 60)) for one in ids]
    for reader in readers:
        reader.start()
    eventually(lambda: 8 in asked, 20, "one question for all")
    carry_out(ids[0])
    readers[0].join(20)
    assert sum(reader.is_alive() for reader in readers) == 7
    watcher.draining = True
    for reader in readers:
        reader.join(20)
    assert not any(reader.is_alive() for reader in readers)


def test_a_repeated_trigger_makes_one_execution(door: Door) -> None:
    """The same Idempotency-Key answers the same execution and says that it was replayed; another body is refused."""
    path = f"/api/actions/{door.create()['id']}/trigger"
    headers = {"Idempotency-Key": "alert-4711"}
    first = door.call("POST", path, json={"parameters": {}}, headers=headers)
    again = door.call("POST", path, json={"parameters": {}}, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json == first.json
    other = door.call("POST", path, json={"parameters": {}, "target": "a-1"}, headers=headers)
    assert assert_problem(other, 422)["code"] == "idempotency_key_reused"
    assert door.call("GET", "/api/actions/executions").json["meta"]["total"] == 1


def test_what_is_shown_is_documented(door: Door) -> None:
    """An execution has the members of its example, in full and in a list, and the OpenAPI document has each of them."""
    execution_id = door.trigger(door.create()["id"])
    one = door.call("GET", f"/api/actions/executions/{execution_id}").json["data"]
    [listed] = door.call("GET", "/api/actions/executions").json["data"]
    assert one.keys() == examples.EXECUTION.keys(), "see api/actions/examples.py"
    assert listed.keys() == examples.ITEM.keys(), "see api/actions/examples.py"
    assert one.keys() <= schemas.Execution().fields.keys(), "see api/actions/schemas.py"
    assert listed.keys() <= schemas.ExecutionItem().fields.keys(), "see api/actions/schemas.py"


def test_an_approval_is_decided_once(door: Door) -> None:
    """An execution that waits for approval ends with the first decision, which says who and why."""
    action_id = door.create(name="Ask", type="approval", executor="approval", config={"message": "May I?"})["id"]
    for word, status in (("approve", "completed"), ("reject", "failed")):
        execution_id = door.trigger(action_id)
        carry_out(execution_id, "waiting", output={}, waiting_for="approval", due_at=db.now_ms() + 60_000)
        path = f"/api/actions/executions/{execution_id}"
        waiting = door.call("GET", path).json["data"]
        assert (waiting["status"], waiting["waiting_for"]) == ("waiting", "approval")
        assert waiting["waiting_until"] > waiting["created_at"]
        decided = door.call("POST", f"{path}/{word}", json={"note": "seen"})
        assert decided.status_code == 200, decided.text
        shown = decided.json["data"]
        assert (shown["status"], shown["output"]["note"]) == (status, "seen")
        assert shown["output"]["by"] == door.admin.split("_")[1]
        for late in ("approve", "reject"):
            assert assert_problem(door.call("POST", f"{path}/{late}"), 409)["code"] == "not_waiting"


def test_an_approval_that_has_expired_cannot_be_decided(door: Door) -> None:
    """Its time is up, and no row says so yet: a decision now comes too late."""
    execution_id = door.trigger(door.create(name="Ask", type="approval", executor="approval", config={})["id"])
    carry_out(execution_id, "waiting", output={}, waiting_for="approval", due_at=db.now_ms() - 1)
    path = f"/api/actions/executions/{execution_id}"
    for late in ("approve", "reject"):
        refused = assert_problem(door.call("POST", f"{path}/{late}"), 409)
        assert (refused["code"], refused["detail"].partition(": ")[2]) == ("not_waiting", "its time is up.")
    assert door.call("GET", path).json["data"]["status"] == "waiting"


def test_a_retry_is_announced(door: Door) -> None:
    """An execution that will be tried again says how often it failed and when the next attempt is."""
    action_id = door.create(retry={"max_attempts": 3, "backoff_seconds": 60})["id"]
    execution_id = door.trigger(action_id)
    carry_out(execution_id, "waiting", waiting_for="retry", due_at=db.now_ms() + 60_000)
    shown = door.call("GET", f"/api/actions/executions/{execution_id}").json["data"]
    assert (shown["status"], shown["waiting_for"], shown["attempt"]) == ("waiting", "retry", 1)
    assert shown["retry"]["max_attempts"] == 3
    assert shown["retry"]["next_attempt_at"] > shown["created_at"]


def test_a_sandbox_report_is_shown(door: Door) -> None:
    """What a sandboxed execution would have done is part of its details."""
    execution_id = door.trigger(door.create()["id"], sandbox=True)
    report = {"intercepted_calls": [{"type": "http"}], "commands_executed": [], "output": {"ok": True}}
    carry_out(execution_id, output={"ok": True}, report=report)
    shown = door.call("GET", f"/api/actions/executions/{execution_id}").json["data"]
    assert shown["sandbox_report"] == report
    assert "sandbox_report" not in door.call("GET", "/api/actions/executions").json["data"][0]


def test_secrets_are_never_shown(door: Door) -> None:
    """A secret parameter and a secret header are masked wherever they would appear."""
    action = door.create(
        parameters=[{"name": "token", "type": "secret", "required": True}],
        config={"url": "http://127.0.0.1:9/", "headers": {"Authorization": "Bearer hunter2hunter2"}},
    )
    execution_id = door.trigger(action["id"], parameters={"token": "swordfish99"})
    for path in (
        "/api/actions",
        f"/api/actions/{action['id']}",
        f"/api/actions/{action['id']}/versions",
        "/api/actions/executions",
        f"/api/actions/executions/{execution_id}",
    ):
        text = door.call("GET", path).text
        assert "hunter2hunter2" not in text
        assert "swordfish99" not in text
    shown = door.call("GET", f"/api/actions/executions/{execution_id}").json["data"]
    assert shown["parameters"]["token"] == "********"


def test_executions_are_found_by_what_is_known_of_them(door: Door) -> None:
    """Filters by action, target, status and time narrow the list, alone and together."""
    first, second = (door.create(name=name)["id"] for name in ("First", "Second"))
    one, two = door.trigger(first, target="a-1"), door.trigger(second, target="a-2")
    carry_out(two)
    created = door.call("GET", f"/api/actions/executions/{two}").json["data"]["created_at"]

    def found(query: str) -> list[str]:
        items = door.call("GET", f"/api/actions/executions?{query}").json["data"]
        return [item["execution_id"] for item in items]

    assert found("") == [two, one]
    assert found(f"action_id={first}") == [one]
    assert found("target=a-2") == [two]
    assert found("status=completed") == [two]
    assert found("status=completed,pending") == [two, one]
    assert found(f"status=completed&action_id={first}") == []
    assert found(f"from={created}")[0] == two
    assert two not in found(f"to={created}")


def test_what_was_read_may_be_sent_back(door: Door) -> None:
    """An action as it is shown can be PUT unchanged: no new version, and its secrets stay."""
    action = door.create(config={"url": "http://127.0.0.1:9/", "headers": {"Authorization": "Bearer hunter2hunter2"}})
    path = f"/api/actions/{action['id']}"
    assert door.call("PUT", path, json=action).json["data"] == action
    changed = door.call("PATCH", path, json={"timeout_seconds": 5}).json["data"]
    assert (changed["version"], changed["timeout_seconds"]) == ("1.1.0", 5)
    assert changed["config"] == action["config"]
    versions = door.call("GET", f"{path}/versions").json
    assert [item["version"] for item in versions["data"]] == ["1.1.0", "1.0.0"]
    assert_problem(door.call("PATCH", path, json={"id": "act-other"}), 400)


def test_a_disabled_action_cannot_be_triggered(door: Door) -> None:
    """Disabling answers triggers with 409 until it is enabled again, and makes no version."""
    action = door.create()
    path = f"/api/actions/{action['id']}"
    assert door.call("POST", f"{path}/disable").json["data"]["enabled"] is False
    assert assert_problem(door.call("POST", f"{path}/trigger", json={"parameters": {}}), 409)["code"] == (
        "action_disabled"
    )
    enabled = door.call("POST", f"{path}/enable").json["data"]
    assert (enabled["enabled"], enabled["version"]) == (True, "1.0.0")
    assert door.call("POST", f"{path}/trigger", json={"parameters": {}}).status_code == 202


def test_executions_outlive_their_action(door: Door) -> None:
    """A deleted action is gone; what it did can still be read, and its id can be used again."""
    action_id = door.create(id="act-short-lived")["id"]
    execution_id = door.trigger(action_id)
    assert door.call("DELETE", f"/api/actions/{action_id}").status_code == 204
    assert_problem(door.call("GET", f"/api/actions/{action_id}"), 404)
    assert_problem(door.call("DELETE", f"/api/actions/{action_id}"), 404)
    shown = door.call("GET", f"/api/actions/executions/{execution_id}").json["data"]
    assert (shown["action_id"], shown["version"]) == (action_id, "1.0.0")
    door.create(id="act-short-lived")
