"""Starts launchers so that no process of theirs stays behind.

Neither a launcher nor what it leaves behind stays in the process table. A launcher that ends before its sandbox's pid 1
hands it to us (``adopt_orphans``); the watch waits for both. An exception between two steps of the watch, or a launcher
that is killed early, leaves a process that the watch does not know. ``bury_orphans`` finds it: a child that is not on
the list of running launchers, and that is named like a launcher or is pid 1 of a namespace. An exception between fork
and exec leaves one that is not named yet, so it is given the time to become the launcher.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_NAME_BYTES = 15  # kept of a program's name by the kernel

#: within which a child becomes its program; one that does not was started by another thread, seconds
_BECOMING = 2.0
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
    before = set(_children())
    try:
        with _starting:
            _names.add(Path(program).name[:_NAME_BYTES])
            process = subprocess.Popen(argv, executable=program, **more)  # noqa: S603 - what this module is for
            _running.add(process.pid)
        held.callback(_end, process)
    except BaseException:  # an exception from outside hits anywhere
        if process is not None:
            _end(process)
        else:
            insist(lambda: _await_programs(before))
        raise
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a launcher, whatever it waits for, and wait for it.

    Where that is interrupted the launcher is an orphan.
    """
    try:
        process.kill()
        wait(process)
        with process:
            pass
    finally:
        _running.discard(process.pid)


def wait(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a launcher.

    The wait and the poll of ``subprocess`` take a lock, and an exception from outside may leave it taken for ever.
    """
    while not _reaped(process, 0):
        pass


def over(process: subprocess.Popen[bytes]) -> bool:
    """Whether a launcher has ended, by itself or not."""
    return _reaped(process, os.WNOHANG)


def _reaped(process: subprocess.Popen[bytes], how: int) -> bool:
    if process.returncode is None:
        try:
            pid, status = os.waitpid(process.pid, how)
        except ChildProcessError:  # an exception came between this call and the line that keeps its answer
            pid, status = process.pid, signal.SIGKILL
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode is not None


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
        for pid in _children():
            if pid not in _running and _is_orphan(pid):
                _bury(pid)


def _children() -> Iterator[int]:
    """The children of this process."""
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # the thread has ended
            yield from map(int, (thread / "children").read_text().split())


def _await_programs(before: Collection[int]) -> None:
    """Wait until each child that is not one of ``before`` has become the program it was started for.

    Until then it is named like this process, and no orphan that ``bury_orphans`` would recognise.
    """
    deadline = time.monotonic() + _BECOMING
    for pid in set(_children()) - set(before):
        while _runs_our_program(pid) and time.monotonic() < deadline:
            time.sleep(0.001)


def _runs_our_program(pid: int) -> bool:
    with contextlib.suppress(OSError):  # it has ended
        return Path(f"/proc/{pid}/exe").samefile("/proc/self/exe")
    return False


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
