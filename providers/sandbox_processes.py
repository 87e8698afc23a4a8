"""The processes of one running sandbox, seen from outside: how much they hold, and how to end them all.

The launcher names the sandbox's pid 1; every process inside stays below it, whatever it does to get away.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

MEMORY_BYTES = 400 * 1024 * 1024  # of all processes together; no rlimit counts across processes
FILES = 4096  # each costs kernel memory even when empty, which a size limit on /tmp does not count
_PAGE = os.sysconf("SC_PAGE_SIZE")


def adopt_orphans() -> None:
    """Become the parent of what launchers leave behind.

    Else it would go to the machine's first process, which in a container may never wait for it, and each
    script would leave an entry in the process table.
    """
    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


class Processes:
    """The processes of one sandbox, seen from outside."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._launcher = process
        self._pid: int | None = None
        self._pidfd: int | None = None  # a handle, because a number may be given to somebody else's process

    def learn(self, status: bytes) -> None:
        """Find pid 1 in what the launcher has told so far."""
        if self._pid is not None or b"\n" not in status:
            return
        self._pid = int(json.loads(status.partition(b"\n")[0])["child-pid"])
        with contextlib.suppress(ProcessLookupError):
            self._pidfd = os.pidfd_open(self._pid)

    def too_big(self, tmp_bytes: int) -> bool:
        """Whether the processes hold more memory than allowed, in pages or in files."""
        if self._pid is None:
            return False
        if sum(map(_resident, _descendants(self._pid))) > MEMORY_BYTES:
            return True
        for folder in ("tmp", "dev/shm"):
            with contextlib.suppress(OSError):
                room = os.statvfs(f"/proc/{self._pid}/root/{folder}")
                # until the launcher has changed its root this is the machine's own folder, of another size
                if room.f_blocks * room.f_frsize <= tmp_bytes and room.f_files - room.f_ffree > FILES:
                    return True
        return False

    def kill(self, *, launcher: bool) -> None:
        """End everything inside; the launcher too when it has not told its pid 1 or does not end."""
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        if launcher:
            self._launcher.kill()

    def reap(self) -> None:
        """Wait until everything inside is gone, once the launcher is.

        The launcher may end a moment before pid 1 does. Pid 1 then is our child (see ``adopt_orphans``), and
        the kernel lets it end only after all others.
        """
        self.kill(launcher=False)
        if self._pidfd is not None:
            with contextlib.suppress(ChildProcessError):  # the launcher has waited for it
                os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)

    def close(self) -> None:
        """Give the handle back."""
        if self._pidfd is not None:
            os.close(self._pidfd)


def _descendants(pid: int) -> Iterator[int]:
    """A process and all below it. A process that daemonises inside stays below the sandbox's pid 1."""
    todo = [pid]
    while todo:
        pid = todo.pop()
        yield pid
        with contextlib.suppress(OSError):  # it ended while we looked
            for thread in Path(f"/proc/{pid}/task").iterdir():
                todo += map(int, (thread / "children").read_text().split())


def _resident(pid: int) -> int:
    """Bytes of memory the process has in use."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):  # it ended while we looked
        return 0
