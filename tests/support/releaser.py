"""Processes for tests to kill: each does what tick does with due rows, again and again.

The first process imports once, which takes longer than all that its children do. For each line on its input it forks
one that works, and answers with the pid; when the input ends it kills the last one.
"""

import os
import signal
import sys
import time

from tasks.clock import sweep
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import silences


def _main() -> None:
    sweep.BATCH = 20  # so that many transactions can be interrupted
    working = 0
    for _ in sys.stdin:
        if working:  # it was killed
            os.waitpid(working, 0)
        working = os.fork()
        if working == 0:
            _work()
        os.write(1, f"{working}\n".encode())
    if working:
        os.kill(working, signal.SIGKILL)


def _work() -> None:
    while True:
        sweep.handle_due(TimeSlice(time.monotonic() + 0.9))
        silences.look_after(TimeSlice())
        time.sleep(0.01)


if __name__ == "__main__":
    _main()
