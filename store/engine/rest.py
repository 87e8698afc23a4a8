"""Pauses of whatever changes many rows bite by bite, so that others write in between.

A bite holds locks, on SQLite the only one. A pause twice as long as the bite leaves two thirds of the time to others.
It is never shorter than the moment between two tries of a writer that waits for SQLite's lock (``store.engine.db``).
"""

import time

from event_loop import waiting

#: how much longer than its bite a pause is
TIMES = 2
#: seconds
SHORTEST, LONGEST = 0.005, 1.0


class Rests:
    """Bites between which something else is done, which counts as rest.

    ``times`` is how much longer than its bite a pause is.
    """

    def __init__(self, times: float = TIMES) -> None:
        self._times = times
        self._until = 0.0

    def before_bite(self) -> float:
        """Wait for the rest of the pause; when the bite begins."""
        waiting.sleep(max(0.0, self._until - time.monotonic()))
        return time.monotonic()

    def bitten(self, began: float) -> None:
        """Note a bite that began at this time of the monotonic clock."""
        now = time.monotonic()
        self._until = now + min(LONGEST, max(SHORTEST, self._times * (now - began)))


def after_bite(began: float) -> None:
    """Pause after a bite that began at this time of the monotonic clock."""
    waiting.sleep(min(LONGEST, max(SHORTEST, TIMES * (time.monotonic() - began))))
