"""The doorbell: publishing after the commit and off the request's path.

``ring`` returns at once. One thread per process publishes what has piled up: the first at once, and as long as many
come in a short time what gathers in a moment, because executions that share a message (``tasks.messages.canvas``) cost
a fraction of those that come alone. When the broker is away the rows are made due in a second, so that tick publishes
them as soon as it is back; the thread then leaves the broker alone for a moment instead of waiting on it for every
request. A process that stops in good order calls ``drain``, else what has piled up would have to wait for tick to find
it.
"""

import contextlib
import os
import queue
import threading
import time
from collections import deque

from config import logs
from config.errors import Unavailable
from store.engine import db
from store.executions import recovery
from tasks.messages import canvas
from tasks.messages.model import Canvas

#: after a failure the broker is left alone for this long, seconds
REST = 1.0
#: at most this many are published in one go
BATCH = 100
#: when so many were published within so many seconds, the next wait for each other for a moment, seconds
MANY, LATELY = 10, 0.05
GATHERING = 0.02

log = logs.logger(__name__)


class Doorbell:
    """A queue and the thread that empties it."""

    def __init__(self) -> None:
        self._piled: queue.SimpleQueue[tuple[Canvas | str | threading.Event, float]] = queue.SimpleQueue()
        #: since when what is being delivered has waited
        self._since: float | None = None
        self._rest_until = 0.0
        #: when how many were published
        self._lately: deque[tuple[float, int]] = deque()
        threading.Thread(target=self._work, name="doorbell", daemon=True).start()

    def put(self, *items: Canvas | str) -> None:
        """Publish executions, or revoke the messages of ended ones (given by id)."""
        now = time.monotonic()
        for item in items:
            self._piled.put((item, now))

    def oldest(self) -> float:
        """How long what is being delivered has waited, seconds; 0 where no more waits than goes in one go."""
        since = self._since
        return 0.0 if since is None or self._piled.qsize() <= BATCH else time.monotonic() - since

    def drain(self, seconds: float) -> bool:
        """Wait until what has been put so far is delivered, at most ``seconds``; whether it is."""
        reached = threading.Event()
        self._piled.put((reached, time.monotonic()))
        return reached.wait(seconds)

    def _work(self) -> None:
        while True:
            first, self._since = self._piled.get()
            items = [first]
            if self._many_come():
                time.sleep(GATHERING)
            with contextlib.suppress(queue.Empty):
                while len(items) < BATCH:
                    items.append(self._piled.get_nowait()[0])
            try:
                self._deliver(items)
            except Exception:
                log.warning("doorbell failed", exc_info=True)
            self._lately.append((time.monotonic(), len(items)))
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()
            self._since = None

    def _many_come(self) -> bool:
        """Whether it is worth while to wait for more; who has piled up already is not kept waiting."""
        if self._piled.qsize() >= MANY:
            return False
        before = time.monotonic() - LATELY
        while self._lately and self._lately[0][0] < before:
            self._lately.popleft()
        return sum(number for _, number in self._lately) >= MANY

    def _deliver(self, items: list[Canvas | str | threading.Event]) -> None:
        rings = [item for item in items if isinstance(item, Canvas)]
        if time.monotonic() < self._rest_until:
            missed = [item.first for item in rings]
        else:
            missed = canvas.publish(rings)
            revoked = all(canvas.revoke(item) for item in items if isinstance(item, str))
            if missed or not revoked:
                self._rest_until = time.monotonic() + REST
                log.warning("the broker is away; tick will publish", executions=len(missed))
        if missed:
            put_off(missed)


def publish(canvases: list[Canvas], *, countdown: float | None = None) -> None:
    """Publish at once; what the broker does not take is left to tick."""
    missed = canvas.publish(canvases, countdown=countdown)
    if missed:
        put_off(missed)


def put_off(execution_ids: list[str]) -> None:
    """Have tick publish these soon: the broker did not take them."""
    with contextlib.suppress(Unavailable), db.write() as connection:
        recovery.publish_soon(connection, execution_ids, at=db.now_ms() + 1000)


_lock = threading.Lock()
_doorbell: Doorbell | None = None


def _mine() -> Doorbell:
    global _doorbell  # noqa: PLW0603 - one per process
    if _doorbell is None:
        with _lock:
            if _doorbell is None:
                _doorbell = Doorbell()
    return _doorbell


def _after_fork() -> None:
    """A child begins without a doorbell: the thread of its parent's is not there."""
    global _lock, _doorbell
    _lock, _doorbell = threading.Lock(), None


os.register_at_fork(after_in_child=_after_fork)


def ring(*rings: Canvas) -> None:
    """Have executions published; call it after the commit that made them pending."""
    _mine().put(*rings)


def revoke(execution_id: str) -> None:
    """Have the message of an ended execution dropped, best effort."""
    _mine().put(execution_id)


def oldest() -> float:
    """How long what this process is publishing has waited, seconds; 0 where little waits behind it."""
    mine = _doorbell
    return 0.0 if mine is None else mine.oldest()


def drain(seconds: float) -> bool:
    """Wait until everything rung so far by this process is delivered, at most ``seconds``; whether it is."""
    mine = _doorbell
    return mine is None or mine.drain(seconds)
