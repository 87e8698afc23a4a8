"""Flower shows a run as its tree of tasks, without any value."""

from collections import Counter

import pytest

from tests.acceptance.conftest import Stacks
from tests.support.flower import Flower
from tests.support.playbooks import Kit, delay, for_each, parallel, step_rows
from tests.support.stack import Stack
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def flower(stacks: Stacks) -> Flower:
    """Flower, with workers that report tasks; the product's next ``heal`` ends it."""
    shown = Flower(stacks.of("sqlite"))
    shown.start()
    shown.wait_for_tasks()
    return shown


def shown_tasks(flower: Flower, run_id: str, count: int) -> dict[str, dict]:
    """Flower's tasks of a run, once that many have succeeded."""

    def look() -> dict[str, dict] | None:
        mine = {name: task for name, task in flower.tasks().items() if name.startswith(run_id)}
        return mine if len(mine) >= count and {task["state"] for task in mine.values()} == {"SUCCESS"} else None

    return eventually(look, 20, f"Flower shows {count} tasks of {run_id}", every=0.3)


@pytest.mark.gate
def test_flower_shows_each_step_of_a_run(flower: Flower) -> None:
    """Every step is a task with its name and id."""
    check_sequence(flower.stack, flower)
    check_chord(flower.stack, flower)


def check_sequence(stack: Stack, flower: Flower) -> None:
    """Six steps one after the other."""
    kit = Kit(stack)
    run_id = stack.api.run(kit.playbook(*[kit.act(f"s{number}") for number in range(6)]))
    assert stack.api.run_ended(run_id)["status"] == "completed"
    tasks = shown_tasks(flower, run_id, 7)
    assert set(tasks) == {run_id, *(f"{run_id}.s{number}" for number in range(6))}
    assert tasks[run_id]["name"] == "tocsin.begin"
    assert {task["name"] for name, task in tasks.items() if name != run_id} == {"tocsin.step"}
    for name, task in tasks.items():
        details = flower.get(f"/api/task/info/{name}").json()
        assert (details.get("root_id") or details.get("root") or task.get("root")) == run_id, details
        assert name in task["args"]
    assert kit.action() in tasks[f"{run_id}.s3"]["args"]


def check_chord(stack: Stack, flower: Flower) -> None:
    """Check that every row of a run is a task: iterations, containers and waits included, joins not."""
    kit = Kit(stack)
    branches = parallel("p", [kit.act("x1"), kit.act("x2")], [kit.slow("y1", 0.3)], [kit.act("z1")])
    items = for_each("e", [1, 2, 3], kit.act("w"), max_concurrency=2)
    run_id = stack.api.run(kit.playbook(kit.act("a"), branches, kit.act("b"), items, delay("rest", 0.2), kit.act("c")))
    assert stack.api.run_ended(run_id)["status"] == "completed"
    rows = {row["id"]: row for row in step_rows(stack, [run_id])[run_id]}
    assert Counter(row["type"] for row in rows.values()) == {"action": 10, "parallel": 1, "for_each": 1, "delay": 1}
    tasks = shown_tasks(flower, run_id, len(rows) + 1)
    assert tasks.keys() == {run_id, *rows}
    assert {tasks[name]["name"] for name in rows} == {"tocsin.step"}
    assert tasks[f"{run_id}.x1"]["parent"] == f"{run_id}.p"
    assert {task["state"] for task in tasks.values()} == {"SUCCESS"}


@pytest.mark.gate
def test_flower_shows_each_step_after_the_broker_was_away(flower: Flower) -> None:
    """Workers that reconnected to Redis report steps carried out in place."""
    flower.stack.redis.kill()
    flower.stack.redis.start()
    flower.wait_for_tasks()
    check_sequence(flower.stack, flower)


def test_flower_shows_no_secret_of_a_run(flower: Flower) -> None:
    """Flower shows no secret that travels through steps, branches and inner playbooks."""
    stack = flower.stack
    kit, canary = Kit(stack), "canary-4f1d0c77b2"
    secret = [{"name": "token", "type": "secret", "required": True}]
    used = "{{ parameters.token }}"
    tail = kit.playbook(kit.act("c1", message=used), parameters=secret)
    loose = kit.playbook(kit.act("c2", message=used))
    run_id = stack.api.run(
        kit.playbook(
            kit.act("a", "parrot/200", message=used),
            parallel("p", [kit.act("x", message=used)], [kit.act("y", message="{{ steps.a.output.message }}")]),
            {"id": "sub", "type": "playbook", "playbook_ref": tail, "parameters": {"token": used}},
            {"id": "loose", "type": "playbook", "playbook_ref": loose, "parameters": {"token": used}},
            parameters=secret,
        ),
        {"token": canary},
    )
    assert stack.api.run_ended(run_id)["status"] == "completed"
    assert [canary in call.body for call in kit.calls() if call.key.endswith((".x", ".c1", ".c2"))] == [True] * 3
    tasks = eventually(
        lambda: {name: task for name, task in flower.tasks().items() if name.startswith(run_id)}, 20, "Flower shows it"
    )
    pages = ["/api/tasks", "/api/workers", *(f"/api/task/info/{name}" for name in tasks)]
    for page in pages:
        assert canary not in flower.get(page).text, page
    assert canary not in str(stack.rows("SELECT * FROM executions"))
    assert canary not in stack.api.http.get(f"/api/playbooks/executions/{run_id}").text
