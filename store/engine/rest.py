"""Pauses of whatever changes many rows bite by bite, so that others write in between.

A bite holds locks, on SQLite the only one. A pause twice as long as the bite leaves two thirds of the time to others.
It is never shorter than the moment between two tries of a writer that waits for SQLite's lock (``store.engine.db``).
"""

import time

#: how much longer than its bite a pause is
TIMES = 2
#: seconds
SHORTEST, LONGEST = 0.005, 1.0


def after_bite(began: float) -> None:
    """Pause after a bite that began at this time of the monotonic clock."""
    time.sleep(min(LONGEST, max(SHORTEST, TIMES * (time.monotonic() - began))))
