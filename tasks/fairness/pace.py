"""The pace of the workers, and what each queue may take in.

In order of time: workers count their executions; once a second every process that counts or asks adds its count to a
number in Redis, reads that number and the lengths of the queues, and learns from both. While messages wait, what the
workers have completed is what they can complete. While none wait, the last figure is soon forgotten, because the next
executions may take longer. Too low a pace does no harm: what exceeds it goes to ``bulk``, which workers serve as long
as they have time. A queue that has become too long for the pace takes in less until it is short again.

The lengths are known where Redis is the broker; with another broker the pace is taken to be at least ``UNKNOWN``.
A thread of its own does all this, so no request and no execution waits for it; while Redis is away the last pace holds.
"""

import os
import threading
import time
from collections.abc import Mapping, Sequence

from redis.exceptions import RedisError

from config.settings import settings
from store import redis as redis_store
from tasks.messages.routing import with_former

#: the pace of workers not measured yet, and the lowest pace, executions a second
UNKNOWN, LEAST = 100.0, 10.0
#: between two measurements, and after one that failed, seconds
EVERY, REST = 1.0, 5.0
#: if this many messages wait at two measurements in a row, the workers complete what they can
BUSY = 20
#: in each second in which workers were idle, the pace moves this part of the way to ``UNKNOWN``
FORGOTTEN = 0.5
#: a queue in which messages wait longer takes in less, seconds
LONGEST_WAIT = 0.5


class Pace:
    """The pace as one process knows it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._counted = 0
        self._done: tuple[float, int] | None = None
        self._waited = 0
        self._can_do = UNKNOWN
        self._of: dict[str, float] = {}

    def of(self, queue: str) -> float:
        """The executions a second that a queue can take in."""
        if self._pid != os.getpid():
            self._start()
        return self._of.get(queue, self._can_do)

    def count_one(self) -> None:
        """Count one more execution of this worker."""
        if self._pid != os.getpid():
            self._start()
        with self._lock:
            self._counted += 1

    def learn(self, now: float, done: int, lengths: Mapping[str, int]) -> None:
        """Take in one measurement.

        All workers together have completed ``done`` executions by ``now`` (seconds); ``lengths`` are of the queues.
        """
        then, before = self._done or (now, done)
        self._done = now, done
        waiting, waited = sum(lengths.values()), self._waited
        self._waited = waiting
        if now > then and done >= before:
            rate = (done - before) / (now - then)
            if min(waiting, waited) < BUSY:
                self._can_do = max(rate, self._can_do + (UNKNOWN - self._can_do) * FORGOTTEN)
            elif rate:  # else there are no workers, or all are in very long executions
                self._can_do = max(LEAST, min(rate, (self._can_do + rate) / 2))
        self._of = {
            queue: self._can_do * min(1.0, LONGEST_WAIT * self._can_do / max(length, 1))
            for queue, length in lengths.items()
        }

    def _start(self) -> None:
        """Start the thread that measures; a forked process starts its own."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._counted, self._done = os.getpid(), 0, None
                queues = QUEUES if settings().redis_is_broker else ()
                threading.Thread(target=self._work, args=(queues,), name="pace", daemon=True).start()

    def _work(self, queues: Sequence[str]) -> None:
        while True:
            time.sleep(EVERY)
            with self._lock:
                counted, self._counted = self._counted, 0
            try:
                done, lengths = redis_store.tell_done(counted, queues)
            except RedisError:
                time.sleep(REST)
            else:
                self.learn(time.monotonic(), done, lengths)


#: the queues whose lengths are measured
QUEUES = tuple(with_former(("urgent", "steps", "notifications", "bulk")))

#: the pace of this process
pace = Pace()
