"""Events, schedules and completed actions start playbooks, on real processes."""

import time
import uuid
from typing import Any

import pytest

from tests.support.stack import Stack
from tests.support.waiting import eventually, eventually_none

_UNDER_WAY = """
SELECT id, status FROM executions
WHERE kind = 'action' AND (status IN ('pending', 'running') OR waiting_for IN ('retry', 'announce'))
"""


def listening(stack: Stack, trigger: dict[str, Any], word: str) -> str:
    """Add a playbook that sends the sink a template; returns its id."""
    action = stack.api.create_action(
        config={"url": f"{stack.sink.url}/ok?reported={{{{ word }}}}"}, parameters=[{"name": "word", "required": True}]
    )
    step = {"id": "tell", "type": "action", "action_ref": action, "parameters": {"word": word}}
    definition = {"name": f"test {uuid.uuid4().hex[:12]}", "trigger": trigger, "steps": [step]}
    answer = stack.api.http.post("/api/playbooks", json=definition)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]["id"]


def runs_of(stack: Stack, playbook_id: str) -> list[dict[str, Any]]:
    """The rows of a playbook's runs."""
    query = "SELECT id, status FROM executions WHERE kind = 'playbook' AND action_id = :id"
    return stack.rows(query, id=playbook_id)


def one_completed_run(stack: Stack, playbook_id: str) -> bool:
    """Whether the playbook has run once, to its end."""
    return [row["status"] for row in runs_of(stack, playbook_id)] == ["completed"]


def test_an_event_is_acted_upon(first_stack: Stack) -> None:
    """A reported finding leads to one call, its duplicate to none."""
    stack = first_stack
    word = uuid.uuid4().hex
    trigger = {"event": "finding.new", "conditions": {"mark": word}}
    playbook_id = listening(stack, trigger, "{{ finding.id }}-{{ finding.mark }}")
    event = {"event": "finding.new", "id": word, "data": {"finding": {"id": "f-1", "mark": word}}}
    answers = [stack.api.http.post("/api/events", json=event) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    first, again = (answer.json()["data"] for answer in answers)
    assert again == {**first, "repeated": True}
    assert [one["playbook_id"] for one in answers[0].json()["data"]["started"]] == [playbook_id]
    eventually(lambda: one_completed_run(stack, playbook_id), 20, "the run has completed")
    assert len(stack.sink.arrivals(f"/ok?reported=f-1-{word}")) == 1


def test_a_completed_action_is_followed_up_once(first_stack: Stack) -> None:
    """A playbook that listens to every action does not start itself again."""
    stack = first_stack
    eventually_none(lambda: stack.rows(_UNDER_WAY), 60, "nothing of earlier tests is under way")
    playbook_id = listening(stack, {"event": "action.completed"}, "{{ event.data.action.id }}")
    time.sleep(2)  # for this long workers remember that no playbook listened
    action = stack.api.create_action(config={"url": f"{stack.sink.url}/ok?first"})
    stack.api.ended(stack.api.trigger(action))
    eventually(lambda: one_completed_run(stack, playbook_id), 20, "the run has completed")
    assert len(stack.sink.arrivals(f"/ok?reported={action}")) == 1
    time.sleep(2)
    assert len(runs_of(stack, playbook_id)) == 1
    stack.api.http.post(f"/api/playbooks/{playbook_id}/disable")


def test_a_missed_schedule_is_a_failed_run(first_stack: Stack) -> None:
    """Its action is gone: the due time leaves a failed run with the reason, which the playbook shows too."""
    stack = first_stack
    playbook_id = listening(stack, {"event": "schedule", "cron": "0 0 1 1 *"}, "x")
    action = stack.api.http.get(f"/api/playbooks/{playbook_id}").json()["data"]["steps"][0]["action_ref"]
    refused = stack.api.http.delete(f"/api/actions/{action}")
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    assert stack.api.http.delete(f"/api/actions/{action}?force=true").status_code == 204
    due = stack.rows("SELECT created_at FROM playbooks WHERE id = :id", id=playbook_id)[0]["created_at"]
    stack.change("UPDATE playbooks SET fire_at = :due WHERE id = :id", due=due, id=playbook_id)
    eventually(lambda: runs_of(stack, playbook_id), 20, "the due time has left a run")
    (run,) = runs_of(stack, playbook_id)
    shown = stack.api.run_row(run["id"])
    assert (shown["status"], shown["error"]["code"]) == ("failed", "action_missing")
    playbook = stack.api.http.get(f"/api/playbooks/{playbook_id}").json()["data"]
    assert playbook["last_error"]["message"] == shown["error"]["message"]
    assert [problem["pointer"] for problem in playbook["problems"]] == ["/steps/0/action_ref"]
    assert stack.rows("SELECT 1 FROM audit WHERE event = 'playbook.not_fired' AND subject = :id", id=playbook_id)
    time.sleep(2.5)  # further ticks
    assert len(runs_of(stack, playbook_id)) == 1
    assert stack.api.http.delete(f"/api/playbooks/{playbook_id}").status_code == 204


@pytest.mark.gate
def test_a_failure_is_told_although_its_worker_is_killed(first_stack: Stack) -> None:
    """Between the end of a run and the start of the playbook that listens for it, worker and broker die."""
    stack = first_stack
    word = uuid.uuid4().hex
    slow = stack.api.create_action(config={"url": f"{stack.sink.url}/slow?seconds=3&for={word}"})
    steps = [
        {"id": "slow", "type": "action", "action_ref": slow},
        {"id": "break", "type": "condition", "expression": "nothing"},
    ]
    work = stack.api.create_playbook(steps=steps)
    tell = listening(stack, {"event": "playbook.failed", "conditions": {"id": work}}, f"{word}-told")
    time.sleep(2)  # for this long workers remember that no playbook listened
    run_id = stack.api.run(work)
    eventually(lambda: stack.sink.arrivals(f"/slow?seconds=3&for={word}"), 20, "the call is under way")
    stack.redis.kill()

    def ended() -> bool:
        return bool(stack.rows("SELECT 1 FROM executions WHERE id = :id AND status = 'failed'", id=run_id))

    eventually(ended, 30, "the run has failed", every=0.05)
    stack.kill("worker")
    assert runs_of(stack, tell) == []
    assert stack.rows("SELECT event FROM announcements WHERE execution_id = :id", id=run_id) == [
        {"event": "playbook.failed"}
    ]
    stack.redis.restart(empty=True)
    stack.restart("worker")
    eventually(lambda: one_completed_run(stack, tell), 60, "the failure was told")
    assert len(stack.sink.arrivals(f"/ok?reported={word}-told")) == 1
    time.sleep(2)
    assert len(runs_of(stack, tell)) == 1
    assert stack.rows("SELECT 1 FROM announcements") == []
    assert stack.api.http.delete(f"/api/playbooks/{tell}").status_code == 204
