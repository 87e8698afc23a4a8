"""Flower shows every execution in the state that its row has, and no value of it."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.acceptance.conftest import Stacks
from tests.support.failures import CANARY, Failures
from tests.support.flower import Flower
from tests.support.playbooks import Kit, for_each, parallel
from tests.support.stack import Stack
from tests.support.waiting import eventually

STATES = {"completed": "SUCCESS", "failed": "FAILURE", "timeout": "FAILURE", "cancelled": "REVOKED"}
#: one failure for each way to end: by the worker, in place, in a batch, by a person, by tick
CORE = (
    "answered 500",
    "many together",
    "fails twice, then works",
    "cancelled while running",
    "cancelled before a retry",
    "branch fails",
    "item fails",
    "inner playbook fails",
    "approval rejected",
    "approval expired",
    "dry run",
)


def watched(stack: Stack) -> Flower:
    """Flower next to the product, with a report of everything from now on."""
    shown = Flower(stack)
    shown.start()
    shown.wait_for_tasks()
    return shown


def begin(wanted: Iterable[tuple[str, Callable[[], Any]]]) -> None:
    """Start executions; a failure says which."""
    for name, start in wanted:
        try:
            start()
        except AssertionError as error:
            raise AssertionError(name) from error


def rows_since(stack: Stack, before: set[str]) -> dict[str, dict[str, Any]]:
    """Id → row of each execution that is new and not skipped."""
    found = stack.rows("SELECT id, kind, status, attempt, error FROM executions")
    return {row["id"]: row for row in found if row["id"] not in before and row["status"] != "skipped"}


def all_ended(stack: Stack, before: set[str]) -> dict[str, dict[str, Any]]:
    """The new rows once all have ended."""

    def look() -> dict[str, dict[str, Any]] | None:
        rows = rows_since(stack, before)
        return rows if all(row["status"] in STATES for row in rows.values()) else None

    return eventually(look, 120, "everything has ended", every=0.5)


def same_states(flower: Flower, rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Flower's tasks of these rows, once each has the state of its row."""
    wanted = {name: STATES[row["status"]] for name, row in rows.items()}

    def differences() -> dict[str, tuple[Any, str]]:
        tasks = flower.tasks()
        seen = {name: tasks.get(name, {}).get("state") for name in wanted}
        return {name: (seen[name], state) for name, state in wanted.items() if seen[name] != state}

    def look() -> bool:
        return not differences()

    try:
        eventually(look, 30, "Flower shows what the database says", every=0.5)
    except AssertionError as error:
        raise AssertionError(f"(Flower's state, the row's): {differences()}") from error
    return {name: task for name, task in flower.tasks().items() if name in wanted}


def check(flower: Flower, before: set[str]) -> dict[str, dict[str, Any]]:
    """Compare Flower with the database; returns the tasks."""
    rows = all_ended(flower.stack, before)
    tasks = same_states(flower, rows)
    assert Counter(task["state"] for task in tasks.values()) == Counter(STATES[row["status"]] for row in rows.values())
    known = {row["id"] for row in flower.stack.rows("SELECT id FROM executions")}
    assert flower.tasks().keys() <= known, "no task but executions: no tick, no probe, no join, no batch"
    for name, row in rows.items():
        if tasks[name]["state"] == "FAILURE":
            code = json.loads(row["error"])["code"]
            assert tasks[name]["exception"].startswith(f"{code}: "), (name, tasks[name]["exception"])
        assert name in tasks[name]["args"]
    return tasks


def check_no_value(flower: Flower, tasks: dict[str, dict[str, Any]]) -> None:
    """No page of Flower has the value that all executions were given."""
    pages = ["/api/tasks", "/api/workers?refresh=1", "/metrics", "/tasks", "/workers", "/"]
    pages += [f"{place}/{name}" for name in tasks for place in ("/api/task/info", "/task")]
    for page in pages:
        answer = flower.get(page)
        assert answer.status_code == 200, page
        assert CANARY not in answer.text, page


def check_leads(flower: Flower, tasks: dict[str, dict[str, Any]]) -> None:
    """The id of each task leads to its execution in the API, as docs/operations.md says."""
    api = flower.stack.api
    for name, task in tasks.items():
        if task["name"] == "tocsin.run":
            assert api.execution(name)["execution_id"] == name
        elif task["name"] == "tocsin.begin":
            assert api.run_row(name)["execution_id"] == name
        else:
            run_id, _, rest = name.partition(".")
            assert task["root_id"] == run_id or task.get("root") == run_id
            assert rest.partition(".")[0] in {step["step_id"] for step in api.steps(run_id)}


def test_flower_shows_how_executions_end(stacks: Stacks) -> None:
    """A core of failures: states, counts and codes are those of the database."""
    flower = watched(stacks.of("sqlite"))
    failures, before = Failures(Kit(flower.stack)), {*rows_since(flower.stack, set())}
    ways = failures.short()
    begin((name, ways[name]) for name in CORE)
    tasks = check(flower, before)
    assert {"SUCCESS", "FAILURE", "REVOKED"} == {task["state"] for task in tasks.values()}
    retried = [task for task in tasks.values() if task.get("retried")]
    assert any(task["state"] == "SUCCESS" and task["retries"] == 2 for task in retried)
    check_no_value(flower, dict(list(tasks.items())[:10]))
    check_leads(flower, tasks)


@pytest.mark.gate
def test_flower_shows_every_kind_of_failure(sqlite_stack: Stack) -> None:
    """All ways to fail, and no page has a value."""
    flower = watched(sqlite_stack)
    failures, before = Failures(Kit(flower.stack)), {*rows_since(flower.stack, set())}
    begin({**failures.short(), **failures.long()}.items())
    tasks = check(flower, before)
    check_no_value(flower, tasks)
    check_leads(flower, tasks)


@pytest.mark.gate
def test_failures_change_no_delivery(stacks: Stacks) -> None:
    """A chain goes on, a chord's body runs once and every message is acknowledged, while Flower shows failures."""
    flower = watched(stacks.of("sqlite"))
    stack, kit = flower.stack, Kit(flower.stack)
    before = {*rows_since(stack, set())}
    branches = [[kit.act(f"x{number}", "parrot/500" if number % 2 else "ok")] for number in range(6)]
    wide = kit.playbook(
        kit.act("first", "parrot/500"),
        parallel("p", *branches),
        kit.act("between"),
        for_each("e", [1, 2], kit.act("w", "parrot/500"), continue_on_error=True),
        kit.act("last"),
        on_failure="continue",
    )
    runs = [stack.api.run(wide) for _ in range(4)]
    tasks = check(flower, before)
    for run_id in runs:
        assert tasks[run_id]["state"] == "SUCCESS"
        called = Counter(kit.called(run_id))
        assert called == Counter(
            {"first": 1, "between": 1, "last": 1, "w.0": 1, "w.1": 1, **{f"x{n}": 1 for n in range(6)}}
        )
    redis = stack.redis.client()

    def unacknowledged() -> list[str]:
        return [run_id for run_id in runs for text in redis.hvals("unacked") if run_id in str(text)]

    eventually(lambda: not unacknowledged(), 20, "every message is acknowledged")
    assert not any(redis.llen(queue) for queue in ("urgent", "steps", "notifications", "bulk", "slow"))
