"""Publishing after the commit and off the request's path.

``publish_after_commit`` returns at once. One thread per process publishes the messages that wait. It publishes the
first one immediately; while many arrive in a short time it waits a moment for more, because executions that share a
message (``tasks.messages.canvas``) cost a fraction of those that come alone. When the broker is away, the thread makes
the rows due in a second, so that tick publishes them once the broker is back, and leaves the broker alone for a moment
instead of waiting on it for every request. A process that stops in good order calls ``drain``; otherwise the messages
that wait are left to tick.
"""

import contextlib
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence

from config import logs
from config.errors import Unavailable
from store.engine import db
from store.executions import recovery
from tasks.messages import canvas
from tasks.messages.current import off_loop
from tasks.messages.model import Canvas

#: after a failure the thread leaves the broker alone for this long, seconds
REST = 1.0
#: the thread publishes at most this many in one go
BATCH = 100
#: after this many within the window (seconds) the thread waits for more before it publishes
BURST_SIZE, BURST_WINDOW = 10, 0.05
#: how long it then waits, seconds
BATCH_DELAY = 0.02

log = logs.logger(__name__)


class Publisher:
    """A queue and the thread that publishes what is put there."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[Canvas | str | threading.Event, float]] = queue.SimpleQueue()
        #: since when the oldest message being published has waited
        self._since: float | None = None
        self._rest_until = 0.0
        #: the time and size of each recent publication
        self._lately: deque[tuple[float, int]] = deque()
        threading.Thread(target=self._work, name="publisher", daemon=True).start()

    def put(self, *items: Canvas | str) -> None:
        """Publish executions, or revoke the messages of ended ones (given by id)."""
        now = time.monotonic()
        for item in items:
            self._waiting.put((item, now))

    def oldest(self) -> float:
        """How long the oldest message being published has waited, seconds.

        0 if few wait.
        """
        since = self._since
        return 0.0 if since is None or self._waiting.qsize() <= BATCH else time.monotonic() - since

    def resume(self) -> None:
        """Publish again before the rest after a failure is over."""
        self._rest_until = 0.0

    def drain(self, seconds: float) -> bool:
        """Wait at most ``seconds`` until everything put so far is published.

        Return whether it is.
        """
        reached = threading.Event()
        self._waiting.put((reached, time.monotonic()))
        return reached.wait(seconds)

    def _work(self) -> None:
        while True:
            first, self._since = self._waiting.get()
            items = [first]
            if self._many_come():
                time.sleep(BATCH_DELAY)
            with contextlib.suppress(queue.Empty):
                while len(items) < BATCH:
                    items.append(self._waiting.get_nowait()[0])
            try:
                self._deliver(items)
            except Exception:
                log.warning("publishing failed", exc_info=True)
            self._lately.append((time.monotonic(), len(items)))
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()
            self._since = None

    def _many_come(self) -> bool:
        """Whether waiting for more is worth while.

        If enough wait already, it is not.
        """
        if self._waiting.qsize() >= BURST_SIZE:
            return False
        before = time.monotonic() - BURST_WINDOW
        while self._lately and self._lately[0][0] < before:
            self._lately.popleft()
        return sum(number for _, number in self._lately) >= BURST_SIZE

    def _deliver(self, items: list[Canvas | str | threading.Event]) -> None:
        messages = [item for item in items if isinstance(item, Canvas)]
        if time.monotonic() < self._rest_until:
            missed = [item.first for item in messages]
        else:
            missed = canvas.publish(messages)
            revoked = all(canvas.revoke(item) for item in items if isinstance(item, str))
            if missed or not revoked:
                self._rest_until = time.monotonic() + REST
                log.warning("broker unavailable; tick will publish", executions=len(missed))
        if missed:
            republish_later(missed)


def publish(canvases: Sequence[Canvas], *, countdown: float | None = None) -> list[str]:
    """Publish at once.

    Returns the ids that the broker did not take, left to tick.
    """
    if not canvases:
        return []
    missed = off_loop(canvas.publish, canvases, countdown=countdown)
    if missed:
        republish_later(missed)
    return missed


def republish_later(execution_ids: list[str]) -> None:
    """Have tick republish, in a second, what the broker refused."""
    with contextlib.suppress(Unavailable), db.write() as connection:
        recovery.publish_soon(connection, execution_ids, at=db.now_ms() + 1000)


_lock = threading.Lock()
_publisher: Publisher | None = None


def _mine() -> Publisher:
    global _publisher  # noqa: PLW0603 - one per process
    if _publisher is None:
        with _lock:
            if _publisher is None:
                _publisher = Publisher()
    return _publisher


def _after_fork() -> None:
    """Start a forked child without its parent's publisher thread."""
    global _lock, _publisher
    _lock, _publisher = threading.Lock(), None


os.register_at_fork(after_in_child=_after_fork)


def publish_after_commit(*messages: Canvas) -> None:
    """Have the thread publish executions.

    Call it after the commit that made them pending.
    """
    _mine().put(*messages)


def revoke(execution_id: str) -> None:
    """Have the thread revoke the message of an ended execution, best effort."""
    _mine().put(execution_id)


def oldest() -> float:
    """How long the oldest message that this process publishes has waited, seconds.

    0 if few wait.
    """
    mine = _publisher
    return 0.0 if mine is None else mine.oldest()


def resume() -> None:
    """Publish again before the rest after a failure is over."""
    _mine().resume()


def drain(seconds: float) -> bool:
    """Wait at most ``seconds`` until this process has published everything.

    Return whether it has.
    """
    mine = _publisher
    return mine is None or mine.drain(seconds)
