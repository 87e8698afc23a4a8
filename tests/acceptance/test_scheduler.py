"""The scheduler is a thread of the control worker, or a process beside one that was started with ``-B``."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Process
from tests.support.stack import Stack
from tests.support.waiting import eventually

#: a control worker whose scheduler fails after a few ticks
_FAILING = """
import itertools, sys
from celery.beat import Scheduler
from worker import crew
ticks, tick = itertools.count(), Scheduler.tick
def fails_soon(self, *args, **options):
    if next(ticks) > 3:
        raise RuntimeError("no more")
    return tick(self, *args, **options)
Scheduler.tick = fails_soon
sys.exit(crew.main(["control"]))
"""

#: as docs/operations.md says for a worker that is started by hand
_BY_HAND = "exec celery -A worker worker -n control@%h -Q control -P threads -c 2 -B -s {var}/beat-schedule"


def _lives(pid: int, parent: int | None = None) -> bool:
    """Whether a process is there and no zombie (and has this parent)."""
    try:
        state, its_parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return False
    return state != "Z" and parent in (None, int(its_parent))


def _children(pid: int) -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _lives(int(entry.name), pid)]


@pytest.fixture
def by_hand(sqlite_stack: Stack, tmp_path: Path) -> Iterator[Process]:
    """A control worker that was started with Celery's own command in the place of ours, with its scheduler."""
    sqlite_stack.kill("beat")
    command = _BY_HAND.format(var=tmp_path)
    control = Process(["bash", "-c", command], tmp_path / "log", env=sqlite_stack.environment)
    try:
        eventually(lambda: _children(control.pid), 30, "the scheduler has been started")
        yield control
    finally:
        control.end()


def test_the_scheduler_is_a_thread_of_the_control_worker(sqlite_stack: Stack) -> None:
    """It costs no process; it rings: an execution whose message was lost is found."""
    assert _children(sqlite_stack.running["beat"].pid) == []
    sqlite_stack.kill("worker")
    execution_id = sqlite_stack.api.trigger(sqlite_stack.api.create_action(config={"url": sqlite_stack.sink.url}))
    sqlite_stack.redis.client().flushdb()
    sqlite_stack.start("worker")
    assert sqlite_stack.wait_ended([execution_id], 60)[execution_id]["status"] == "completed"


def test_a_worker_whose_scheduler_failed_ends_too(sqlite_stack: Stack, tmp_path: Path) -> None:
    """A tick that never comes again would stop all recovery unseen: the worker ends, to be started anew with it."""
    sqlite_stack.kill("beat")
    control = Process(["python", "-c", _FAILING], tmp_path / "log", env=sqlite_stack.environment)
    try:
        eventually(lambda: not control.alive(), 40, "the control worker has ended")
        assert control.popen.returncode == 1
        assert "the scheduler has died" in control.log.read_text()
    finally:
        control.end()


def test_a_worker_whose_scheduler_was_killed_ends_too(by_hand: Process) -> None:
    """The same with a scheduler that is a process of its own."""
    eventually(lambda: "ready" in by_hand.log.read_text(), 60, "the worker works")
    (scheduler,) = _children(by_hand.pid)
    os.kill(scheduler, signal.SIGKILL)
    eventually(lambda: not by_hand.alive(), 20, "the control worker has ended")
    assert "the scheduler has died" in by_hand.log.read_text()


def test_a_scheduler_whose_worker_was_killed_dies_too(by_hand: Process) -> None:
    """No orphan goes on scheduling beside the successor."""
    eventually(lambda: "ready" in by_hand.log.read_text(), 60, "the worker works")
    (scheduler,) = _children(by_hand.pid)
    os.kill(by_hand.pid, signal.SIGKILL)
    assert eventually(lambda: not _lives(scheduler), 10, "the scheduler is gone")
