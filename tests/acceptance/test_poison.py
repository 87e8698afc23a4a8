"""Actions that kill or freeze their worker fail with a clear code."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.stack import Stack

HANDLERS = {"type": "script", "executor": "local"}


def bash(script: str) -> dict:
    """The definition of an action that runs a script."""
    return {**HANDLERS, "config": {"interpreter": "bash", "script": script}}


def handler(name: str) -> dict:
    """The definition of an action that runs one of the operator's functions."""
    return {**HANDLERS, "config": {"handler": name}}


@contextmanager
def supervised(stack: Stack, name: str) -> Iterator[None]:
    """Start a process again whenever it ends, as a supervisor would."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            if not stack.running[name].alive():
                stack.start(name)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def check(stack: Stack, poisons: dict[str, tuple[dict, set[str]]], neighbours: list[dict], seconds: float) -> None:
    """Run all poisons at once; each ends as expected, every neighbour completes."""
    create, trigger = stack.api.create_action, stack.api.trigger
    running = {name: trigger(create(**{"timeout_seconds": 30, **wanted})) for name, (wanted, _) in poisons.items()}
    innocent = [trigger(create(**wanted, timeout_seconds=30)) for wanted in neighbours]
    rows = stack.wait_ended([*running.values(), *innocent], seconds)
    for name, execution in running.items():
        codes = poisons[name][1]
        seen = stack.api.execution(execution)
        assert seen["status"] in ("failed", "timeout"), (name, seen)
        assert seen["error"]["code"] in codes, (name, seen)
        assert seen["error"]["message"]
        at_most_once = not poisons[name][0].get("idempotent", True)
        assert rows[execution]["attempt"] == (1 if at_most_once else rows[execution]["attempt"]), name
        assert seen["error"]["outcome_unknown"] is at_most_once, (name, seen)
    assert [rows[execution]["status"] for execution in innocent] == ["completed"] * len(innocent)


@pytest.mark.parametrize("every", [pytest.param(False, id="two"), pytest.param(True, id="all", marks=pytest.mark.gate)])
def test_poison_ends_and_spares_its_neighbours(sqlite_stack: Stack, every: bool) -> None:
    """Functions that end, kill or block their process fail or time out."""
    url = sqlite_stack.sink.url
    lost, late = {"attempts_exhausted"}, {"timeout"}
    poisons = {
        "ends its process": (handler("exit_now"), lost),
        "kills the worker": (handler("kill_parent"), lost),
        "ends its process, at most once": ({**handler("exit_now"), "idempotent": False}, {"worker_lost"}),
        "never returns": ({**handler("spin"), "timeout_seconds": 2}, late),
        "never returns from C": ({**handler("spin_in_c"), "timeout_seconds": 2}, late),
        "never returns, at most once": ({**handler("spin"), "timeout_seconds": 2, "idempotent": False}, late),
        "catches everything": ({**handler("swallow_everything"), "timeout_seconds": 2}, late),
    }
    if not every:
        poisons = {name: poisons[name] for name in ("ends its process, at most once", "never returns from C")}
    neighbours = [{"config": {"url": f"{url}/ok?neighbour"}}] * 10
    with supervised(sqlite_stack, "scripts"):
        check(sqlite_stack, poisons, neighbours, seconds=180)
        after = [sqlite_stack.api.trigger(sqlite_stack.api.create_action(**bash("echo alive"))) for _ in range(4)]
        rows = sqlite_stack.wait_ended(after, 30)
        assert {row["status"] for row in rows.values()} == {"completed"}


def test_malicious_scripts_end_and_spare_their_neighbours(sqlite_stack: Stack) -> None:
    """Scripts that loop, fork or kill are stopped, the worker unharmed."""
    pid = sqlite_stack.running["scripts"].pid
    ended = {"script_failed", "script_limit"}
    poisons = {
        "loops": ({**bash("while true; do :; done"), "timeout_seconds": 2}, {"timeout", *ended}),
        "kills its parent": (bash("kill -9 $PPID; kill -9 -1; exit 3"), ended),
        "forks for ever": ({**bash("b() { b | b & }; b; sleep 20"), "timeout_seconds": 5}, {"timeout", *ended}),
    }
    neighbours = [bash("echo '{\"ok\": true}'")] * 4
    check(sqlite_stack, poisons, neighbours, seconds=120)
    assert sqlite_stack.running["scripts"].pid == pid
    assert sqlite_stack.running["scripts"].alive()
