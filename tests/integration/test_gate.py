"""Everything that goes out passes the gate first."""

from typing import Any

import pytest

from config.errors import Unprocessable
from store.engine import db
from store.executions import transitions
from tasks import gate
from tasks.attempts.conclude import Ending, failed
from tasks.entrypoints import runs as steps
from tasks.intake import run_start
from tasks.runs import driver
from tests.support.api import Door

SECRET = "hunter2-and-more"


def action(door: Door) -> str:
    """An action with a secret among its parameters."""
    parameters = [{"name": "ip"}, {"name": "token", "type": "secret"}]
    return door.create(parameters=parameters)["id"]


def test_a_trigger_passes_the_gate_before_it_is_accepted(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate reads the values, secrets masked; what it does not let pass leaves no row."""
    asked: list[Any] = []

    def ask(*about: Any) -> None:
        asked.append((*about[:-1], about[-1]()))
        raise Unprocessable

    monkeypatch.setattr(gate, "ask", ask)
    action_id = action(door)
    body = {"parameters": {"ip": "203.0.113.7", "token": SECRET}, "target": "host-1"}
    answer = door.call("POST", f"/api/actions/{action_id}/trigger", json=body)
    assert answer.status_code == 422
    facts = {"parameters": {"ip": "203.0.113.7", "token": "********"}, "target": "host-1"}
    assert asked == [("trigger", "default", "webhook", action_id, facts)]
    with db.read() as connection:
        assert connection.execute(transitions.executions.select()).all() == []


def test_each_attempt_at_a_step_passes_the_gate_before_its_call(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt and the retry are asked about, and the executor is called after that."""
    happened: list[Any] = []
    endings = [failed("http_error", "502", retryable=True), Ending("completed", output={})]

    def perform(*_: Any) -> Ending:
        happened.append("called")
        return endings.pop(0)

    def ask(*about: Any) -> None:
        happened.append((*about[:-1], about[-1]()))

    monkeypatch.setattr(driver, "perform", perform)
    monkeypatch.setattr(gate, "ask", ask)
    action_id = action(door)
    once_more = {"max_attempts": 2, "backoff_seconds": 61}  # longer than Celery carries: the row waits
    step = {"id": "tell", "type": "action", "action_ref": action_id, "retry": once_more}
    step["parameters"] = {"ip": "{{ parameters.ip }}", "token": "{{ parameters.token }}"}
    declared = [{"name": "ip"}, {"name": "token", "type": "secret"}]
    playbook = door.create_playbook(steps=[step], parameters=declared)
    given = {"ip": "203.0.113.7", "token": SECRET}
    request = run_start.RunRequest(
        workspace_id="default", actor="test", playbook_id=playbook["id"], parameters=given, target="host-1"
    )
    run_id = run_start.start(request).run_id
    assert steps.begin.apply(args=[run_id]).get() == "waiting"
    with db.write() as connection:
        connection.execute(transitions.executions.update().values(due_at=db.now_ms()))
    assert steps.step.apply(args=[f"{run_id}.tell"]).get() == "completed"
    facts = {"parameters": {"ip": "203.0.113.7", "token": "********"}, "target": "host-1"}
    facts |= {"run": run_id, "playbook": playbook["id"], "step": "tell"}
    assert happened == [("step", "default", "webhook", action_id, facts), "called"] * 2
