"""Measures the memory of a sandbox's processes, seen from outside.

Counted are: the pages of each process, in memory or swapped out, and its page tables; shared memory without a file at
its full size, because its pages stay when no process has them mapped; the files of ``/tmp`` and ``/dev/shm``; and for
each socket what its buffers may hold, because the kernel does not say how full they are. Processes that share pages
count them each: a sandbox that forks widely is stopped early rather than late.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from providers.sandbox.recipe import MEMORY_BYTES, TMP_BYTES

_FILES = 4096  # each costs kernel memory even when empty, which a size limit on /tmp does not count
# Bytes that a socket's buffers may hold, by the kernel's defaults. TCP's grow with use: this is what few get to.
_LOCAL_SOCKET = 2 * 212_992
_TCP_SOCKET = 4 << 20
_NO_BUFFERS = {"06", "0A"}  # TIME_WAIT and LISTEN
_FOLDERS = ("tmp", "dev/shm")

_PAGES = re.compile(rb"^(?:RssAnon|RssFile|VmSwap|VmPTE):\s+(\d+) kB$", re.MULTILINE)
_SHARED = re.compile(rb"^(\w+)-(\w+) ..[-x]s (\w+) \S+ (\d+) +(?:/dev/zero|/SYSV|/memfd:)", re.MULTILINE)


def exceeded(first: int) -> bool:
    """Whether the sandbox holds too much memory or too many files.

    ``first`` is its pid 1; every process below counts.
    """
    pids = list(_descendants(first))
    held = sum(map(_pages, pids)) + _shared(pids) + _sockets(first)
    for folder in _FOLDERS:
        with contextlib.suppress(OSError):
            room = os.statvfs(f"/proc/{first}/root/{folder}")
            # until the launcher has changed its root this is the machine's own folder, of another size
            if room.f_blocks * room.f_frsize <= TMP_BYTES:
                held += (room.f_blocks - room.f_bfree) * room.f_frsize
                if room.f_files - room.f_ffree > _FILES:
                    return True
    return held > MEMORY_BYTES


def _descendants(pid: int) -> Iterator[int]:
    """A process and all below it.

    A process that daemonises inside stays below the sandbox's pid 1.
    """
    todo = [pid]
    while todo:
        pid = todo.pop()
        yield pid
        with contextlib.suppress(OSError):  # it ended while we looked
            for thread in Path(f"/proc/{pid}/task").iterdir():
                todo += map(int, (thread / "children").read_text().split())


def _pages(pid: int) -> int:
    return 1024 * sum(map(int, _PAGES.findall(_read(f"/proc/{pid}/status"))))


def _shared(pids: list[int]) -> int:
    """The size of all shared memory that the processes have mapped.

    Each piece counts once.
    """
    sizes: dict[bytes, int] = {}
    for pid in pids:
        for start, end, offset, inode in _SHARED.findall(_read(f"/proc/{pid}/maps")):
            size = int(end, 16) - int(start, 16) + int(offset, 16)
            sizes[inode] = max(size, sizes.get(inode, 0))
    return sum(sizes.values())


def _sockets(first: int) -> int:
    """What the buffers of all sockets may hold.

    The sandbox has a network of its own, so these are its sockets.
    """
    local = tcp = 0
    for name in ("unix", "udp", "udp6"):
        local += max(0, _read(f"/proc/{first}/net/{name}").count(b"\n") - 1)
    for name in ("tcp", "tcp6"):
        states = [row.split()[3].decode() for row in _read(f"/proc/{first}/net/{name}").splitlines()[1:]]
        tcp += sum(state not in _NO_BUFFERS for state in states)
    return local * _LOCAL_SOCKET + tcp * _TCP_SOCKET


def _read(path: str) -> bytes:
    """A file's contents; nothing when the process ended while we looked."""
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
