"""Pauses of whatever changes many rows bite by bite, so that others write in between.

A bite holds locks, on SQLite the only one. A pause as long as the bite leaves half of the time to others, and is never
shorter than the moment between two tries of a writer that waits for SQLite's lock (``store.engine.db``).
"""

import time

#: seconds
SHORTEST, LONGEST = 0.005, 1.0


def after_bite(began: float) -> None:
    """Pause after a bite that began at this time of the monotonic clock."""
    time.sleep(min(LONGEST, max(SHORTEST, time.monotonic() - began)))
