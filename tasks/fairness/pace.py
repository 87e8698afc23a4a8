"""The pace: how much the workers do in a second, and what that lets each queue take in.

In order of time: workers count what they take up; once a second every process that measures or is measured adds what it
has counted to a number in Redis, reads that number and how long the queues are, and learns from both. While work waits,
what the workers have done is what they can do; while none waits what they were last seen to do is soon forgotten,
because what comes next may take longer. Too low a pace does no harm: what exceeds it is done from ``bulk`` as long as
workers have time. A queue that has become too long by what is known takes in less until it is short again.

How long queues are is known where Redis is the broker; with another one workers are taken to do at least ``UNKNOWN``.
Nobody waits for any of this: it is done by a thread of its own, and while Redis is away what was learned last holds.
"""

import os
import threading
import time
from collections.abc import Mapping

from redis.exceptions import RedisError

from config.settings import settings
from store import redis as redis_store
from tasks.messages.routing import with_former

#: how much workers are taken to do of which nothing is known, and at least, executions a second
UNKNOWN, LEAST = 100.0, 10.0
#: between two looks, and after one that failed, seconds
EVERY, REST = 1.0, 5.0
#: messages that wait at two looks in turn: the workers do what they can
BUSY = 20
#: what the workers were seen to do comes so much nearer to what is taken for unknown in a second in which they had time
FORGOTTEN = 0.5
#: a queue in which messages wait longer takes in less, seconds
LONGEST_WAIT = 0.5


class Pace:
    """What one process knows of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._counted = 0
        self._done: tuple[float, int] | None = None
        self._waited = 0
        self._can_do = UNKNOWN
        self._of: dict[str, float] = {}

    def of(self, queue: str) -> float:
        """How many executions a second the queue can take in so that they are done at once."""
        if self._pid != os.getpid():
            self._start()
        return self._of.get(queue, self._can_do)

    def did_one(self) -> None:
        """A worker has taken up one more thing."""
        if self._pid != os.getpid():
            self._start()
        with self._lock:
            self._counted += 1

    def learn(self, now: float, done: int, lengths: Mapping[str, int]) -> None:
        """All workers together have ``done`` so much by ``now`` (seconds), and so many messages wait in each queue."""
        then, before = self._done or (now, done)
        self._done = now, done
        waiting, waited = sum(lengths.values()), self._waited
        self._waited = waiting
        if now > then and done >= before:
            rate = (done - before) / (now - then)
            if min(waiting, waited) < BUSY:
                self._can_do = max(rate, self._can_do + (UNKNOWN - self._can_do) * FORGOTTEN)
            elif rate:  # else there are no workers, or they do one thing that takes very long
                self._can_do = max(LEAST, min(rate, (self._can_do + rate) / 2))
        self._of = {
            queue: self._can_do * min(1.0, LONGEST_WAIT * self._can_do / max(length, 1))
            for queue, length in lengths.items()
        }

    def _start(self) -> None:
        """Begin to look, in each process that a fork makes too."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._counted, self._done = os.getpid(), 0, None
                threading.Thread(target=self._work, name="pace", daemon=True).start()

    def _work(self) -> None:
        while True:
            time.sleep(EVERY)
            with self._lock:
                counted, self._counted = self._counted, 0
            try:
                done, lengths = redis_store.tell_done(counted, QUEUES if settings().redis_is_broker else ())
            except RedisError:
                time.sleep(REST)
            else:
                self.learn(time.monotonic(), done, lengths)


#: the queues whose lengths are looked at
QUEUES = tuple(with_former(("urgent", "steps", "notifications", "bulk")))

#: that of this process
pace = Pace()
