"""What a failure says: in the error of the step or the execution, and in that of the run."""

from collections.abc import Iterator
from typing import Any

import pytest

from config.settings import settings
from tasks.attempts import action
from tests.support import runs
from tests.support.api import Door
from tests.support.driven import drive
from tests.support.sink import Sink

_SECRET = "Sup3rS3cretT0ken42"


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    """Where the actions send."""
    running = Sink(tmp_path_factory.mktemp("sink"))
    yield running
    running.stop()


@pytest.fixture
def open_door(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> Door:
    """The application, with outside calls to this machine allowed."""
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    settings.cache_clear()
    return Door()


def errors_of(door: Door, *steps: dict[str, Any], **more: Any) -> tuple[dict[str, Any], str]:
    """The error of the last step, and the message of the run's own error."""
    playbook = door.create_playbook(name="Fails", steps=list(steps), **more)["id"]
    run_id = door.call("POST", f"/api/playbooks/{playbook}/run", json={}).json["execution_id"]
    assert drive(run_id) == "failed"
    shown = door.call("GET", f"/api/playbooks/executions/{run_id}").json
    return shown["steps"][-1]["error"], shown["error"]["message"]


def call(action_id: str) -> dict[str, Any]:
    """A step that calls an action."""
    return {"id": "call", "type": "action", "action_ref": action_id}


def test_a_refused_call_names_request_status_and_answer(
    open_door: Door, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    """Method, URL and the beginning of the answer, without credentials, in the error of the step and of the run.

    The warning in the log has the same message.
    """
    headers = {"X-Api-Token": _SECRET}
    url = f"{sink.url}/echo?status=500&api_key={_SECRET}"
    made = open_door.create(config={"url": url, "headers": headers, "body": {"filler": "x" * 500}})
    error, of_run = errors_of(open_door, call(made["id"]))
    assert error["code"] == "http_status"
    said, _, excerpt = error["message"].partition(": ")
    assert said.startswith(f"POST {sink.url}/echo?status=500&api_key=")
    assert said.endswith("was answered with 500 Internal Server Error")
    assert excerpt.startswith('{"headers": ')
    assert len(excerpt) == 200
    assert error["message"] in of_run
    logged = capsys.readouterr().out
    assert "execution failed" in logged
    assert said in logged
    assert _SECRET not in logged
    assert _SECRET not in str(error) + of_run


def test_no_part_of_a_secret_is_left_at_the_cut(open_door: Door, sink: Sink) -> None:
    """An answer is masked before it is cut, wherever a secret stands in it."""
    for before in range(180, 201, 5):
        template = f'"{"x" * before}{_SECRET}"'
        config = {"url": f"{sink.url}/parrot/500", "headers": {"X-Api-Token": _SECRET}, "body_template": template}
        made = open_door.create(name=f"Cut {before}", config=config)
        error, of_run = errors_of(open_door, call(made["id"]), id=f"pb-cut-{before}")
        assert _SECRET[:5] not in error["message"] + of_run


def test_a_failed_script_names_its_last_line(open_door: Door) -> None:
    """The last line of standard error follows the exit code."""
    script = "echo first >&2\nno-such-command-here\n"
    config = {"interpreter": "bash", "script": script}
    made = open_door.create(name="Script", type="script", executor="local", config=config)
    error, of_run = errors_of(open_door, call(made["id"]))
    if error["code"] == "sandbox_unavailable":
        pytest.skip("scripts cannot run on this machine")
    assert "exit code 127: " in error["message"]
    assert "no-such-command-here: command not found" in error["message"]
    assert "first" not in error["message"]
    assert error["message"] in of_run


def test_a_time_out_names_its_seconds_and_the_receiver(open_door: Door, sink: Sink) -> None:
    """The limit that was set, and the call that used it up."""
    made = open_door.create(timeout_seconds=1, config={"url": f"{sink.url}/slow?seconds=5"})
    error, of_run = errors_of(open_door, call(made["id"]))
    assert error["code"] == "timeout"
    assert f"the webhook call to {sink.url} was not answered" in error["message"]
    assert error["message"].endswith("the action's timeout_seconds (1 s)")
    assert error["message"] in of_run


def test_items_that_are_no_list_are_named(open_door: Door) -> None:
    """The value, and what is needed in its place."""
    inside = {"id": "inside", "type": "delay", "seconds": 1}
    loop = {"id": "each", "type": "for_each", "items": "{{ parameters.hosts }}", "steps": [inside]}
    declared = [{"name": "hosts", "default": "/ok"}]
    playbook = open_door.create_playbook(name="Loop", steps=[loop], parameters=declared)["id"]
    run_id = open_door.call("POST", f"/api/playbooks/{playbook}/run", json={}).json["execution_id"]
    assert drive(run_id) == "failed"
    message = open_door.call("GET", f"/api/playbooks/executions/{run_id}").json["error"]["message"]
    assert "items is the text '/ok'; for_each needs a list" in message


def test_values_that_a_condition_cannot_compare_are_named(open_door: Door) -> None:
    """Values of a run without declared parameters are known only then."""
    playbook = open_door.create_playbook(
        name="Ask", steps=[{"id": "ask", "type": "condition", "expression": "parameters.n > 5"}]
    )["id"]
    body = {"parameters": {"n": "7"}}
    run_id = open_door.call("POST", f"/api/playbooks/{playbook}/run", json=body).json["execution_id"]
    assert drive(run_id) == "failed"
    message = open_door.call("GET", f"/api/playbooks/executions/{run_id}").json["error"]["message"]
    assert "parameters.n is the text '7' and cannot be compared with 5: write int(parameters.n) > 5" in message


def test_the_log_of_a_sandboxed_call_says_that_none_was_made(open_door: Door, sink: Sink) -> None:
    """No answer is claimed for a call that was recorded."""
    made = open_door.create(config={"url": f"{sink.url}/ok"})
    execution_id = open_door.trigger(made["id"], sandbox=True)
    assert action.attempt(execution_id).status == "completed"
    logs = open_door.call("GET", f"/api/actions/executions/{execution_id}").json["data"]["logs"]
    lines = [line["message"] for line in logs]
    assert f"POST {sink.url}/ok was recorded instead of sent" in lines
    assert not [line for line in lines if "answered" in line]


@pytest.mark.parametrize("why", ["operator", "approval", "delay"])
def test_a_paused_run_says_by_whom(database: str, why: str) -> None:
    """The run and the list name the operator, the approval or the delay; other runs name nothing."""
    door = Door()
    playbook = door.create_playbook()["id"]
    started = [door.call("POST", f"/api/playbooks/{playbook}/run", json={}).json["execution_id"] for _ in range(2)]
    for run_id in started:
        runs.begin(run_id)
        runs.enter(run_id, "wait")
    paused = started[0]
    runs.end(f"{paused}.wait", "waiting", waiting_for="approval" if why == "operator" else why)
    if why == "operator":  # who comes before what it waits for as well
        assert door.call("POST", f"/api/playbooks/executions/{paused}/pause").status_code == 200
    assert door.call("GET", f"/api/playbooks/executions/{paused}").json["paused_by"] == why
    listed = door.call("GET", "/api/playbooks/executions").json["data"]
    assert {item["execution_id"]: item["paused_by"] for item in listed} == {paused: why, started[1]: None}
