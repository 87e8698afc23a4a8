"""Events, schedules and completed actions start playbooks, on real processes."""

import time
import uuid
from typing import Any

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
    assert answers[0].json() == answers[1].json()
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
