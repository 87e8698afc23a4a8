"""Slots: how many executions a worker carries out at once.

A message costs more than a short call, so executions that are published together share messages, called batches: up to
24 actions or runs, or the branches of a wide step (``tasks.messages.canvas``). In order of time: the pool begins the
message on the event loop (``worker.greenlets``; a thread of another pool waits for its end there); a batch takes free
slots, at most a fair share of all; each slot is a greenlet that carries out one member after the other; a member
without a permit (``tasks.fairness.concurrency``) is requeued on ``slow`` at once; as soon as calls take long, the
members that have not begun return to the tail of their queue, in a new message that any worker may take; the message
ends when the members that have begun have ended. Each member is claimed and ended by itself.

The execution of a single message takes a slot too: more executions than slots would only take the processor from each
other. Batches make way for single messages. A single message that still gets no slot, because quick calls have begun to
hang, is requeued on ``slow``. A slot never waits for a batch, so slots go on however many batches there are.
A requeued message leaves its executions unclaimed and their rows on their own queue; if the new message is lost, tick
publishes them from there.

All of this runs on the loop, one thing at a time: what does not wait is not interrupted, and needs no lock.
"""

import functools
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from celery import Task, signals

from config import logs
from event_loop import loop
from event_loop.waiting import Waiter
from tasks.attempts import drain
from tasks.fairness import concurrency
from tasks.fairness.pace import pace
from tasks.messages import requeue
from tasks.messages.canvas import KILLABLE
from tasks.messages.current import task_of
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


def _untold(_left: int) -> None:
    """Another pool carries the batch out: it counts no places."""


#: called with the number of members of the present batch that have not ended here (``worker.greenlets``)
tell_left: ContextVar[Callable[[int], None]] = ContextVar("tell_left", default=_untold)


class _Slots:
    """The slots of one process."""

    def __init__(self, number: int) -> None:
        self.pid = os.getpid()
        self._free = number
        self._singles: deque[Waiter] = deque()
        self._batches: deque[Waiter] = deque()

    @property
    def wanted(self) -> bool:
        """Whether a single message waits for a slot."""
        return bool(self._singles)

    def take(self, *, wait: float = 0) -> bool:
        """Whether a batch got a slot within ``wait`` seconds.

        It gets none while a single message waits.
        """
        if self._free and not self._singles:
            self._free -= 1
            return True
        return wait > 0 and self._wait(self._batches, wait)

    def take_for_single(self) -> bool:
        """Whether a single message got a slot within ``INTERVAL``."""
        if self._free and not self._singles:
            self._free -= 1
            return True
        return self._wait(self._singles, INTERVAL)

    def release(self) -> None:
        """Give a slot to the message that has waited longest for one, to single ones first."""
        for waiting in (self._singles, self._batches):
            if waiting:
                waiting.popleft().release()
                return
        self._free += 1

    @staticmethod
    def _wait(among: deque[Waiter], seconds: float) -> bool:
        waiter = Waiter()
        among.append(waiter)
        taken = waiter.acquire(timeout=seconds)
        if not taken:
            among.remove(waiter)
        return taken


_slots: _Slots | None = None


@signals.celeryd_after_setup.connect
def _open(instance: Any, **_: Any) -> None:
    """Open the permits of a worker that is about to start."""
    consumed = set(map(present, instance.app.amqp.queues.consume_from))
    concurrency.open_permits(instance.concurrency, refusing=not consumed & {SLOW, *KILLABLE})


def _of_process() -> _Slots:
    """The slots of this process."""
    global _slots  # noqa: PLW0603 - one per process
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
    request = task.request_stack.top
    action = requeue.permits(request)[0] if calls else None

    def carry_out() -> str:
        with task_of(task, request):
            word = _in_slot(action, work)
            if word is None:
                requeue.requeue(task, SLOW)
                return HANDED_ON
            return word

    return loop.call(carry_out)


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
    batch = requeue.ReceivedBatch.of(task)
    return loop.call(lambda: _BatchExecution(batch, work, calls=calls).carry_out())


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
        self._tell_left = tell_left.get()
        self._left = deque(batch.members)
        self._running = 0
        self._slots = 0
        self._words: list[str] = []
        #: wakes the message when its last slot has ended
        self._ended = Waiter()

    def carry_out(self) -> str:
        """Carry out all members; returns the number of each result."""
        slots, permits = _of_process(), concurrency.of_process()
        while True:
            self._take_slots(slots, max(1, permits.slots // SHARE))
            if self._slots:
                self._ended.acquire(timeout=INTERVAL)
            if not (self._left or self._running):
                break
            if permits.any_long() and (self._slots or permits.refusing):
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
        self._slots += taken
        for _ in range(taken):
            loop.of_process().spawn(functools.partial(self._work_in_slot, slots))

    def _return_rest(self) -> None:
        """Return the members that have not begun to their queue."""
        rest = list(self._left)
        self._left.clear()
        self._tell_left(self._running)
        self._requeue(rest, self._batch.queue, "put back")

    def _work_in_slot(self, slots: _Slots) -> None:
        """Carry out member after member, until a single message waits."""
        try:
            while self._left:
                self._carry_out(self._left.popleft())
                if slots.wanted:
                    break
        finally:
            slots.release()
            self._slots -= 1
            if not self._slots:
                self._ended.release()

    def _carry_out(self, member: requeue.Member) -> None:
        word: str | None = "broken"
        self._running += 1
        try:
            word = _with_permit(member.permit if self._calls else None, functools.partial(self._work, member.id))
            if word is None:
                self._requeue([member, *self._without_room()], SLOW, HANDED_ON)
        except Exception:
            log.exception("execution of a batch raised an unexpected error", execution_id=member.id)
        finally:
            pace.count_one()
            self._running -= 1
            self._words += [word] if word else []
            self._tell_left(len(self._left) + self._running)

    def _without_room(self) -> list[requeue.Member]:
        """Take out the members that would get no permit either."""
        refused = [member for member in self._left if not concurrency.of_process().has_room(member.permit)]
        for member in refused:
            self._left.remove(member)
        return refused

    def _requeue(self, members: Sequence[requeue.Member], queue: str, word: str) -> None:
        if not members:
            return
        self._words += [word] * len(members)
        requeue.publish(self._batch, members, queue)
