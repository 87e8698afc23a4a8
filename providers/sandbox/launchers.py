"""Starts launchers so that no process of theirs stays behind.

Neither a launcher nor what it leaves behind stays in the process table. A launcher that ends before its sandbox's pid 1
hands it to us (``adopt_orphans``); the watch waits for both. An exception between two steps of the watch, or a launcher
that is killed early, leaves a process that the watch does not know. ``bury_orphans`` finds it: a child that is not on
the list of running launchers, and that is named like a launcher or is pid 1 of a namespace.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_NAME_BYTES = 15  # kept of a program's name by the kernel

_TRIES = 100  # to clean up while exceptions come from outside

_starting = threading.RLock()  # while held by others, there may be a launcher that is not on the list yet
_running: set[int] = set()
_names: set[str] = set()


def adopt_orphans() -> None:
    """Become the parent of what launchers leave behind.

    Else it would go to the machine's first process, which in a container may never wait for it, and each
    script would leave an entry in the process table.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def launch(held: contextlib.ExitStack, program: str, argv: list[str], **more: Any) -> subprocess.Popen[bytes]:
    """Start a launcher; leaving ``held`` ends it and waits for it.

    Raises:
        OSError: it cannot be started.
        SubprocessError: it cannot be started.
    """
    adopt_orphans()
    held.callback(insist, bury_orphans)
    process: subprocess.Popen[bytes] | None = None
    try:
        with _starting:
            _names.add(Path(program).name[:_NAME_BYTES])
            process = subprocess.Popen(argv, executable=program, **more)  # noqa: S603 - what this module is for
            _running.add(process.pid)
        held.callback(_end, process)
    except BaseException:  # an exception from outside hits anywhere
        if process is not None:
            _end(process)
        raise
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a launcher, whatever it waits for, and wait for it.

    Where that is interrupted the launcher is an orphan.
    """
    try:
        process.kill()
        with process:
            pass
    finally:
        _running.discard(process.pid)


def insist(clean_up: Callable[[], object]) -> None:
    """Clean up to the end, whatever is raised from outside meanwhile.

    An exception such as a time limit is raised again afterwards.
    """
    raised: BaseException | None = None
    for _ in range(_TRIES):
        try:
            clean_up()
        except BaseException as error:  # noqa: BLE001 - it may be anything
            raised = error
        else:
            break
    if raised is not None:
        raise raised


def bury_orphans() -> None:
    """End and wait for each orphan and each unlisted launcher."""
    with _starting:
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):  # the thread has ended
                for pid in map(int, (thread / "children").read_text().split()):
                    if pid not in _running and _is_orphan(pid):
                        _bury(pid)


def _is_orphan(pid: int) -> bool:
    with contextlib.suppress(OSError, StopIteration):  # another thread was faster
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        numbers = next(line for line in lines if line.startswith("NSpid:")).split()[1:]
        return lines[0].removeprefix("Name:\t") in _names or (len(numbers) > 1 and numbers[-1] == "1")
    return False


def _bury(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED)
