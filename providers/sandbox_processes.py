"""The processes of one running sandbox, seen from outside: how much they hold, and how to end them all.

The launcher names the sandbox's pid 1; every process inside stays below it, whatever it does to get away.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
from typing import BinaryIO

from config import logs
from providers import sandbox_memory
from providers.sandbox_cgroup import Group

log = logs.logger(__name__)


def adopt_orphans() -> None:
    """Become the parent of what launchers leave behind.

    Else it would go to the machine's first process, which in a container may never wait for it, and each
    script would leave an entry in the process table.
    """
    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


class Processes:
    """The processes of one sandbox, seen from outside."""

    def __init__(self, process: subprocess.Popen[bytes], gate: BinaryIO, group: Group | None) -> None:
        self._launcher = process
        self._gate = gate
        self._group = group
        self._pid: int | None = None
        self._pidfd: int | None = None  # a handle, because a number may be given to somebody else's process

    def learn(self, status: bytes) -> None:
        """Find pid 1 in what the launcher has told so far, put it into its group, and let the program start."""
        if self._pid is not None or b"\n" not in status:
            return
        self._pid = int(json.loads(status.partition(b"\n")[0])["child-pid"])
        with contextlib.suppress(ProcessLookupError):
            self._pidfd = os.pidfd_open(self._pid)
        if self._group is not None:
            try:
                self._group.add(self._pid)
            except ProcessLookupError:  # it ended while we looked
                pass
            except OSError as error:
                log.warning("a script runs outside its control group; the watch bounds its memory", error=str(error))
        with contextlib.suppress(BrokenPipeError):
            self._gate.write(b"go")
            self._gate.close()

    def exceeded(self) -> bool:
        """Whether the processes hold more memory or files than allowed."""
        return self.out_of_memory() or (self._pid is not None and sandbox_memory.exceeded(self._pid))

    def out_of_memory(self) -> bool:
        """Whether the kernel has ended processes because their group had no memory left."""
        return self._group is not None and self._group.exceeded()

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
