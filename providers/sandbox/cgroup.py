"""A control group (cgroup v2) for each sandbox bounds its memory.

The kernel counts all memory of a group, whatever kind it is. In order of time: a process that runs its first script
looks for a place where it may make groups (``place``): next to its own group, as in a delegated part of the tree, else
at the top, which is root's; it tries the place with a real process and removes what a killed worker left there; each
sandbox gets a group with limits, its first process is moved in before the program starts, and the group is removed with
the sandbox. The process that makes a group locks it, so a group without a lock is left over. Where there is no such
place the filter and the watch bound memory alone.
"""

import contextlib
import fcntl
import functools
import os
import secrets
import subprocess
import time
from pathlib import Path

from config import logs
from providers.sandbox.recipe import MEMORY_BYTES, PROCESSES

_FOLDER = "tocsin-sandboxes"
_NEEDED = frozenset({"memory", "pids"})
# The launcher's half inside and the program that sets the limits come on top of what a script may start.
_LIMITS = {
    "memory.max": MEMORY_BYTES,
    "memory.swap.max": 0,
    "memory.oom.group": 1,
    "pids.max": PROCESSES + 4,
    "cpu.weight": 20,
}
_OPTIONAL = {"memory.swap.max", "memory.oom.group", "cpu.weight"}  # younger kernels, swap, a controller not given to us
_PATIENCE = 2.0  # until the kernel lets go of a group whose processes have ended, seconds

log = logs.logger(__name__)


class Group:
    """The group of one sandbox; made by ``make``."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    def add(self, pid: int) -> None:
        """Move a process in, with everything that it starts later.

        Raises:
            OSError: the kernel does not allow it.
        """
        (self.path / "cgroup.procs").write_text(str(pid))

    def exceeded(self) -> bool:
        """Whether the kernel has ended processes of it for lack of memory."""
        with contextlib.suppress(OSError, ValueError):
            events = dict(line.split() for line in (self.path / "memory.events").read_text().splitlines())
            return int(events["oom_kill"]) > 0
        return False

    def remove(self) -> None:
        """End the processes inside, and remove the group."""
        deadline = time.monotonic() + _PATIENCE
        while not _gone(self.path) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.close(self._lock)


def make() -> Group | None:
    """A new, empty group with a sandbox's limits; None without a place."""
    folder = place()
    if folder is None:
        return None
    try:
        return _make(folder)
    except OSError as error:
        log.warning("script runs without a control group; the filter and the watch limit its memory", error=str(error))
        return None


@functools.cache
def place() -> Path | None:
    """The folder in which this process may make groups, or None.

    It is tried and clean.
    """
    for parent in _parents():
        with contextlib.suppress(OSError):
            folder = _prepared(parent)
            _try(folder)
            _clean(folder)
            return folder
    return None


def _parents() -> list[Path]:
    """The candidates for our folder, best first.

    A group that has processes itself can limit none below it.
    """
    with contextlib.suppress(OSError, StopIteration):
        mounts = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
        top = next(Path(words[4]) for words in mounts if words[words.index("-") + 1] == "cgroup2")
        groups = Path("/proc/self/cgroup").read_text().splitlines()
        own = top / next(line for line in groups if line.startswith("0::")).removeprefix("0::").lstrip("/")
        return [own.parent, top] if own not in (top, top.parent) and own.parent != top else [top]
    return []


def _prepared(parent: Path) -> Path:
    """Our folder, whose groups can have limits.

    Raises:
        OSError: it cannot be made, or the kernel counts memory or processes elsewhere.
    """
    folder = parent / _FOLDER
    _enable(parent)
    folder.mkdir(exist_ok=True)
    _enable(folder)
    return folder


def _enable(group: Path) -> None:
    """Let the groups below have limits, if they may not yet."""
    control = group / "cgroup.subtree_control"
    for name in sorted({"cpu", *_NEEDED} - {*control.read_text().split()}):
        try:
            control.write_text(f"+{name}")
        except OSError:
            if name in _NEEDED:
                raise


def _make(folder: Path) -> Group:
    path = folder / secrets.token_hex(8)
    path.mkdir()
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name, value in _LIMITS.items():
            if name not in _OPTIONAL or (path / name).exists():
                (path / name).write_text(str(value))
    except OSError:
        Group(path, lock).remove()
        raise
    return Group(path, lock)


def _try(folder: Path) -> None:
    """Move a process into a group and let it end there.

    The folder may be ours and moving yet be forbidden.
    """
    group = _make(folder)
    try:
        with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
            try:
                group.add(process.pid)
            finally:
                process.kill()
    finally:
        group.remove()


def _clean(folder: Path) -> None:
    """Remove the groups of workers that were killed."""
    for path in folder.iterdir():
        if path.is_dir():
            with contextlib.suppress(OSError):
                lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    os.close(lock)
                else:
                    Group(path, lock).remove()


def _gone(path: Path) -> bool:
    """End the processes inside; whether the group could be removed."""
    with contextlib.suppress(OSError):
        (path / "cgroup.kill").write_text("1")
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
