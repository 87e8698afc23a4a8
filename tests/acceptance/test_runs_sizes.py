"""Large and many runs end, with small messages and steady memory."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.playbooks import repeated, step_rows
from tests.support.stack import Stack

#: how long any of the large runs may take, seconds
PATIENCE = 240
#: no command to Redis is longer, bytes
LARGEST_MESSAGE = 64 * 1024
#: what the workers together may gain over the runs that are measured, MiB
DEFAULT_GROWTH, LONG_GROWTH = 16, 24


class Watch:
    """Watches Redis for the largest command sent to it, by name."""

    def __init__(self) -> None:
        self.largest: Counter[str] = Counter()

    @contextmanager
    def on(self, stack: Stack) -> Iterator[None]:
        """Watch until the block ends."""
        client, over = stack.redis.client(), "watch is over"

        def listen() -> None:
            for heard in monitor.listen():
                command = heard["command"]
                if over in command:
                    return
                name = command.split(" ")[0]
                self.largest[name] = max(self.largest[name], len(command))

        with client.monitor() as monitor:
            listener = threading.Thread(target=listen)
            listener.start()
            try:
                yield
            finally:
                stack.redis.client().echo(over)
                listener.join()


def action(stack: Stack, action_id: str, path: str = "ok") -> str:
    """The id of an action that calls the receiver at this path."""
    if stack.api.http.get(f"/api/actions/{action_id}").status_code == 200:
        return action_id
    config = {"url": f"{stack.sink.url}/{path}", "body": {"message": "{{ message }}"}}
    parameter = {"name": "message", "type": "string", "required": False, "default": "hello"}
    return stack.api.create_action(id=action_id, config=config, parameters=[parameter])


def act(step_id: str, action_id: str, **more: Any) -> dict[str, Any]:
    """A step that calls it."""
    return {"id": step_id, "type": "action", "action_ref": action_id, **more}


def finished(stack: Stack, *steps: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """Run these steps to completion: rows, and calls in order of arrival."""
    watch = Watch()
    with watch.on(stack):
        run_id = stack.api.run(stack.api.create_playbook(steps=list(steps)))
        ended = stack.wait_ended([run_id], PATIENCE)
    assert ended[run_id]["status"] == "completed", ended[run_id]["error"]
    assert 0 < max(watch.largest.values()) < LARGEST_MESSAGE, watch.largest
    rows = step_rows(stack, [run_id])[run_id]
    assert {row["status"] for row in rows} == {"completed"}
    calls = [call.key.partition(".")[2] for call in stack.sink.arrivals() if call.key.startswith(run_id)]
    assert not repeated([row for row in rows if row["type"] == "action"], stack.sink.keys())
    return rows, list(dict.fromkeys(calls))


def most_at_once(rows: list[dict[str, Any]]) -> int:
    """The most of these steps under way together; ends precede simultaneous starts."""
    moments = sorted([(row["started_at"], 1) for row in rows] + [(row["completed_at"], -1) for row in rows])
    now = most = 0
    for _, change in moments:
        now += change
        most = max(most, now)
    return most


@pytest.mark.parametrize("number", [200, pytest.param(1000, marks=pytest.mark.gate)])
def test_many_steps_one_after_the_other(first_stack: Stack, number: int) -> None:
    """Steps with the longest names run once, in order, in small messages."""
    tell = action(first_stack, "a" * 128)
    ids = [f"{place:04d}{'s' * 60}" for place in range(number)]
    _, calls = finished(first_stack, *(act(step_id, tell) for step_id in ids))
    assert calls == ids


@pytest.mark.parametrize("number", [100, pytest.param(500, marks=pytest.mark.gate)])
def test_many_steps_side_by_side(first_stack: Stack, number: int) -> None:
    """Parallel steps are called once, then the step after them."""
    tell = action(first_stack, "tell")
    branches = [[act(f"b{place}", tell)] for place in range(number)]
    rows, calls = finished(first_stack, {"id": "all", "type": "parallel", "branches": branches}, act("after", tell))
    assert len(rows) == number + 2
    assert calls[-1] == "after"
    assert sorted(calls[:-1]) == sorted(f"b{place}" for place in range(number))


@pytest.mark.chaos
def test_a_thousand_items_twenty_at_a_time(postgresql_stack: Stack) -> None:
    """Each item has its iteration; two to twenty are under way together."""
    body = act(
        "tell",
        action(postgresql_stack, "slowly", "slow?seconds=0.01"),
        parameters={"message": "{{ item }} {{ index }}"},
    )
    items = [f"item {number}" for number in range(1000)]
    each = {"id": "each", "type": "for_each", "items": items, "max_concurrency": 20, "steps": [body]}
    rows, calls = finished(postgresql_stack, each, act("after", action(postgresql_stack, "tell")))
    assert calls[-1] == "after"
    assert sorted(calls[:-1]) == sorted(f"tell.{number}" for number in range(1000))
    assert 2 <= most_at_once([row for row in rows if row["step_id"] == "tell"]) <= 20


def memory(stack: Stack) -> float:
    """What the workers' processes hold together, MiB (shared pages shared out)."""
    groups = {stack.running[name].pid for name in ("worker", "scripts", "beat")}
    total = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if int((place / "stat").read_text().rpartition(")")[2].split()[2]) in groups:
                lines = (place / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue  # it has ended meanwhile
    return total / 1024


def many_runs(stack: Stack, playbook_id: str, number: int) -> None:
    """Run a playbook ``number`` times, up to a hundred runs at once."""
    while number > 0:
        run_ids = [stack.api.run(playbook_id, {"text": "x" * 2000}) for _ in range(min(number, 100))]
        ended = stack.wait_ended(run_ids, PATIENCE)
        assert {row["status"] for row in ended.values()} == {"completed"}
        number -= len(run_ids)


@pytest.fixture
def varied(sqlite_stack: Stack) -> str:
    """A small playbook with something of everything."""
    tell = action(sqlite_stack, "tell")
    body = act("turn", tell, parameters={"message": "{{ text }} {{ item }}"})
    return sqlite_stack.api.create_playbook(
        steps=[
            act("first", tell, outputs={"seen": "{{ output.ok }}"}),
            {"id": "ask", "type": "condition", "expression": "vars.seen == true", "on_false": "end"},
            {"id": "both", "type": "parallel", "branches": [[act("left", tell)], [act("right", tell)]]},
            {"id": "each", "type": "for_each", "items": ["a", "b"], "steps": [body]},
        ]
    )


@pytest.mark.chaos
def test_many_runs_leave_the_workers_as_they_were(sqlite_stack: Stack, varied: str) -> None:
    """After 100 warm-up runs, 200 more grow the workers by noise only."""
    many_runs(sqlite_stack, varied, 100)
    before = memory(sqlite_stack)
    assert before > 0
    many_runs(sqlite_stack, varied, 200)
    assert memory(sqlite_stack) - before < DEFAULT_GROWTH


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_ten_thousand_runs_leave_the_workers_as_they_were(sqlite_stack: Stack, varied: str) -> None:
    """The same with 2,000 and 8,000 runs."""
    many_runs(sqlite_stack, varied, 2000)
    before = memory(sqlite_stack)
    many_runs(sqlite_stack, varied, 8000)
    assert memory(sqlite_stack) - before < LONG_GROWTH
