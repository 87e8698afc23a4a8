"""Permits: slow targets leave a worker's room to quick ones.

In order of time: before an execution is claimed, its message asks for a permit for its action. Without one it stays
unclaimed, and the message is requeued on ``slow`` (``tasks.fairness.slots``), whose process has room for long calls. A
worker that carries out the next step in place asks again for that step's action (``move_on``). The permit ends
with the message and goes to the message that has waited longest.

Three rules, each about the process's slots (its concurrency):

* one action holds at most three quarters of them; a call beyond that waits a moment, as long as permits of its action
  end, and its message is then requeued;
* while long calls hold three quarters, permits go only to actions known to be quick, and to one call each of a few
  actions that have not been timed yet;
* no more calls are made at once than there are slots; a slot that has ended a call may always go on with a quick one.

A process that consumes ``slow`` refuses no action: a message waits there for a slot. Executions in processes that can
be killed need no permit.
"""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from config.settings import settings
from event_loop.waiting import Event

#: waiting for a permit is worth while if the action ended one at most this long ago; also one such wait, seconds
PATIENCE = 0.05
#: the waits of a message before it is requeued
MOST_WAITS = 5
#: a call that takes at least this long is long, a shorter one is quick, seconds
LONG = 0.25
#: the number of actions whose last duration is remembered
MOST_KNOWN = 1_000


class Permit:
    """The right of one call of an action, held or waited for."""

    def __init__(self, action: str, now: float) -> None:
        self.action = action
        self.since = now
        self.given: Event | None = None


class Permits:
    """The permits of one process; times are those of ``clock``, in seconds."""

    def __init__(self, slots: int, *, refusing: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self.slots = slots
        self.refusing = refusing
        self._most = max(1, slots * 3 // 4)
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
        """A permit for a call of the action, or None.

        ``end`` returns it.
        """
        with self._lock:
            permit = Permit(action, self._clock())
            if self._has_room(action):
                self._begin(permit)
                return permit
            if not (wait and self._worth_waiting(action)):
                return None
            permit.given = given = Event()
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
        """A permit for a slot that has just ended a call.

        A quick action gets one whenever a slot is free, because it takes no room from the others.
        """
        with self._lock:
            permit = Permit(action, self._clock())
            free = len(self._held) < self.slots
            if not (self._has_room(action) or (free and self._is_quick(action))):
                return None
            self._begin(permit)
            return permit

    def any_long(self) -> bool:
        """Whether a long call holds a permit."""
        with self._lock:
            return self._long() > 0

    def has_room(self, action: str) -> bool:
        """Whether a call of the action would get a permit now."""
        with self._lock:
            return self._has_room(action)

    def end(self, permit: Permit, *, called: bool = True) -> None:
        """Return a permit, for the messages that wait.

        ``called`` says that a call was made: its duration is what the next one is expected to take.
        """
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
        if held >= self.slots:
            return False
        if not self.refusing or held < self._most:
            return True
        if self._of[action] >= self._most:
            return False
        if self._is_quick(action) or self._long() < self._most:
            return True
        half_of_the_rest = (self.slots - self._most + 1) // 2
        return action not in self._took and not self._of[action] and held < self._most + half_of_the_rest

    def _worth_waiting(self, action: str) -> bool:
        if not self.refusing:
            return True
        if action in self._took and not self._is_quick(action) and self._long() >= self._most:
            return False
        moved = self._moved.get(action)
        if moved is None and len(self._held) >= self.slots:
            moved = max(self._moved.values())
        return moved is not None and self._clock() - moved < PATIENCE

    def _is_quick(self, action: str) -> bool:
        return self._took.get(action, LONG) < LONG

    def _long(self) -> int:
        """The number of permits held by calls known to take long."""
        before = self._clock() - LONG
        return sum(permit.since <= before or self._took.get(permit.action, 0.0) >= LONG for permit in self._held)


#: the permit of the message that the present thread or greenlet carries out
_permit: ContextVar[Permit | None] = ContextVar("permit", default=None)
#: whether it carries out one
_open: ContextVar[bool] = ContextVar("open", default=False)
_lock = threading.Lock()
_process: Permits | None = None


def of_process() -> Permits:
    """The permits of this process.

    Outside of a worker they refuse no action.
    """
    global _process  # noqa: PLW0603 - one per process
    if _process is None:
        with _lock:
            if _process is None:
                _process = Permits(settings().steps_concurrency, refusing=False)
    return _process


def open_permits(slots: int, *, refusing: bool) -> None:
    """Set the slots of this process, before it takes its first message."""
    global _process  # noqa: PLW0603
    _process = Permits(slots, refusing=refusing)


@contextmanager
def message(action: str | None = None) -> Iterator[bool]:
    """Hold a permit while this thread or greenlet carries out a message.

    Yields whether there is one.
    """
    permits = of_process()
    permit = permits.take(action) if action else None
    _permit.set(permit)
    _open.set(True)
    try:
        yield not action or permit is not None
    finally:
        _open.set(False)
        _end_permit()


def move_on(action: str) -> bool:
    """Exchange the permit in hand for one of ``action``.

    Returns whether there is one.
    """
    if not _open.get():
        return True
    _end_permit()
    permit = of_process().go_on(action)
    _permit.set(permit)
    return permit is not None


def made_no_call() -> None:
    """End the permit in hand untimed: the message led to no call."""
    _end_permit(called=False)


def _end_permit(*, called: bool = True) -> None:
    permit = _permit.get()
    _permit.set(None)
    if permit is not None:
        of_process().end(permit, called=called)
