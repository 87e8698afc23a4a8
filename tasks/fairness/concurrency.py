"""Permits: which calls a worker process takes up, so that slow targets leave room for quick ones.

In order of time: before an execution is claimed its message asks for a permit for its action; without one it leaves the
execution unclaimed, and the message is handed on to the queue ``slow`` (``tasks.fairness.slots``), whose process has
room for what takes long. A worker that goes on in place asks again for the next action (``move_on``). The permit ends
with the message, and whoever waits for it longest gets it.

Three rules, each about the process's lanes (its concurrency):

* one action holds at most three quarters of them; what comes beyond waits a moment, as long as permits of that action
  end, and is then handed on;
* while three quarters are held by calls that take long, only actions known to be quick get in, and one call each of
  some of which nothing is known yet;
* no more calls are made at once than there are lanes; a lane that has ended a call may always go on with a quick one.

A process that consumes ``slow`` refuses nobody: there one waits for a lane. What runs on processes that can be
killed needs no permit.
"""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from config.settings import settings

#: how long ago the action must have ended a permit for waiting for one to make sense, seconds
PATIENCE = 0.05
#: so often one waits so long
MOST_WAITS = 5
#: a call that takes longer is long; shorter ones are quick, seconds
LONG = 0.25
#: actions of which it is known how long they take
MOST_KNOWN = 1_000


class Permit:
    """A call of an action that is made, or waits to be made."""

    def __init__(self, action: str, now: float) -> None:
        self.action = action
        self.since = now
        self.given: threading.Event | None = None


class Permits:
    """The permits of one process; times are those of ``clock``, in seconds."""

    def __init__(self, lanes: int, *, refusing: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self.lanes = lanes
        self.refusing = refusing
        self._most = max(1, lanes * 3 // 4)
        self._clock = clock
        self._lock = threading.Lock()
        self._held: set[Permit] = set()
        self._of: Counter[str] = Counter()
        self._waiting: list[Permit] = []
        #: action → when a permit of it last ended, or the first of those held began
        self._moved: dict[str, float] = {}
        #: action → how long its last call took
        self._took: OrderedDict[str, float] = OrderedDict()

    def take(self, action: str, *, wait: bool = True) -> Permit | None:
        """A permit for a call of the action, None when it is not to be had; ``end`` gives it back."""
        with self._lock:
            permit = Permit(action, self._clock())
            if self._has_room(action):
                self._begin(permit)
                return permit
            if not (wait and self._worth_waiting(action)):
                return None
            permit.given = given = threading.Event()
            self._waiting.append(permit)
        for tries_left in reversed(range(MOST_WAITS)):
            if given.wait(PATIENCE if self.refusing else None):
                break
            with self._lock:
                if permit not in self._held and not (tries_left and self._worth_waiting(action)):
                    self._waiting.remove(permit)
                    return None
        return permit

    def go_on(self, action: str) -> Permit | None:
        """A permit for a lane that has just ended a call: one of a quick action takes no room from anybody."""
        with self._lock:
            permit = Permit(action, self._clock())
            free = len(self._held) < self.lanes
            if not (self._has_room(action) or (free and self._is_quick(action))):
                return None
            self._begin(permit)
            return permit

    def any_long(self) -> bool:
        """Whether a permit is held by a call that takes long."""
        with self._lock:
            return self._long() > 0

    def has_room(self, action: str) -> bool:
        """Whether a call of the action would get a permit now."""
        with self._lock:
            return self._has_room(action)

    def end(self, permit: Permit, *, called: bool = True) -> None:
        """Give a permit back; ``called`` says that a call was made, whose duration tells what to expect of the next."""
        with self._lock:
            now = self._clock()
            self._held.discard(permit)
            self._of[permit.action] -= 1
            if called:
                self._took[permit.action] = now - permit.since
                self._took.move_to_end(permit.action)
                if len(self._took) > MOST_KNOWN:
                    self._took.popitem(last=False)
            if self._of[permit.action]:
                self._moved[permit.action] = now
            else:
                del self._of[permit.action], self._moved[permit.action]
            for other in [*self._waiting]:
                if self._has_room(other.action):
                    self._waiting.remove(other)
                    other.since = now
                    self._begin(other)

    def _begin(self, permit: Permit) -> None:
        if not self._of[permit.action]:
            self._moved[permit.action] = permit.since
        self._held.add(permit)
        self._of[permit.action] += 1
        if permit.given is not None:
            permit.given.set()

    def _has_room(self, action: str) -> bool:
        held = len(self._held)
        if held >= self.lanes:
            return False
        if not self.refusing or held < self._most:
            return True
        if self._of[action] >= self._most:
            return False
        if self._is_quick(action) or self._long() < self._most:
            return True
        half_of_the_rest = (self.lanes - self._most + 1) // 2
        return action not in self._took and not self._of[action] and held < self._most + half_of_the_rest

    def _worth_waiting(self, action: str) -> bool:
        if not self.refusing:
            return True
        if action in self._took and not self._is_quick(action) and self._long() >= self._most:
            return False
        moved = self._moved.get(action)
        if moved is None and len(self._held) >= self.lanes:
            moved = max(self._moved.values())
        return moved is not None and self._clock() - moved < PATIENCE

    def _is_quick(self, action: str) -> bool:
        return self._took.get(action, LONG) < LONG

    def _long(self) -> int:
        """How many permits are held by calls that take long, or took long the last time."""
        before = self._clock() - LONG
        return sum(permit.since <= before or self._took.get(permit.action, 0.0) >= LONG for permit in self._held)


_here = threading.local()
_lock = threading.Lock()
_process: Permits | None = None


def of_process() -> Permits:
    """The permits of this process; outside of a worker they refuse nobody."""
    global _process  # noqa: PLW0603 - one per process
    if _process is None:
        with _lock:
            if _process is None:
                _process = Permits(settings().steps_concurrency, refusing=False)
    return _process


def open_lanes(lanes: int, *, refusing: bool) -> None:
    """Say what this process is, before it takes its first message."""
    global _process  # noqa: PLW0603
    _process = Permits(lanes, refusing=refusing)


@contextmanager
def message(action: str | None = None) -> Iterator[bool]:
    """Hold a permit for the ``action`` of a message while this thread carries it out; yields whether there is one."""
    permits = of_process()
    _here.permit = permits.take(action) if action else None
    _here.open = True
    try:
        yield not action or _here.permit is not None
    finally:
        _here.open = False
        _let_go()


def move_on(action: str) -> bool:
    """Whether this thread, whose call has ended, may go on with one of that action; its permit is then for that."""
    if not getattr(_here, "open", False):
        return True
    _let_go()
    _here.permit = of_process().go_on(action)
    return _here.permit is not None


def made_no_call() -> None:
    """The message in hand came to nothing: how long it took says nothing about its action."""
    _let_go(called=False)


def _let_go(*, called: bool = True) -> None:
    permit: Permit | None = getattr(_here, "permit", None)
    _here.permit = None
    if permit is not None:
        of_process().end(permit, called=called)
