"""Flower shows executions under their ids, and none of their parameters."""

import httpx
import pytest

from tests.acceptance.conftest import Stacks
from tests.support.flower import Flower
from tests.support.stack import FLOWER_LOGIN
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def flower(stacks: Stacks) -> Flower:
    """Flower next to the product; the product's next ``heal`` ends it."""
    shown = Flower(stacks.of("sqlite"))
    shown.start()
    return shown


def test_flower_shows_executions_and_no_parameters(flower: Flower) -> None:
    """A task has its execution's id and names its action, nothing else."""
    stack = flower.stack
    flower.wait_for_tasks()
    parameters = [{"name": "word", "type": "string", "required": True}]
    action_id = stack.api.create_action(
        parameters=parameters, config={"url": f"{stack.sink.url}/ok", "body": {"word": "{{ word }}"}}
    )
    execution = stack.api.trigger(action_id, {"word": "unmistakable"})
    assert stack.api.ended(execution)["status"] == "completed"
    task = eventually(lambda: flower.tasks().get(execution), 60, "Flower shows the execution")
    assert task["name"] == "tocsin.run"
    assert action_id in task["args"]
    assert execution in task["args"]
    assert "unmistakable" not in flower.get("/api/tasks").text


def test_flower_requires_the_password(flower: Flower) -> None:
    """Neither pages nor API answer without a login; revoking is refused."""
    for path in ("/", "/api/tasks", "/api/workers", "/tasks", "/metrics"):
        assert httpx.get(f"{flower.url}{path}", timeout=60).status_code == 401
        assert httpx.get(f"{flower.url}{path}", auth=("tests", "wrong"), timeout=60).status_code == 401
    revoke = httpx.post(f"{flower.url}/api/task/revoke/exec-1", auth=FLOWER_LOGIN, timeout=60)
    assert revoke.status_code in (403, 404, 405)


def test_flower_figures_are_for_the_password_and_guessers_wait(flower: Flower) -> None:
    """Metrics need the password, liveness none; guessers are throttled."""
    assert "flower" in flower.get("/metrics").text
    assert httpx.get(f"{flower.url}/healthcheck", timeout=60).text == "OK"
    tries = [httpx.get(f"{flower.url}/api/workers", auth=("tests", str(n)), timeout=60).status_code for n in range(40)]
    assert tries[0] == 401
    assert tries[-1] == 429
    assert flower.get("/api/workers").status_code == 429
    assert httpx.get(f"{flower.url}/healthcheck", timeout=60).status_code == 200
