"""Slots: how many executions a worker carries out at once.

A message costs more than a short call, so executions that are published together share messages, called batches: up to
eight actions or runs, or the branches of a wide step (``tasks.messages.canvas``). In order of time: a batch takes free
slots, at most a fair share of all; each slot carries out one member after the other on a thread next to Celery's; a
member without a permit (``tasks.fairness.concurrency``) is requeued on ``slow`` at once; as soon as calls take long,
the members that have not begun return to the tail of their queue, in a new message that any worker may take; the
message ends when the members that have begun have ended. Each member is claimed and ended by itself.

The execution of a single message takes a slot too, on Celery's own thread: more executions than slots would only take
the processor from each other. Batches make way for single messages. A single message that still gets no slot, because
quick calls have begun to hang, is requeued on ``slow``. Celery's thread of a batch only waits, and a slot never waits
for a batch, so slots go on however many batches there are.
A requeued message leaves its executions unclaimed and their rows on their own queue; if the new message is lost, tick
publishes them from there.
"""

import functools
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery import Task, signals

from config import logs
from tasks.attempts import drain
from tasks.fairness import concurrency
from tasks.fairness.pace import pace
from tasks.messages import requeue
from tasks.messages.canvas import KILLABLE
from tasks.messages.routing import present

#: the queue of calls that would hold up others
SLOW = "slow"
#: the result of a message that was requeued
HANDED_ON = "handed on"
#: between two attempts of a batch to take more slots, or to release its members if calls take long; also how long a
#: single message waits for a slot, seconds
INTERVAL = 0.25
#: a batch holds at most this part of the slots
SHARE = 4
#: results that say nothing about how long an action's calls take
_NO_CALL = frozenset({"stale", "abandoned", "unavailable", "broken"})

log = logs.logger(__name__)


class _Slots:
    """The slots of one process, and the threads of batches."""

    def __init__(self, number: int) -> None:
        self.pid = os.getpid()
        self.threads = ThreadPoolExecutor(number, thread_name_prefix="slot")
        self._free = number
        self._waiting = 0
        lock = threading.Lock()
        self._for_single, self._for_batches = threading.Condition(lock), threading.Condition(lock)

    @property
    def wanted(self) -> bool:
        """Whether a single message waits for a slot."""
        return self._waiting > 0

    def take(self, *, wait: float = 0) -> bool:
        """Whether a batch got a slot within ``wait`` seconds.

        It gets none while a single message waits.
        """
        with self._for_batches:
            taken = self._for_batches.wait_for(lambda: self._free > 0 and not self._waiting, wait)
            self._free -= taken
            return taken

    def take_for_single(self) -> bool:
        """Whether a single message got a slot within ``INTERVAL``."""
        with self._for_single:
            self._waiting += 1
            try:
                taken = self._for_single.wait_for(lambda: self._free > 0, INTERVAL)
                self._free -= taken
            finally:
                self._waiting -= 1
                if self._free and not self._waiting:
                    self._for_batches.notify(self._free)
            return taken

    def release(self) -> None:
        """Return a slot, and wake a message that waits for one."""
        with self._for_single:
            self._free += 1
            (self._for_single if self._waiting else self._for_batches).notify()


_lock = threading.Lock()
_slots: _Slots | None = None


@signals.celeryd_after_setup.connect
def _open(instance: Any, **_: Any) -> None:
    """Open the permits of a worker that is about to start."""
    consumed = set(map(present, instance.app.amqp.queues.consume_from))
    concurrency.open_permits(instance.concurrency, refusing=not consumed & {SLOW, *KILLABLE})


def _of_process() -> _Slots:
    """The slots of this process."""
    global _slots  # noqa: PLW0603 - one per process
    with _lock:
        if _slots is None or _slots.pid != os.getpid():
            _slots = _Slots(concurrency.of_process().slots)
        return _slots


def carry_out_single(task: Task, work: Callable[[], str], *, calls: bool = True) -> str:
    """Carry out the one execution of a message, or requeue it.

    Returns its result, a word.

    ``calls`` says that the execution begins with a call of an action, which needs a permit.
    """
    if requeue.queue_of(task.request) in KILLABLE:  # one message at a time in a process of its own: no slot, no permit
        try:
            return _with_permit(None, work) or ""
        except SystemExit:  # this process is asked to end
            drain.leave()
            raise
    word = _in_slot(requeue.permits(task.request)[0] if calls else None, work)
    if word is None:
        requeue.requeue(task, SLOW)
        return HANDED_ON
    return word


def _in_slot(action: str | None, work: Callable[[], str]) -> str | None:
    """The result of the work.

    None if it got no slot or no permit, so that the message must be requeued.
    """
    slots, refusing = _of_process(), concurrency.of_process().refusing
    has_slot = slots.take_for_single()
    while not (has_slot or refusing):
        has_slot = slots.take_for_single()
    if not has_slot and action is not None:
        return None
    try:  # work without a call ends soon: it begins without a slot too
        return _with_permit(action, work)
    finally:
        pace.count_one()
        if has_slot:
            slots.release()


def carry_out_batch(task: Task, work: Callable[[str], str], *, calls: bool = True) -> str:
    """Call ``work(execution_id)`` for each id of a message.

    Returns the number of each result.

    Raises nothing.
    """
    return _BatchExecution(requeue.ReceivedBatch.of(task), work, calls=calls).carry_out()


def _with_permit(action: str | None, work: Callable[[], str]) -> str | None:
    """The result of the work.

    None if there is no permit for it.
    """
    with concurrency.message(action) as has_permit:
        if not has_permit:
            return None
        word = work()
        if word in _NO_CALL:
            concurrency.made_no_call()
        return word


class _BatchExecution:
    """The execution of a message's members."""

    def __init__(self, batch: requeue.ReceivedBatch, work: Callable[[str], str], *, calls: bool) -> None:
        self._batch = batch
        self._work = work
        self._calls = calls
        self._left = deque(batch.members)
        self._running = 0
        self._slots = 0
        self._words: list[str] = []
        self._changed = threading.Condition()

    def carry_out(self) -> str:
        """Carry out all members; returns the number of each result."""
        slots, permits = _of_process(), concurrency.of_process()
        over = False
        while not over:
            self._take_slots(slots, max(1, permits.slots // SHARE))
            with self._changed:
                self._changed.wait_for(lambda: self._is_over() or not self._slots, INTERVAL)
                over = self._is_over()
            if not over and permits.any_long() and (self._slots or permits.refusing):
                self._return_rest()
        words = self._words
        return ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))

    def _take_slots(self, slots: _Slots, share: int) -> None:
        """Take free slots up to a fair share.

        It waits a moment for the first one.
        """
        wanted = min(len(self._left), share - self._slots)
        taken = sum(slots.take() for _ in range(wanted))
        if wanted > 0 and not (taken or self._slots):
            taken = int(slots.take(wait=INTERVAL))
        with self._changed:
            self._slots += taken
        for _ in range(taken):
            slots.threads.submit(self._work_in_slot, slots)

    def _return_rest(self) -> None:
        """Return the members that have not begun to their queue."""
        with self._changed:
            rest = list(self._left)
            self._left.clear()
        self._requeue(rest, self._batch.queue, "put back")

    def _is_over(self) -> bool:
        return not (self._left or self._running)

    def _work_in_slot(self, slots: _Slots) -> None:
        """Carry out member after member, until a single message waits."""
        try:
            while (member := self._next()) is not None:
                self._carry_out(member)
                if slots.wanted:
                    break
        finally:
            slots.release()
            with self._changed:
                self._slots -= 1
                self._changed.notify_all()

    def _carry_out(self, member: requeue.Member) -> None:
        word: str | None = "broken"
        try:
            word = _with_permit(member.permit if self._calls else None, functools.partial(self._work, member.id))
            if word is None:
                self._requeue([member, *self._without_room()], SLOW, HANDED_ON)
        except Exception:
            log.exception("execution of a batch raised an unexpected error", execution_id=member.id)
        finally:
            pace.count_one()
            with self._changed:
                self._running -= 1
                self._words += [word] if word else []
                self._changed.notify_all()

    def _next(self) -> requeue.Member | None:
        with self._changed:
            if not self._left:
                return None
            self._running += 1
            return self._left.popleft()

    def _without_room(self) -> list[requeue.Member]:
        """Take out the members that would get no permit either."""
        with self._changed:
            refused = [member for member in self._left if not concurrency.of_process().has_room(member.permit)]
            for member in refused:
                self._left.remove(member)
            return refused

    def _requeue(self, members: Sequence[requeue.Member], queue: str, word: str) -> None:
        if not members:
            return
        requeue.publish(self._batch, members, queue)
        with self._changed:
            self._words += [word] * len(members)
