"""Measures this process's load, and refuses what cannot be accepted soon.

Every request is counted from its beginning to its end, without the time in which it waits for its client or for news.
The requests under way times the time that each takes of the process tells how long the next one would wait. What is not
urgent is refused with 503 above ``LONGEST``, or when what waits for its commit or its message is older than ``OLDEST``;
a refused caller knows at once, and accepted requests end soon.

Lists give way to what is being accepted (``LISTS``). The work for a list takes the process longer than a whole accept,
so lists are read one after the other, and each lets the accepts under way pass when it begins, before its query and
behind it.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from greenlet import getcurrent

from config import logs
from config.errors import Overloaded, Unavailable
from config.locks import brief
from store.engine import db, group_commit
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
#: how long a list lets accepts pass at one time, seconds: a flood of accepts slows lists down and does not stop them
GIVES_WAY = 0.02
#: the next list has its turn when one has taken longer than this, seconds: a long query works elsewhere
LONG = 0.1

log = logs.logger(__name__)


class Load:
    """The requests of this process."""

    def __init__(self) -> None:
        self.under_way = 0
        self._lock = brief()
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
        number, waited = self.under_way, getattr(getcurrent(), "waited", 0.0)  # for its turn: config.server.worker
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


class Lists:
    """The lists of this process: read in turn, behind what is being accepted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: the lists that wait for their turn, the one that has it, and since when
        self._queue: deque[threading.Event] = deque()
        self._reads: threading.Event | None = None
        self._since = 0.0
        self._accepts = 0
        self._passed = threading.Event()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let lists wait while the block accepts something; it waits for no client."""
        with self._lock:
            self._accepts += 1
            if self._accepts == 1:
                self._passed.clear()
        try:
            yield
        finally:
            with self._lock:
                self._accepts -= 1
                if not self._accepts:
                    self._passed.set()

    def give_way(self) -> None:
        """Let the accepts under way pass, for a moment."""
        until = time.monotonic() + GIVES_WAY
        while self._accepts and (left := until - time.monotonic()) > 0:
            self._passed.wait(left)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Read a list in the block: after the list before it and the accepts under way.

        Raises:
            Unavailable: too many lists are being read.
        """
        mine = threading.Event()
        try:
            self._wait(mine)
            self.give_way()
            yield
        finally:
            self._leave(mine)
        self.give_way()  # the answer is built next

    def _wait(self, mine: threading.Event) -> None:
        with self._lock:
            self._queue.append(mine)
            if self._reads is None:
                self._call_next()
        until = time.monotonic() + db.ASIDE_PATIENCE
        while not mine.wait(LONG):
            if time.monotonic() > until:
                raise Unavailable("Too many lists are being read. Try again in a moment.")
            with self._lock:
                if time.monotonic() - self._since > LONG:
                    self._call_next()

    def _leave(self, mine: threading.Event) -> None:
        with self._lock:
            if self._reads is mine:
                self._call_next()
            elif mine in self._queue:
                self._queue.remove(mine)

    def _call_next(self) -> None:
        self._reads = self._queue.popleft() if self._queue else None
        if self._reads is not None:
            self._since = time.monotonic()
            self._reads.set()


#: the load of this process
HERE = Load()
#: the lists of this process
LISTS = Lists()
