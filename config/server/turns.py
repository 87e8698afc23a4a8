"""Turns among callers, so that a flood of one delays no other.

A process of the API runs one request at a time, and would work off what the network brings in the order of arrival, new
connections after that. So a request that finds the process busy waits for its turn: callers are served one after the
other, each with the request that has waited longest, and between two turns the process reads what is new on the
network.
"""

from collections import OrderedDict, deque

import gevent
from gevent.event import Event

#: the process is busy when it has begun more requests than this since it last looked at the network
BUSY = 16
#: a pause in which the process looks at the network, which it does not in one of 0; seconds
MOMENT = 1e-6


class Turns:
    """The requests of a process that wait for their turn."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Event]] = OrderedDict()
        self._number = 0
        #: when the process last looked at the network, and how many requests it has begun since
        self._looked, self._begun = 0.0, 0
        self._caller: gevent.Greenlet | None = None

    def __len__(self) -> int:
        return self._number

    def of(self, who: str) -> int:
        """The number of requests of a caller that wait."""
        return len(self._waiting.get(who, ()))

    def take(self, who: str) -> None:
        """Return when this request of ``who`` has its turn."""
        looked = gevent.get_hub().loop.now()
        self._begun = self._begun + 1 if looked == self._looked else 1
        self._looked = looked
        if not self._number and self._begun <= BUSY:
            return
        turn = Event()
        self._waiting.setdefault(who, deque()).append(turn)
        self._number += 1
        if self._caller is None:
            self._caller = gevent.spawn(self._call)
        turn.wait()

    def _call(self) -> None:
        while self._waiting:
            who, queue = self._waiting.popitem(last=False)
            queue.popleft().set()
            self._number -= 1
            if queue:
                self._waiting[who] = queue
            gevent.sleep(MOMENT)
        self._caller = None
