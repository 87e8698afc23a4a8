"""The scheduler is a thread of the control worker, or its child."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Process
from tests.support.stack import Stack
from tests.support.waiting import eventually

#: a control worker whose scheduler fails after a few ticks
_FAILING = """
import itertools, sys
from worker import supervisor
from worker.intervals import Intervals
ticks, tick = itertools.count(), Intervals.tick
def fails_soon(self, *args, **options):
    if next(ticks) > 3:
        raise RuntimeError("no more")
    return tick(self, *args, **options)
Intervals.tick = fails_soon
sys.exit(supervisor.main(["control"]))
"""

#: a control worker that checks its tick often; the tick hangs while the file exists
_HANGING = """
import pathlib, sys, time
from tasks.entrypoints import tick
from tasks.clock.duty import Duty
from worker import heartbeat, supervisor, watch
heartbeat.EVERY, watch.LOOKS = 0.5, 6
flag = pathlib.Path(sys.argv[1])
def hangs(_):
    while flag.exists():
        time.sleep(0.1)
    return 0
tick.DUTIES = (Duty("hanging", hangs), *tick.DUTIES)
sys.exit(supervisor.main(["control"]))
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
    """A control worker started by Celery's own command, with its scheduler."""
    sqlite_stack.kill("beat")
    command = _BY_HAND.format(var=tmp_path)
    control = Process(["bash", "-c", command], tmp_path / "log", env=sqlite_stack.environment)
    try:
        eventually(lambda: _children(control.pid), 30, "the scheduler has been started")
        yield control
    finally:
        control.end()


def test_the_scheduler_is_a_thread_of_the_control_worker(sqlite_stack: Stack) -> None:
    """The scheduler needs no process and recovers an execution without a message."""
    assert _children(sqlite_stack.running["beat"].pid) == []
    sqlite_stack.kill("worker")
    execution_id = sqlite_stack.api.trigger(sqlite_stack.api.create_action(config={"url": sqlite_stack.sink.url}))
    sqlite_stack.redis.client().flushdb()
    sqlite_stack.start("worker")
    assert sqlite_stack.wait_ended([execution_id], 60)[execution_id]["status"] == "completed"


@pytest.mark.gate
def test_a_worker_whose_scheduler_failed_ends_too(sqlite_stack: Stack, tmp_path: Path) -> None:
    """A worker whose scheduler failed ends, so that the supervisor restarts both."""
    sqlite_stack.kill("beat")
    control = Process(["python", "-c", _FAILING], tmp_path / "log", env=sqlite_stack.environment)
    try:
        eventually(lambda: not control.alive(), 40, "the control worker has ended")
        assert control.popen.returncode == 1
        assert "scheduler died" in control.log.read_text()
    finally:
        control.end()


@pytest.mark.gate
def test_a_worker_whose_scheduler_was_killed_ends_too(by_hand: Process) -> None:
    """The same with a scheduler that is a process of its own."""
    eventually(lambda: "ready" in by_hand.log.read_text(), 60, "the worker works")
    (scheduler,) = _children(by_hand.pid)
    os.kill(scheduler, signal.SIGKILL)
    eventually(lambda: not by_hand.alive(), 20, "the control worker has ended")
    assert "scheduler died" in by_hand.log.read_text()


def test_a_scheduler_whose_worker_was_killed_dies_too(by_hand: Process) -> None:
    """No orphan goes on scheduling in parallel with its successor."""
    eventually(lambda: "ready" in by_hand.log.read_text(), 60, "the worker works")
    (scheduler,) = _children(by_hand.pid)
    os.kill(by_hand.pid, signal.SIGKILL)
    assert eventually(lambda: not _lives(scheduler), 10, "the scheduler is gone")


@pytest.fixture
def hanging(sqlite_stack: Stack, tmp_path: Path) -> Iterator[Process]:
    """A control worker whose ticks hang while a certain file exists."""
    sqlite_stack.kill("beat")
    control = Process(
        ["python", "-c", _HANGING, str(tmp_path / "hang")], tmp_path / "log", env=sqlite_stack.environment
    )
    try:
        eventually(lambda: _beats(sqlite_stack, control), 60, "the worker works")
        yield control
    finally:
        control.end()


def _beats(stack: Stack, control: Process) -> int:
    """When the worker has last written its row, 0 before."""
    rows = stack.rows("SELECT beat_at FROM processes WHERE pid = :pid", pid=control.pid)
    return rows[0]["beat_at"] if rows else 0


def _outlive(stack: Stack, control: Process, pulses: int) -> None:
    """Wait until the worker has written its row so often."""
    for _ in range(pulses):
        last = _beats(stack, control)
        eventually(lambda then=last: _beats(stack, control) != then or not control.alive(), 30, "another pulse")
        assert control.alive(), control.log.read_text()[-2000:]


@pytest.mark.gate
def test_a_worker_whose_ticks_do_not_finish_ends(sqlite_stack: Stack, hanging: Process) -> None:
    """A worker outlasts a broker outage and ends on ticks that hang."""
    _outlive(sqlite_stack, hanging, 8)
    (hanging.log.parent / "hang").touch()
    sqlite_stack.redis.kill()
    _outlive(sqlite_stack, hanging, 8)
    assert "ticks hang" not in hanging.log.read_text()
    sqlite_stack.redis.start()
    eventually(lambda: not hanging.alive(), 60, "the control worker has ended")
    assert hanging.popen.returncode == 1
    assert "ticks hang" in hanging.log.read_text()


@pytest.mark.gate
def test_a_worker_that_stood_still_goes_on(sqlite_stack: Stack, hanging: Process) -> None:
    """A machine that stood still ends no worker."""
    for _ in range(3):
        hanging.send(signal.SIGSTOP)
        time.sleep(5)  # ten looks of this worker
        hanging.send(signal.SIGCONT)
        _outlive(sqlite_stack, hanging, 4)
    assert "ticks hang" not in hanging.log.read_text()
