"""The scheduler runs beside a control worker, as a process of its own: neither may outlive the other."""

import os
import signal
from pathlib import Path

from tests.support.stack import Stack
from tests.support.waiting import eventually


def _lives(pid: int, parent: int | None = None) -> bool:
    """Whether a process is there and no zombie (and has this parent)."""
    try:
        state, its_parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return False
    return state != "Z" and parent in (None, int(its_parent))


def _children(pid: int) -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _lives(int(entry.name), pid)]


def test_a_worker_whose_scheduler_died_ends_too(sqlite_stack: Stack) -> None:
    """A tick that never comes again would stop all recovery unseen: the worker ends, to be started anew with it."""
    control = sqlite_stack.running["beat"]
    (scheduler,) = _children(control.pid)
    os.kill(scheduler, signal.SIGKILL)
    eventually(lambda: not control.alive(), 20, "the control worker has ended")
    assert "the scheduler has died" in sqlite_stack.log("beat")


def test_a_scheduler_whose_worker_was_killed_dies_too(sqlite_stack: Stack) -> None:
    """No orphan goes on scheduling beside the successor."""
    control = sqlite_stack.running["beat"]
    (scheduler,) = _children(control.pid)
    os.kill(control.pid, signal.SIGKILL)
    eventually(lambda: not _lives(scheduler), 10, "the scheduler is gone")
