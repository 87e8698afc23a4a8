"""Runs over the API: started once, followed, found, paused, cancelled, retried, and decided about, step by step."""

import threading
import time
from typing import Any

import pytest

from api.runs import examples, schemas, views
from store.engine import db
from store.executions import runs as executions
from store.executions import transitions
from store.executions.lists import run_listing
from store.paging import Part
from tests.support import runs
from tests.support.api import Door, assert_problem
from tests.support.driven import drive
from tests.support.waiting import eventually

APPROVAL = {"id": "ask", "type": "approval", "message": "Isolate it?"}


@pytest.fixture
def action(door: Door) -> str:
    """The id of an action with a secret parameter."""
    return door.create(parameters=[{"name": "token", "type": "secret"}, {"name": "host"}])["id"]


def playbook(door: Door, *steps: dict[str, Any], **more: Any) -> str:
    """The path of a playbook; it waits for a second unless steps are given."""
    given = {"steps": list(steps)} if steps else {}
    return f"/api/playbooks/{door.create_playbook(**given, **more)['id']}"


def act(step_id: str, action_id: str, **more: Any) -> dict[str, Any]:
    """A step that performs an action."""
    return {"id": step_id, "type": "action", "action_ref": action_id, **more}


def run(door: Door, path: str, **body: Any) -> str:
    """Run a playbook; returns the run's id."""
    answer = door.call("POST", f"{path}/run", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json["execution_id"]


def shown(door: Door, run_id: str, what: str = "") -> Any:
    """The ``data`` of what is asked about a run."""
    answer = door.call("GET", f"/api/playbooks/executions/{run_id}{what}")
    assert answer.status_code == 200, answer.text
    return answer.json["data"]


def test_a_step_that_starts_a_playbook_which_runs_for_the_asset_names_that_run(door: Door) -> None:
    """The step fails; its error says which run is under way."""
    below = playbook(door, name="Below")
    first = run(door, below, target_asset_id="a-1")
    call = {"id": "call", "type": "playbook", "playbook_ref": below.rpartition("/")[2]}
    run_id = run(door, playbook(door, call, name="Above"), target_asset_id="a-1")
    assert drive(run_id) == "failed"
    (step,) = shown(door, run_id, "/steps")
    assert step["error"]["code"] == "already_running"
    assert step["error"]["details"] == {"running_execution_id": first}
    assert repr(first) in step["error"]["message"]


def test_what_is_shown_is_documented(door: Door) -> None:
    """A run has the members of its example, in full and in a list, and each of them is in the OpenAPI document."""
    one = shown(door, run(door, playbook(door)))
    [listed] = door.call("GET", "/api/playbooks/executions").json["data"]
    assert one.keys() == examples.COMPLETED.keys(), "see api/runs/examples.py"
    assert listed.keys() == examples.ITEM.keys(), "see api/runs/examples.py"
    assert one.keys() <= schemas.Run().fields.keys(), "see api/runs/schemas.py"
    assert listed.keys() <= schemas.RunItem().fields.keys(), "see api/runs/schemas.py"


def test_a_repeated_request_makes_one_run(door: Door) -> None:
    """The same Idempotency-Key answers the same run and says that it was replayed; another body is refused."""
    path, headers = f"{playbook(door)}/run", {"Idempotency-Key": "alert-4711"}
    first = door.call("POST", path, json={"target_asset_id": "a-1"}, headers=headers)
    runs.begin(first.json["execution_id"])
    again = door.call("POST", path, json={"target_asset_id": "a-1"}, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert "Idempotency-Replayed" not in first.headers
    assert (again.headers["Idempotency-Replayed"], again.headers["Location"]) == ("true", first.headers["Location"])
    assert again.json == first.json
    other = door.call("POST", path, json={"target_asset_id": "a-2"}, headers=headers)
    assert assert_problem(other, 422)["code"] == "idempotency_key_reused"
    assert_problem(door.call("POST", path, json={}, headers={"Idempotency-Key": "x" * 256}), 400)
    assert door.call("GET", "/api/playbooks/executions").json["meta"]["total"] == 1


def test_a_disabled_playbook_cannot_be_run(door: Door) -> None:
    """Nor one whose action is disabled; both errors give the reason."""
    action_id = door.create()["id"]
    path = playbook(door, act("one", action_id))
    door.call("POST", f"/api/actions/{action_id}/disable?force=true")
    assert assert_problem(door.call("POST", f"{path}/run", json={}), 409)["code"] == "action_disabled"
    door.call("POST", f"{path}/disable")
    assert assert_problem(door.call("POST", f"{path}/run", json={}), 409)["code"] == "playbook_disabled"


def test_every_step_item_speaks_both_vocabularies(door: Door, action: str) -> None:
    """Each has all members at any time; control steps have no action, inner steps count."""
    members = {"index", "step_id", "step_name", "name", "action_id", "type", "status", "output", "error"}
    members |= {"started_at", "completed_at", "duration_ms"}
    body = [act("inner", action, name="Inner one")]
    path = playbook(door, act("one", action), {"id": "all", "type": "for_each", "items": [1, 2], "steps": body})
    accepted = door.call("POST", f"{path}/run", json={}).json
    run_id = accepted["execution_id"]
    for steps in (accepted["steps"], shown(door, run_id)["steps"], shown(door, run_id, "/steps")):
        assert all(members <= set(step) for step in steps)
        assert [(step["index"], step["step_id"], step["action_id"]) for step in steps] == [
            (0, "one", action),
            (1, "all", None),
            (2, "inner", action),
        ]
        assert steps[2]["step_name"] == steps[2]["name"] == "Inner one"


def test_a_run_says_how_far_it_is(door: Door, action: str) -> None:
    """The current step, how many are completed, who started it and how, until when it may run."""
    run_id = run(door, playbook(door, act("one", action), act("two", action), timeout_minutes=30))
    before = shown(door, run_id)
    assert (before["status"], before["current_step"], before["started_at"]) == ("pending", None, None)
    assert (before["trigger"], before["started_by"]) == ("api", door.admin.split("_")[1])
    assert (before["retry_of"], before["event"], before["version"]) == (None, None, "1.0.0")
    assert before["deadline"] > before["created_at"]
    runs.begin(run_id)
    runs.end(runs.enter(run_id, "one"), output={"answer": 42})
    runs.enter(run_id, "two")
    now = shown(door, run_id)
    assert (now["status"], now["current_step"]) == ("running", "two")
    assert (now["steps_completed"], now["steps_total"], now["duration_seconds"]) == (1, 2, None)
    assert [step["output"] for step in now["steps"]] == [{"answer": 42}, None]


def test_a_run_that_ends_while_it_is_read_is_shown_as_it_ended(door: Door, action: str) -> None:
    """The row was read before the end, the rest behind it: nothing of the answer is from before."""
    run_id = run(door, playbook(door, act("one", action, on_success="end", on_failure="never"), act("never", action)))
    runs.begin(run_id)
    step = runs.enter(run_id, "one")
    with db.read() as connection:
        before = executions.get(connection, "default", run_id)
    runs.end(step, completed_at=db.now_ms())
    runs.end_run(run_id, completed_at=db.now_ms())
    assert before.status == "running"
    now = views.run_detail(before)
    assert (now["status"], now["steps_completed"], now["current_step"]) == ("completed", 1, None)
    assert [step["status"] for step in now["steps"]] == ["completed", "skipped"]
    assert now["completed_at"] is not None
    assert now["duration_seconds"] is not None


def test_a_run_that_only_waits_is_paused(door: Door, action: str) -> None:
    """Paused while all that is left is to wait for an approval or a delay; a retry or a running branch is work."""
    branches = [{"steps": [{"id": "rest", "type": "delay", "seconds": 60}, APPROVAL]}, {"steps": [act("one", action)]}]
    run_id = run(door, playbook(door, {"id": "both", "type": "parallel", "branches": branches}))
    runs.begin(run_id)

    def state() -> tuple[str, str | None]:
        listed = door.call("GET", "/api/playbooks/executions").json["data"][0]["status"]
        this = shown(door, run_id)
        assert listed == this["status"]
        assert door.call("GET", f"/api/playbooks/executions?status={listed}").json["meta"]["total"] == 1
        return this["status"], this["waiting_for"]

    container = runs.enter(run_id, "both", type="parallel", open=2, cursor=2)
    delay = runs.enter(run_id, "rest", "waiting", type="delay", parent_id=container, waiting_for="delay")
    one = runs.enter(run_id, "one", parent_id=container)
    assert state() == ("running", None)
    runs.end(one, "waiting", waiting_for="retry", due_at=db.now_ms() + 60_000)
    assert state() == ("running", None)
    runs.end(one, "failed")
    assert state() == ("paused", "delay")
    runs.end(delay)
    runs.enter(run_id, "ask", "waiting", type="approval", parent_id=container, waiting_for="approval")
    assert state() == ("paused", "approval")
    assert shown(door, run_id)["current_step"] == "ask"
    assert door.call("GET", "/api/playbooks/executions?status=running").json["meta"]["total"] == 0
    refused = assert_problem(door.call("POST", f"/api/playbooks/executions/{run_id}/resume"), 409)
    assert refused["code"] == "not_paused"
    assert "it waits for a delay or an approval" in refused["detail"]
    early = assert_problem(door.call("POST", f"/api/playbooks/executions/{run_id}/retry", json={}), 409)
    assert early["code"] == "not_ended"
    assert early["detail"].endswith("; cancel it or wait.")


def test_an_operator_pauses_and_resumes(door: Door, action: str) -> None:
    """A paused run says who keeps it; resumed it goes on; neither works twice, nor on what has ended."""
    run_id = run(door, playbook(door, act("one", action)))
    path = f"/api/playbooks/executions/{run_id}"
    runs.begin(run_id)
    paused = door.call("POST", f"{path}/pause")
    assert (paused.status_code, paused.json["status"], paused.json["waiting_for"]) == (200, "paused", "operator")
    assert paused.json["data"] == shown(door, run_id)
    assert_problem(door.call("POST", f"{path}/pause"), 409)
    resumed = door.call("POST", f"{path}/resume")
    assert (resumed.status_code, resumed.json["status"], resumed.json["waiting_for"]) == (200, "running", None)
    assert_problem(door.call("POST", f"{path}/resume"), 409)
    assert door.call("POST", f"{path}/cancel").status_code == 200
    for word in ("pause", "resume", "cancel"):
        assert_problem(door.call("POST", f"{path}/{word}"), 409)


def test_the_lists_are_narrowed(door: Door) -> None:
    """By playbook, status, asset, what started it, dry run and time, alone and together; newest first, no steps."""
    first, second = playbook(door, name="First"), playbook(door, name="Second")
    one, two = run(door, first, target_asset_id="a-1"), run(door, first, target_asset_id="a-2")
    three = run(door, second, dry_run=True)
    runs.begin(two)
    runs.end_run(two, "failed", error={"code": "timeout", "message": "late"})

    def found(query: str, path: str = "/api/playbooks") -> list[str]:
        answer = door.call("GET", f"{path}/executions?{query}")
        assert answer.status_code == 200, answer.text
        return [item["execution_id"] for item in answer.json["data"]]

    assert found("") == [three, two, one]
    assert found("", first) == found("playbook_id=pb-first") == [two, one]
    assert found("status=pending,failed", first) == [two, one]
    assert found("status=failed") == found("target_asset_id=a-2") == [two]
    assert found("dry_run=true") == [three]
    assert found("dry_run=false&status=pending") == [one]
    assert found("trigger=api") == [three, two, one]
    assert found("trigger=event") == []
    assert found("to=2020-01-01T00:00:00Z") == []
    assert found("from=2020-01-01T00:00:00Z&per_page=2&page=2") == [one]
    item = door.call("GET", "/api/playbooks/executions?status=failed").json["data"][0]
    assert (item["playbook_name"], item["version"], item["error"]["code"]) == ("First", "1.0.0", "timeout")
    assert "steps" not in item
    for query in ("status=waiting", "status=", "trigger=manual", "dry_run=1", "from=x", "page=0", "steps=1"):
        assert_problem(door.call("GET", f"/api/playbooks/executions?{query}"), 400)
    assert_problem(door.call("GET", "/api/playbooks/pb-missing/executions"), 404)


def test_lists_are_the_same_on_either_database(database: str) -> None:
    """What is read off JSON and off the steps is read in the words of each database."""
    visitor = Door()
    run_id = run(visitor, playbook(visitor))
    runs.begin(run_id)
    row_id = runs.enter(run_id, "wait", "waiting", type="delay", waiting_for="delay")
    filters = {"status": ["paused"], "trigger": "api", "dry_run": False}
    with db.read() as connection:
        rows, _, total = run_listing.search(connection, "default", filters=filters, part=Part(10))
        history = run_listing.status_history(connection, "default", [row_id])
        before = transitions.states(connection, [run_id])
    assert ([row.id for row in rows], total) == ([run_id], (1, False))
    assert (rows[0].name, rows[0].trigger, rows[0].retry_of) == ("Wait", "api", None)
    assert [status for status, _ in history[row_id]] == ["waiting"]
    runs.end(row_id)
    with db.read() as connection:
        assert transitions.states(connection, [run_id]) != before
    assert shown(visitor, run_id, "/timeline")["steps"][0]["status"] == "completed"


def test_a_waiting_reader_hears_of_the_next_step(door: Door, action: str) -> None:
    """``wait`` answers as soon as anything happens to a step, although the run's status stays."""
    run_id = run(door, playbook(door, act("one", action)))
    runs.begin(run_id)
    row_id = runs.enter(run_id, "one")

    def work() -> None:
        eventually(lambda: door.app.extensions["tocsin.watcher"]._waiters, 20, "the reader waits")
        runs.end(row_id)

    worker = threading.Thread(target=work)
    before = time.monotonic()
    worker.start()
    seen = shown(door, run_id, "?wait=20")
    worker.join()
    assert (seen["status"], seen["steps"][0]["status"]) == ("running", "completed")
    assert time.monotonic() - before < 15
    before = time.monotonic()
    assert shown(door, run_id, "?wait=0.3")["status"] == "running"
    assert time.monotonic() - before >= 0.3
    runs.end_run(run_id)
    assert shown(door, run_id, "?wait=30")["status"] == "completed"
    assert time.monotonic() - before < 15
    assert_problem(door.call("GET", f"/api/playbooks/executions/{run_id}?wait=31"), 400)


def test_every_iteration_of_a_loop_is_an_execution(door: Door, action: str) -> None:
    """The list of steps has an item for each iteration; the run shows the last one and their number."""
    loop = {"id": "all", "type": "for_each", "items": ["a", "b"], "steps": [act("inner", action), APPROVAL]}
    run_id = run(door, playbook(door, loop, act("later", action)))
    runs.begin(run_id)
    container = runs.enter(run_id, "all", type="for_each", open=1, cursor=2, input={"items": ["a", "b"]})
    for number in range(2):
        row_id = runs.enter(run_id, "inner", iteration=str(number), parent_id=container)
        runs.end(row_id, output={"pass": number}, vars={"seen": number}, input={"host": "h"})
    executions = shown(door, run_id, "/steps")
    assert [(one["step_id"], one["iteration"], one["parent"], one["status"]) for one in executions] == [
        ("all", "", None, "running"),
        ("inner", "0", "all", "completed"),
        ("inner", "1", "all", "completed"),
        ("ask", "", "all", "pending"),
        ("later", "", None, "pending"),
    ]
    assert executions[2]["output"] == {"pass": 1}
    assert (executions[2]["vars"], executions[2]["input"], executions[2]["attempt"]) == ({"seen": 1}, {"host": "h"}, 1)
    inner = shown(door, run_id)["steps"][1]
    assert (inner["status"], inner["output"], inner["passes"]) == ("completed", {"pass": 1}, 2)
    for number in range(2):
        runs.enter(run_id, "ask", "waiting", str(number), type="approval", parent_id=container, waiting_for="approval")
    path = f"/api/playbooks/executions/{run_id}/steps/ask"
    decided = door.call("POST", f"{path}/approve", json={"iteration": "0", "note": "seen"})
    assert decided.status_code == 200, decided.text
    assert (decided.json["data"]["iteration"], decided.json["data"]["status"]) == ("0", "completed")
    other = door.call("POST", f"{path}/reject").json["data"]
    assert (other["iteration"], other["status"], other["error"]["code"]) == ("1", "failed", "rejected")
    assert_problem(door.call("POST", f"{path}/approve", json={"iteration": "7"}), 404)
    assert_problem(door.call("POST", f"{path}/approve", json={"iteration": "x"}), 400)


@pytest.mark.parametrize(("word", "status"), [("approve", "completed"), ("reject", "failed")])
def test_an_approval_is_decided_once(door: Door, word: str, status: str) -> None:
    """The first decision wins and says who and why; later ones, and ones about other steps, are refused."""
    path = playbook(door, APPROVAL, {"id": "_rest", "type": "delay", "seconds": 1})
    run_id = run(door, path)
    steps = f"/api/playbooks/executions/{run_id}/steps"
    assert_problem(door.call("POST", f"{steps}/ask/{word}"), 404)
    runs.begin(run_id)
    question = {"message": "Isolate it?", "approvers": [], "audience": []}
    runs.enter(run_id, "ask", "waiting", type="approval", waiting_for="approval", output=question)
    waiting = shown(door, run_id, "/steps")[0]
    assert (waiting["status"], waiting["waiting_for"]) == ("waiting", "approval")
    assert waiting["waiting_until"] > waiting["created_at"]
    decided = door.call("POST", f"{steps}/ask/{word}", json={"note": "seen"})
    assert decided.status_code == 200, decided.text
    step = decided.json["data"]
    assert (step["step_id"], step["status"], step["output"]["note"]) == ("ask", status, "seen")
    assert (step["output"]["by"], step["output"]["message"]) == (door.admin.split("_")[1], "Isolate it?")
    assert (step["waiting_for"], step["waiting_until"]) == (None, None)
    assert step == shown(door, run_id, "/steps")[0]
    for late in ("approve", "reject"):
        assert_problem(door.call("POST", f"{steps}/ask/{late}"), 409)
    assert assert_problem(door.call("POST", f"{steps}/_rest/{word}"), 409)["code"] == "no_approval"
    unknown = assert_problem(door.call("POST", f"{steps}/aks/{word}"), 404)
    assert unknown["detail"] == "The playbook has no step 'aks'; did you mean 'ask'?"


def test_the_logs_of_all_steps_are_merged(door: Door, action: str) -> None:
    """By time, each line with its step and iteration."""

    def line(second: int, message: str) -> dict[str, str]:
        return {"timestamp": f"2026-04-28T12:00:0{second}.000Z", "level": "INFO", "message": message}

    run_id = run(door, playbook(door, act("one", action), act("two", action)))
    runs.begin(run_id)
    runs.end(runs.enter(run_id, "one"), logs=[line(1, "a"), line(3, "c")])
    runs.end(runs.enter(run_id, "two"), logs=[line(2, "b")])
    found = shown(door, run_id, "/logs")
    assert [(one["message"], one["step_id"]) for one in found] == [("a", "one"), ("b", "two"), ("c", "one")]
    assert found[0] == {**line(1, "a"), "step_id": "one", "iteration": ""}


def test_the_timeline_shows_what_time_was_spent_on(door: Door, action: str) -> None:
    """Each execution of a step with its attempts, and how long it was queued, at work and waiting."""
    run_id = run(door, playbook(door, act("one", action), act("two", action)))
    runs.begin(run_id)
    row_id = runs.enter(run_id, "one", "pending")
    with db.write() as connection:
        assert transitions.claim(connection, row_id, "steps@test", 30_000, step=True) is not None
    runs.end(row_id, "waiting", waiting_for="retry", due_at=db.now_ms())
    with db.write() as connection:
        assert transitions.claim(connection, row_id, "steps@test", 30_000, step=True) is not None
    runs.end(row_id)
    runs.end_run(run_id)
    found = shown(door, run_id, "/timeline")
    assert None not in (found["started_at"], found["completed_at"])
    [bar] = found["steps"]
    assert (bar["step_id"], bar["status"], bar["attempts"], bar["retries"]) == ("one", "completed", 2, 1)
    assert all(bar[name] >= 0 for name in ("queued_ms", "run_ms", "waited_ms"))


def test_large_outputs_are_left_out_of_what_shows_many_steps(door: Door, action: str) -> None:
    """The run and its steps say that it is too large for them; the step's own execution has it."""
    run_id = run(door, playbook(door, act("one", action)))
    runs.begin(run_id)
    revision = executions_of(door, action)
    row_id = runs.enter(run_id, "one", action_id=action, revision_id=revision)
    large = {"text": "x" * 20_000}
    runs.end(row_id, output=large)
    for step in (shown(door, run_id)["steps"][0], shown(door, run_id, "/steps")[0]):
        assert (step["output"], step["output_omitted"], step["execution_id"]) == (None, True, row_id)
    assert door.call("GET", f"/api/actions/executions/{row_id}").json["data"]["output"] == large


def executions_of(door: Door, action_id: str) -> str:
    """The id of the action's revision, as an execution of it has it."""
    execution_id = door.trigger(action_id)
    with db.read() as connection:
        return str(transitions.get(connection, "default", execution_id).revision_id)


def test_lists_of_actions_show_steps_that_perform_them(door: Door, action: str) -> None:
    """Executions of an action are those that were triggered and steps of runs, newest first; runs are none."""
    run_id = run(door, playbook(door, act("one", action), APPROVAL))
    revision, triggered = executions_of(door, action), []
    runs.begin(run_id)
    triggered = [item["execution_id"] for item in door.call("GET", "/api/actions/executions").json["data"]]
    time.sleep(0.002)
    step = runs.enter(run_id, "one", action_id=action, revision_id=revision)
    approval = runs.enter(run_id, "ask", "waiting", type="approval", waiting_for="approval")
    runs.enter(run_id, "skipped-one", "skipped")
    time.sleep(0.002)
    last = door.trigger(action)
    for path in ("/api/actions/executions", f"/api/actions/{action}/executions"):
        items = door.call("GET", path).json["data"]
        assert [item["execution_id"] for item in items] == [last, step, *triggered]
    assert (items[1]["run_id"], items[1]["step_id"], items[0]["run_id"]) == (run_id, "one", None)
    one = door.call("GET", f"/api/actions/executions/{step}").json["data"]
    assert (one["status"], one["action_id"], one["step_id"]) == ("running", action, "one")
    assert assert_problem(door.call("POST", f"/api/actions/executions/{step}/cancel"), 409)["code"] == "part_of_run"
    for other in (run_id, approval):
        path = f"/api/actions/executions/{other}"
        for method, word in (("GET", ""), ("POST", "/cancel"), ("POST", "/approve"), ("POST", "/reject")):
            assert_problem(door.call(method, f"{path}{word}"), 404)
    assert_problem(door.call("GET", f"/api/playbooks/executions/{step}"), 404)
    metrics = door.call("GET", "/metrics").json["executions"]
    assert metrics == {"pending": 2, "running": 1}


def test_secrets_are_never_shown(door: Door, action: str) -> None:
    """A secret parameter of a run is masked wherever it would appear."""
    declared = [{"name": "token", "type": "secret", "required": True}]
    path = playbook(door, act("one", action, parameters={"token": "{{ token }}"}), parameters=declared)
    answer = door.call("POST", f"{path}/run", json={"parameters": {"token": "swordfish99"}})
    run_id = answer.json["execution_id"]
    texts = [answer.text, door.call("GET", "/api/playbooks/executions").text]
    texts += [door.call("GET", f"/api/playbooks/executions/{run_id}{what}").text for what in ("", "/steps", "/logs")]
    assert not any("swordfish99" in text for text in texts)
    assert shown(door, run_id)["parameters"] == {"token": "********"}


def test_a_run_is_retried(door: Door, action: str) -> None:
    """From where it failed, with what was completed, or from the start; only what has ended."""
    run_id = run(door, playbook(door, act("one", action), act("two", action)), target_asset_id="a-1")
    path = f"/api/playbooks/executions/{run_id}/retry"
    assert assert_problem(door.call("POST", path), 409)["code"] == "not_ended"
    runs.begin(run_id)
    runs.end(runs.enter(run_id, "one"), output={"answer": 42})
    runs.end(runs.enter(run_id, "two"), "failed", error={"code": "http_error", "message": "500"})
    runs.end_run(run_id, "failed", error={"code": "step_failed", "message": "two"})
    expected = {"failed": ["completed", "pending"], "start": ["pending", "pending"]}
    for start, statuses in expected.items():
        answer = door.call("POST", path, json={"from": start})
        assert answer.status_code == 202, answer.text
        new = answer.json["execution_id"]
        assert answer.headers["Location"] == f"/api/playbooks/executions/{new}"
        assert (answer.json["status"], answer.json["retry_of"]) == ("pending", run_id)
        assert [step["status"] for step in answer.json["steps"]] == statuses
        again = shown(door, new)
        assert (again["trigger"], again["retry_of"], again["target_asset_id"]) == ("retry", run_id, "a-1")
        assert_problem(door.call("POST", path), 409)  # it runs for this asset
        door.call("POST", f"/api/playbooks/executions/{new}/cancel")
    assert door.call("POST", path).json["steps"][0]["output"] == {"answer": 42}
    assert_problem(door.call("POST", path, json={"from": "middle"}), 400)
    assert door.call("GET", "/api/playbooks/executions?trigger=retry").json["meta"]["total"] == 3


@pytest.mark.parametrize(("dry_run", "status"), [(False, "completed"), (True, "failed")])
def test_where_nothing_has_failed_a_retry_is_from_the_start(
    door: Door,
    action: str,
    dry_run: bool,
    status: str,
) -> None:
    """A run that is completed, or was a dry run, has nothing to take over; from the start it is run again."""
    run_id = run(door, playbook(door, act("one", action)), dry_run=dry_run)
    runs.begin(run_id)
    runs.end_run(run_id, status)
    path = f"/api/playbooks/executions/{run_id}/retry"
    assert assert_problem(door.call("POST", path), 409)["code"] == "nothing_failed"
    assert door.call("POST", path, json={"from": "start"}).status_code == 202


def test_a_retry_has_the_secrets_of_the_run(door: Door, action: str) -> None:
    """What a run was given in secret is given to its retry, not the mask of it."""
    declared = [{"name": "token", "type": "secret", "required": True}]
    run_id = run(door, playbook(door, act("one", action), parameters=declared), parameters={"token": "swordfish99"})
    runs.begin(run_id)
    runs.end_run(run_id, "failed", error={"code": "timeout", "message": "late"})
    answer = door.call("POST", f"/api/playbooks/executions/{run_id}/retry")
    assert answer.status_code == 202, answer.text
    with db.read() as connection:
        assert transitions.get(connection, "default", answer.json["execution_id"]).sealed is not None


def test_another_workspace_does_not_see_runs(door: Door) -> None:
    """A run of others is answered exactly as one that does not exist, and is in no list."""
    path, stranger = playbook(door), door.key(workspace="elsewhere")
    run_id = run(door, path)
    ways = ["", "/steps", "/logs", "/timeline"]
    calls = [("GET", way) for way in ways] + [("POST", f"/{word}") for word in ("cancel", "pause", "resume", "retry")]
    calls += [("POST", "/steps/wait/approve"), ("POST", "/steps/wait/reject")]
    for method, way in calls:
        problem = assert_problem(door.call(method, f"/api/playbooks/executions/{run_id}{way}", key=stranger), 404)
        missing = assert_problem(door.call(method, f"/api/playbooks/executions/pexec-0{way}", key=stranger), 404)
        assert problem["detail"].replace(run_id, "pexec-0") == missing["detail"]
    assert door.call("GET", "/api/playbooks/executions", key=stranger).json["data"] == []
    assert_problem(door.call("GET", f"{path}/executions", key=stranger), 404)
    assert shown(door, run_id)["status"] == "pending"
