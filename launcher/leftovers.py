"""Ends processes that a killed launcher left behind.

They are found by the mark in their environment: everything that a launcher starts inherits it, and so does what those
processes start. Redis overwrites its environment, but shows the path of its socket in its command line.
"""

import os
import signal
import time
from pathlib import Path

from launcher.environment import MARK

#: how long a process may take to end on SIGTERM, seconds
_GRACE = 2.0


def find(var: Path, redis_socket: Path) -> list[int]:
    """The ids of all processes that work for this var folder.

    Never this process or one it descends from.
    """
    mark = f"{MARK}={var}".encode()
    title = b"unixsocket:" + os.fsencode(redis_socket)
    spared = _lineage()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in spared:
            continue
        try:
            marked = mark in (entry / "environ").read_bytes().split(b"\0")
            if marked or title in (entry / "cmdline").read_bytes().replace(b"\0", b" ").split():
                found.append(int(entry.name))
        except OSError:
            continue  # it has ended, or belongs to another account
    return found


def end(var: Path, redis_socket: Path, grace: float = _GRACE) -> int:
    """End them, by force after ``grace`` seconds; returns their number."""
    found = find(var, redis_socket)
    _send(found, signal.SIGTERM)
    give_up = time.monotonic() + grace
    left = found
    while left and time.monotonic() < give_up:
        time.sleep(0.05)
        left = find(var, redis_socket)
    while left:  # a dying parent may have started one more
        _send(left, signal.SIGKILL)
        time.sleep(0.05)
        left = find(var, redis_socket)
    return len(found)


def _send(pids: list[int], what: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            continue


def _lineage() -> set[int]:
    """The ids of this process and of all its ancestors."""
    found, pid = set(), os.getpid()
    while pid > 0:
        found.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
    return found
