"""The engine runs random playbooks as the reference interpreter (``tests.support.reference``) does.

All playbooks of a batch run at the same time on the real broker and workers. Of one that differs, smaller and smaller
playbooks are tried, and the smallest that still differs is shown.
"""

import json
from collections import Counter
from typing import Any

import pytest

from playbooks import plan as graphs
from playbooks.definitions.normalise import normalise
from playbooks.progress import progress
from tests.support.playbooks import step_rows
from tests.support.random_playbooks import smaller, some
from tests.support.reference import ACTIONS, PLAYBOOKS, Reference
from tests.support.stack import Stack

#: how long a batch may take, seconds
PATIENCE = 120


@pytest.fixture
def bench(first_stack: Stack) -> Stack:
    """The product, with what the random playbooks call."""
    if first_stack.api.http.get("/api/playbooks/pb-ref-bad").status_code == 200:
        return first_stack
    for action_id, failing in ACTIONS.items():
        path = "status/500" if failing is None else f"fail-first/{failing}"
        first_stack.api.create_action(
            id=action_id,
            config={"url": f"{first_stack.sink.url}/{path}", "method": "POST"},
            retry={"max_attempts": 1, "backoff_seconds": 0, "jitter": False},
        )
    for playbook_id, status in PLAYBOOKS.items():
        action = "ref-ok" if status == "completed" else "ref-bad"
        first_stack.api.create_playbook(id=playbook_id, steps=[{"id": "only", "type": "action", "action_ref": action}])
    return first_stack


def differences(stack: Stack, definitions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The differences between engine and reference by playbook; empty where they agree."""
    run_ids = [stack.api.run(stack.api.create_playbook(**definition)) for definition in definitions]
    ended = stack.wait_ended(run_ids, PATIENCE)
    rows, calls = step_rows(stack, run_ids), stack.sink.keys()
    return [
        compared(definition, ended[run_id]["status"], rows[run_id], calls)
        for definition, run_id in zip(definitions, run_ids, strict=True)
    ]


def compared(
    definition: dict[str, Any], status: str, rows: list[dict[str, Any]], calls: Counter[str]
) -> dict[str, Any]:
    """Thing → (as the reference has it, as it was)."""
    expected = Reference(definition)
    seen: dict[Any, Any] = {"run": status}
    wanted: dict[Any, Any] = {"run": expected.status}
    for row in rows:
        place = (row["step_id"], row["iteration"])
        seen[place], seen["calls", *place] = row["status"], calls[row["id"]]
    for place, state in expected.states.items():
        wanted[place], wanted["calls", *place] = state, expected.calls[place]
    for state in progress(graphs.compile(normalise({"name": "x", **definition})), status, rows):
        iterations = [place for place in expected.states if place[0] == state.node.id]
        last = max(
            iterations, key=lambda place: [int(number) for number in place[1].split(".") if number], default=None
        )
        seen["shown", state.node.id] = state.status
        wanted["shown", state.node.id] = expected.states[last] if last else "skipped"
    return {
        str(key): (wanted.get(key), seen.get(key)) for key in {**wanted, **seen} if wanted.get(key) != seen.get(key)
    }


def smallest(stack: Stack, definition: dict[str, Any]) -> str:
    """The smallest playbook found that differs, as JSON, with the difference."""
    difference = differences(stack, [definition])[0]
    for _ in range(20):
        valid = [one for one in smaller(definition) if is_valid(stack, one)][:60]
        found = differences(stack, valid)
        definition, difference = next(
            ((one, what) for one, what in zip(valid, found, strict=True) if what), (definition, difference)
        )
        if not any(found):
            break
    return f"(expected, seen): {difference}\n{json.dumps(definition, indent=1)}"


def is_valid(stack: Stack, definition: dict[str, Any]) -> bool:
    """Whether the product would take it."""
    answer = stack.api.http.post("/api/playbooks/validate", json={"name": "smaller", **definition})
    return answer.json()["valid"]


def first_difference(stack: Stack, number: int, seed: int) -> str | None:
    """The first playbook of a batch that differs, and how; or None."""
    batch = some(number, seed)
    for definition, found in zip(batch, differences(stack, batch), strict=True):
        if found:
            return f"{found}\n{json.dumps(definition)}\nthe smallest: {smallest(stack, definition)}"
    return None


def test_random_playbooks_run_as_described(bench: Stack) -> None:
    """80 random playbooks have the states and calls that the reference has."""
    assert first_difference(bench, 80, seed=1) is None


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(2, 6))
def test_random_playbooks_run_as_described_at_length(bench: Stack, seed: int) -> None:
    """The same with more."""
    assert first_difference(bench, 40, seed) is None


def say(step_id: str, message: str = "hello", **more: Any) -> dict[str, Any]:
    """A step whose output is the text it was passed: ``output.m``."""
    return {"id": step_id, "type": "action", "action_ref": "ref-say", "parameters": {"message": message}, **more}


@pytest.fixture
def talking(bench: Stack) -> Stack:
    """The product, with an action that answers the text it is passed."""
    if bench.api.http.get("/api/actions/ref-say").status_code != 200:
        config = {"url": f"{bench.sink.url}/parrot/200", "body": {"m": "{{ message }}"}}
        bench.api.create_action(id="ref-say", config=config, parameters=[{"name": "message", "type": "string"}])
    return bench


def test_loops_inside_parallel_iterations_read_their_own_steps(talking: Stack) -> None:
    """A loop inside a parallel iteration decides by its own answers."""
    until = "index == 0 || steps.poll.output.m != item + '-' + item"
    asking = {"id": "asking", "type": "loop", "while": until, "steps": [say("poll", "{{ item }}-{{ index }}")]}
    after = say("after", "{{ steps.poll.output.m }}")
    each = {"id": "each", "type": "for_each", "items": list("1234"), "max_concurrency": 4, "steps": [asking, after]}
    run_id = talking.api.run(talking.api.create_playbook(steps=[each, say("last", "{{ steps.poll.output.m }}")]))
    assert talking.wait_ended([run_id], PATIENCE)[run_id]["status"] == "completed"
    rows = {row["id"].partition(".")[2]: json.loads(row["output"]) for row in step_rows(talking, [run_id])[run_id]}
    for number in range(4):
        assert rows[f"asking.{number}"] == {"iterations": number + 2}
        assert rows[f"after.{number}"] == {"m": f"{number + 1}-{number + 1}"}
    assert rows["last"] == {"m": "4-4"}


def test_a_playbook_that_takes_too_long_is_ended_with_its_step(talking: Stack) -> None:
    """A playbook step that times out cancels its run, and fails."""
    child = talking.api.create_playbook(steps=[{"id": "long", "type": "delay", "seconds": 600}, say("never")])
    step = {"id": "sub", "type": "playbook", "playbook_ref": child, "timeout_seconds": 1, "on_failure": "then"}
    run_id = talking.api.run(talking.api.create_playbook(steps=[step, say("then")]))
    assert talking.wait_ended([run_id], PATIENCE)[run_id]["status"] == "completed"
    rows = {row["step_id"]: row for row in step_rows(talking, [run_id])[run_id]}
    assert (rows["sub"]["status"], rows["then"]["status"]) == ("failed", "completed")
    assert json.loads(rows["sub"]["error"])["code"] == "timeout"
    child_id = json.loads(rows["sub"]["output"])["execution_id"]
    assert talking.wait_ended([child_id], PATIENCE)[child_id]["status"] == "cancelled"


def test_a_secret_in_the_id_of_a_step_leads_nowhere_else(talking: Stack) -> None:
    """A decision on a masked value leads where it should."""
    choose = {"id": "choose", "type": "condition", "expression": "token == 'block'", "on_true": "block-host"}
    secret = {"name": "token", "type": "secret", "required": True}
    playbook_id = talking.api.create_playbook(parameters=[secret], steps=[choose, say("no"), say("block-host")])
    run_id = talking.api.run(playbook_id, {"token": "block"})
    assert talking.wait_ended([run_id], PATIENCE)[run_id]["status"] == "completed"
    rows = {row["step_id"]: row for row in step_rows(talking, [run_id])[run_id]}
    assert set(rows) == {"choose", "block-host"}
    assert "block" not in rows["choose"]["output"]
