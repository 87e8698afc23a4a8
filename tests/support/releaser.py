"""A process for tests to kill: it does what tick does with due rows, again and again."""

import time

from tasks.clock import sweep
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import silences


def main() -> None:
    """Work until the end."""
    sweep.BATCH = 20  # so that many transactions can be interrupted
    while True:
        sweep.handle_due(TimeSlice(time.monotonic() + 0.9))
        silences.look_after(TimeSlice())
        time.sleep(0.01)
