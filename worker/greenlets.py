"""The pool of the workers ``steps`` and ``slow``: messages are carried out on the event loop, each as a greenlet.

In order of time: Celery's consumer hands over a message; while there are places the message is acknowledged and its
greenlet begins, otherwise it waits, unacknowledged, until others have ended; all of Celery's own part of a task is done
in that greenlet, and what blocks of it in a thread: publishing the next link of a chain, counting a member of a chord,
rejecting a message. So an execution that waits for a slow target holds some kilobytes and no thread.

There are some more places than slots (``tasks.fairness.slots``), for messages that wait for one: they can still be
requeued. A batch counts for as many as it may take slots, and for no more than it has members left: one that hangs
holds its own place. The last places are for what comes alone, so that it does not wait for batches to end. What is left
waits on its queue, where others overtake it.
"""

import functools
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from celery.concurrency.base import BasePool, apply_target

from config import logs
from event_loop import loop
from tasks.fairness.slots import SHARE, tell_left
from tasks.messages.current import off_loop

log = logs.logger(__name__)


class _Message:
    """A message, and what Celery wants done with it."""

    def __init__(self, size: int, accept: Callable[..., None], carry_out: Callable[[], None]) -> None:
        self.size = size
        self.carry_out = carry_out
        self._accept = accept

    def accept(self) -> bool:
        """Acknowledge it; false if that failed: the broker delivers it again."""
        try:
            self._accept(os.getpid(), time.monotonic())
        except Exception:
            log.exception("message not acknowledged; it comes again")
            return False
        return True


class TaskPool(BasePool):  # type: ignore[misc]
    """The pool as Celery's worker starts it."""

    body_can_be_buffer = True
    signal_safe = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._most: int = max(1, self.limit // SHARE)
        self._free: int = self.limit + self._most
        self._waiting: deque[_Message] = deque()
        self._under_way = 0
        self._ready = False
        #: guards all that, and tells of an end
        self._ended = threading.Condition()

    def on_stop(self) -> None:
        """Wait for what is under way; what has not begun goes back to the broker with the connection."""
        with self._ended:
            self._waiting.clear()
            self._ended.wait_for(lambda: not self._under_way)

    def terminate_job(self, _pid: int, _signal: str | None = None) -> None:
        """Leave a message of a worker that quits to its lease: no greenlet can be killed from outside."""

    def on_apply(
        self,
        target: Callable[..., Any],
        args: Any,
        kwargs: Any,
        *,
        accept_callback: Callable[..., None],
        callback: Callable[..., None],
        **_: Any,
    ) -> None:
        """Begin a message, or have it wait for a place."""
        size = min(len(args[2]["args"]) or 1, self._most)
        ended = functools.partial(_tell, callback)
        message = _Message(size, accept_callback, functools.partial(apply_target, target, args, kwargs, ended))
        here = loop.of_process()  # it may have to begin, which may fail: before the message is acknowledged
        with self._ended:
            if not self._fits(message):
                self._waiting.append(message)
                return
            self._enter(message)
        if message.accept():
            here.spawn(functools.partial(self._carry_out, message))
        else:
            self._leave(message)

    def _fits(self, message: _Message) -> bool:
        """Whether there is a place; the last ones are for what comes alone."""
        return self._free > (self._most if message.size > 1 else 0)

    def _enter(self, message: _Message) -> None:
        self._free -= message.size
        self._under_way += 1

    def _carry_out(self, message: _Message) -> None:
        try:
            if not self._ready:
                self._make_ready()
            tell_left.set(functools.partial(self._shrink, message))
            message.carry_out()
        finally:
            self._leave(message)

    def _shrink(self, message: _Message, left: int) -> None:
        """Have a batch count for no more places than it has members left."""
        if left < message.size:
            more, message.size = message.size - left, left
            self._make_room(more)

    def _make_ready(self) -> None:
        """Have Celery's own part of a task block no other; the loop's thread has a backend of its own."""
        self._ready = True
        for part, name in ((self.app.amqp, "_retry_publish"), (self.app.backend, "on_chord_part_return")):
            setattr(part, name, functools.partial(off_loop, getattr(part, name)))

    def _leave(self, message: _Message) -> None:
        with self._ended:
            self._under_way -= 1
            self._ended.notify_all()
        self._make_room(message.size)

    def _make_room(self, places: int) -> None:
        """Give places to the messages that have waited longest."""
        begin = []
        with self._ended:
            self._free += places
            while following := next(filter(self._fits, self._waiting), None):
                self._waiting.remove(following)
                self._enter(following)
                begin.append(following)
        for following in begin:
            loop.of_process().spawn(functools.partial(self._begin_later, following))

    def _begin_later(self, message: _Message) -> None:
        """Begin a message that has waited; on the loop, so it is acknowledged in a thread."""
        accepted = False
        try:
            accepted = loop.offload(message.accept)
        finally:  # there may be no thread to be had
            if not accepted:
                self._leave(message)
        if accepted:
            self._carry_out(message)


def _tell(callback: Callable[..., None], outcome: Any) -> None:
    """Tell Celery how a task ended; one that failed may go back to the broker, which blocks."""
    failed = not isinstance(outcome, tuple) or outcome[0]
    loop.offload(callback, outcome) if failed else callback(outcome)
