"""What waits: on the event loop the greenlet alone, anywhere else the thread.

A thread that waits stops nothing but itself, so ordinary code blocks. On the event loop (``event_loop.loop``) all
executions of a worker share one thread: what waits there must let the others go on. The primitives of this module do
the right thing in either place, and what one place waits for may come from the other: a greenlet waits for a permit
that a thread returns, a thread for a commit that a greenlet leads.

A mutex that is held only for a few statements, none of which waits, may stay an ordinary ``threading.Lock``. No such
lock is ever held while its holder waits: another greenlet would stop the whole loop at it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from greenlet import getcurrent, greenlet


class Hub(Protocol):
    """What a greenlet needs of the loop that carries it out."""

    def switch(self) -> Any:
        """Let the loop go on; returns when the greenlet is resumed."""

    def soon(self, resume: Callable[[], object]) -> None:
        """Have the loop call ``resume``; from any thread."""

    def later(self, seconds: float, resume: Callable[[], object]) -> Callable[[], object]:
        """Have the loop call ``resume`` after a time, in seconds; returns what prevents it."""


class LoopGreenlet(greenlet):  # type: ignore[misc]
    """A greenlet of the event loop."""

    hub: Hub


class MustNotWaitError(Exception):
    """The caller is a callback of the event loop, between greenlets."""


#: the loop's own greenlet, which runs its callbacks
_callbacks: list[greenlet] = []


def run_callbacks_in(hub: greenlet) -> None:
    """Name the greenlet that runs the callbacks of the loop."""
    _callbacks[:] = [hub]


def must_not_wait() -> bool:
    """Whether the caller is a callback of the event loop, between greenlets."""
    return bool(_callbacks) and getcurrent() is _callbacks[0]


def inside() -> bool:
    """Whether the caller is a greenlet of the event loop: it must not block its thread."""
    return type(getcurrent()) is LoopGreenlet


class Waiter:
    """One wait of a greenlet of the loop; to others it looks like a lock that is held until it may go on."""

    __slots__ = ("_greenlet", "_hub", "_released", "_waiting")

    def __init__(self) -> None:
        self._greenlet: Any = getcurrent()
        self._hub: Hub = self._greenlet.hub
        self._released = self._waiting = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Wait at most ``timeout`` seconds, or without end if that is negative; whether ``release`` was called."""
        if not self._released and blocking:
            prevent = None if timeout < 0 else self._hub.later(timeout, self._resume)
            self._waiting = True
            try:
                self._hub.switch()
            finally:
                self._waiting = False
                if prevent is not None:
                    prevent()
        released, self._released = self._released, False
        return released

    def go_round(self) -> None:
        """Go on when the loop has resumed all others that are ready."""
        self._hub.soon(self._resume)
        self.acquire()

    def release(self) -> None:
        """Let it go on; from any thread."""
        self._released = True
        self._hub.soon(self._resume)

    def _resume(self) -> None:
        """Go on, unless it does already: a time-out and a release may meet."""
        if self._waiting:
            self._waiting = False
            self._greenlet.switch()


def turn() -> Any:
    """A lock that is held until another releases it, for one wait of the caller."""
    if inside():
        return Waiter()
    lock = threading.Lock()
    lock.acquire()
    return lock


def sleep(seconds: float) -> None:
    """As ``time.sleep``."""
    if inside():
        Waiter().acquire(timeout=max(0.0, seconds))
    else:
        time.sleep(seconds)


def pass_turn() -> None:
    """Let every greenlet go on that is ready; nothing where there is no loop."""
    if inside():
        Waiter().go_round()


def give_way() -> None:
    """Let the loop turn once in the middle of a long computation; nothing where there is no loop."""
    if inside():
        Waiter().acquire(timeout=0)


class Condition(threading.Condition):
    """As ``threading.Condition``."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until notified; whether it was, within ``timeout`` seconds."""
        if not inside():
            return super().wait(timeout)
        waiter = Waiter()
        waiters: Any = self._waiters  # type: ignore[attr-defined]
        waiters.append(waiter)  # where notify() looks for those who wait
        self.release()
        notified = False
        try:
            notified = waiter.acquire(timeout=-1 if timeout is None else timeout)
        finally:
            self.acquire()
            if not notified and waiter in waiters:
                waiters.remove(waiter)
        return notified


class Semaphore:
    """As ``threading.Semaphore``, but a permit goes to the one that has waited longest.

    Otherwise a greenlet that returns a permit and asks again, before it waits for anything, would always get it back:
    the others would wait until all such greenlets have ended, or their own time has.
    """

    def __init__(self, value: int) -> None:
        self._lock = threading.Lock()
        self._free = value
        self._waiting: deque[Any] = deque()

    def acquire(self, timeout: float = -1) -> bool:
        """Take a permit; whether there was one within ``timeout`` seconds, without end if that is negative."""
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            mine = turn()
            self._waiting.append(mine)
        try:
            given = mine.acquire(timeout=timeout)
        except BaseException:
            if not self._withdrew(mine):
                self.release()
            raise
        return given or not self._withdrew(mine)

    def release(self) -> None:
        """Return a permit."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

    def _withdrew(self, mine: Any) -> bool:
        """Whether one no longer waits; false if it was given a permit as its time ran out."""
        with self._lock:
            if mine not in self._waiting:
                return False
            self._waiting.remove(mine)
            return True


class Event(threading.Event):
    """As ``threading.Event``."""

    def __init__(self) -> None:
        super().__init__()
        self._cond = Condition(threading.Lock())
