"""The processes of one running sandbox, seen from outside.

The launcher names the sandbox's pid 1; every process inside stays below it, whatever it tries.
"""

import contextlib
import os
import re
import signal
import subprocess
from typing import BinaryIO

from config import logs
from providers.sandbox import launchers, memory
from providers.sandbox.cgroup import Group

log = logs.logger(__name__)


class Processes:
    """The processes of one sandbox, seen from outside."""

    def __init__(self, process: subprocess.Popen[bytes], gate: BinaryIO, group: Group | None) -> None:
        self._launcher = process
        self._gate = gate
        self._group = group
        self._pid: int | None = None
        self._pidfd: int | None = None  # a handle, because the system may reuse the number for another process

    def learn(self, status: bytes) -> None:
        """Find pid 1 in the launcher's report, and start the program.

        Pid 1 is put into its control group before.
        """
        reported = re.search(rb'"child-pid": (\d+)\D', status)
        if self._pid is not None or reported is None:
            return
        self._pid = int(reported[1])
        with contextlib.suppress(ProcessLookupError):
            self._pidfd = os.pidfd_open(self._pid)
        if self._group is not None:
            try:
                self._group.add(self._pid)
            except ProcessLookupError:  # it ended while we looked
                pass
            except OSError as error:
                log.warning("script runs outside its control group; the watch limits its memory", error=str(error))
        with contextlib.suppress(BrokenPipeError):
            self._gate.write(b"go")
            self._gate.close()

    def over(self) -> bool:
        """Whether the launcher has ended, by itself or not.

        The processes left inside then have no future.
        """
        return launchers.over(self._launcher)

    def exceeded(self) -> bool:
        """Whether the processes hold more memory or files than allowed."""
        return self.out_of_memory() or (self._pid is not None and memory.exceeded(self._pid))

    def out_of_memory(self) -> bool:
        """Whether the kernel has ended processes because of the group's memory limit."""
        return self._group is not None and self._group.exceeded()

    def kill(self, *, launcher: bool) -> None:
        """End everything inside.

        The launcher is ended too when it has not reported its pid 1 or does not end.
        """
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        if launcher:
            self._launcher.kill()
        if self._pidfd is None and self.over():  # an exception may have come between its pid and the handle
            launchers.bury_orphans()

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
