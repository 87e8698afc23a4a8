"""Measures this process's load, and refuses what cannot be accepted soon.

Every request is counted from its beginning to its end, without the time in which it waits for its client or for news.
The requests under way times the time that each takes of the process tells how long the next one would wait. What is not
urgent is refused with 503 above ``LONGEST``, or when what waits for its commit or its message is older than ``OLDEST``;
a refused caller knows at once, and accepted requests end soon.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from greenlet import getcurrent

from config import logs
from config.errors import Overloaded
from store.engine import group_commit
from tasks.messages import publisher

#: how long the next request may have to wait, and how old a waiting commit or message may be, seconds
LONGEST, OLDEST = 0.8, 0.5
#: requests under way that are never too many, whatever their pace; and those that are not because something is old
NEVER, FEW = 128, 64
#: requests under way from which on the time between two ends is measured, and ends it is averaged over
BUSY, MEMORY = 8, 100
#: the assumed time of a process that has not measured it, and the longest time that counts (the machine may have been
#: suspended), seconds
GUESS, PAUSE = 0.002, 0.05
#: between two log lines about it, seconds
SAID_EVERY = 10.0

log = logs.logger(__name__)


class Load:
    """The requests of this process."""

    def __init__(self) -> None:
        self.under_way = 0
        self._lock = threading.Lock()
        self._spent, self._ended = GUESS * MEMORY, float(MEMORY)
        self._ended_at: float | None = None
        self._refused, self._said_at = 0, float("-inf")

    def begin(self) -> None:
        """Count a request that begins, or goes on."""
        with self._lock:
            self.under_way += 1

    def end(self) -> None:
        """Record that a request has ended."""
        now = time.monotonic()
        with self._lock:
            self.under_way -= 1
            if self.under_way < BUSY:
                self._ended_at = None
                return
            if self._ended_at is not None:
                self._spent += min(PAUSE, now - self._ended_at) - self._spent / MEMORY
                self._ended += 1 - self._ended / MEMORY
            self._ended_at = now

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave out the present request while it waits.

        It waits for its client or for news.
        """
        with self._lock:
            self.under_way -= 1
        try:
            yield
        finally:
            self.begin()

    def refuse(self) -> None:
        """Raise Overloaded if another request would wait for too long.

        Only requests that are not urgent are refused.
        """
        number, waited = self.under_way, getattr(getcurrent(), "waited", 0.0)  # for its turn: config.connections
        if number <= FEW and waited <= OLDEST:
            return
        soon = number * self._spent / self._ended <= LONGEST or number <= NEVER
        if soon and max(waited, group_commit.oldest(), publisher.oldest()) <= OLDEST:
            return
        self._refused += 1
        if time.monotonic() - self._said_at > SAID_EVERY:
            log.warning("overloaded: refusing requests that are not urgent", under_way=number, refused=self._refused)
            self._refused, self._said_at = 0, time.monotonic()
        raise Overloaded


#: the load of this process
HERE = Load()
