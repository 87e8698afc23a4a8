"""Lanes: how a message's executions are taken up, one alone or several side by side, each if its action has a turn.

A message costs more than a short call, so what piles up comes in bundles: up to eight actions or runs, or the branches
of a wide step (``tasks.messages.canvas``). A worker carries the members of one out on lanes: threads of its own beside
Celery's. In order of time: a fair share of the lanes takes up one member after the other; what has no turn
(``tasks.fairness.concurrency``) is handed on to the queue ``slow`` at once; as soon as calls take long the members
that have not begun go back to the tail of their queue, as a new message that any worker may take; the message is done
when those that have begun are. Each member is claimed and ended by itself, and none knows of the others.

What comes alone takes a lane too, on Celery's own thread: more at work at once than there are lanes would only take the
processor from each other. Bundles make way for it; where no lane becomes free all the same, because quick calls have
begun to hang, it goes to ``slow``. Celery's thread of a bundle only waits, and a lane never waits for a bundle: so
however many bundles there are, lanes go on.
A message handed on leaves its executions unclaimed and their rows on their own queue, where tick publishes them again
should the copy be lost.
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

#: where calls go that would hold up others
SLOW = "slow"
#: how a message ends whose execution was handed on
HANDED_ON = "handed on"
#: so often a bundle looks for more lanes, or lets go of what has not begun if calls take long; what came alone waits
#: as long for a lane, seconds
LETS_GO = 0.25
#: a bundle takes one lane of so many at a time
SHARE = 4
#: endings that tell nothing about how long an action's calls take
_NO_CALL = frozenset({"stale", "abandoned", "unavailable", "broken"})

log = logs.logger(__name__)


class _Lanes:
    """The lanes of one process: threads for bundles, and how many more may be at work, there or on Celery's threads."""

    def __init__(self, number: int) -> None:
        self.pid = os.getpid()
        self.threads = ThreadPoolExecutor(number, thread_name_prefix="lane")
        self._free = number
        self._waiting = 0
        lock = threading.Lock()
        self._for_alone, self._for_bundles = threading.Condition(lock), threading.Condition(lock)

    @property
    def wanted(self) -> bool:
        """Whether a message that came alone waits for one."""
        return self._waiting > 0

    def take(self, *, wait: float = 0) -> bool:
        """Whether a bundle got one within ``wait`` seconds; it gets none that what came alone waits for."""
        with self._for_bundles:
            there = self._for_bundles.wait_for(lambda: self._free > 0 and not self._waiting, wait)
            self._free -= there
            return there

    def take_alone(self) -> bool:
        """Whether a message that came alone got one within a moment."""
        with self._for_alone:
            self._waiting += 1
            try:
                there = self._for_alone.wait_for(lambda: self._free > 0, LETS_GO)
                self._free -= there
            finally:
                self._waiting -= 1
                if self._free and not self._waiting:
                    self._for_bundles.notify(self._free)
            return there

    def give_back(self) -> None:
        """Let others have it."""
        with self._for_alone:
            self._free += 1
            (self._for_alone if self._waiting else self._for_bundles).notify()


_lock = threading.Lock()
_lanes: _Lanes | None = None


@signals.celeryd_after_setup.connect
def _open(instance: Any, **_: Any) -> None:
    """A worker is about to start: what it is."""
    consumed = set(map(present, instance.app.amqp.queues.consume_from))
    concurrency.open_lanes(instance.concurrency, refusing=not consumed & {SLOW, *KILLABLE})


def _mine() -> _Lanes:
    """The lanes of this process."""
    global _lanes  # noqa: PLW0603 - one per process
    with _lock:
        if _lanes is None or _lanes.pid != os.getpid():
            _lanes = _Lanes(concurrency.of_process().lanes)
        return _lanes


def alone(task: Task, work: Callable[[], str], *, calls: bool = True) -> str:
    """Do the one thing of a message, or hand the message on; returns how it went, in a word.

    ``calls`` says that it begins with a call of an action, which needs a turn.
    """
    if requeue.queue_of(task.request) in KILLABLE:  # a process of one's own is lane and turn enough
        try:
            return _taken_up(None, work) or ""
        except SystemExit:  # this process is told to end
            drain.leave()
            raise
    word = _on_a_lane(requeue.labels(task.request)[0] if calls else None, work)
    if word is None:
        requeue.hand_on(task, SLOW)
        return HANDED_ON
    return word


def _on_a_lane(action: str | None, work: Callable[[], str]) -> str | None:
    """How the work went; None when it is for others, because here everything is held up."""
    lanes, refusing = _mine(), concurrency.of_process().refusing
    has_lane = lanes.take_alone()
    while not (has_lane or refusing):
        has_lane = lanes.take_alone()
    if not has_lane and action is not None:
        return None
    try:  # what makes no call is soon done: it goes on without a lane
        return _taken_up(action, work)
    finally:
        pace.did_one()
        if has_lane:
            lanes.give_back()


def side_by_side(task: Task, work: Callable[[str], str], *, calls: bool = True) -> str:
    """Do ``work(execution_id)`` for each id of a message; returns how many went how, in words. Raises nothing."""
    return _Bundle(requeue.Bundle.of(task), work, calls=calls).carry_out()


def _taken_up(action: str | None, work: Callable[[], str]) -> str | None:
    """How the work went; None when there is no turn for it."""
    with concurrency.message(action) as has_turn:
        if not has_turn:
            return None
        word = work()
        if word in _NO_CALL:
            concurrency.made_no_call()
        return word


class _Bundle:
    """The members of one message, on their way."""

    def __init__(self, bundle: requeue.Bundle, work: Callable[[str], str], *, calls: bool) -> None:
        self._bundle = bundle
        self._work = work
        self._calls = calls
        self._left = deque(bundle.members)
        self._at_work = 0
        self._lanes = 0
        self._words: list[str] = []
        self._changed = threading.Condition()

    def carry_out(self) -> str:
        """See all members through; returns how many went how, in words."""
        lanes, here = _mine(), concurrency.of_process()
        over = False
        while not over:
            self._engage(lanes, max(1, here.lanes // SHARE))
            with self._changed:
                self._changed.wait_for(lambda: self._is_over() or not self._lanes, LETS_GO)
                over = self._is_over()
            if not over and here.any_long() and (self._lanes or here.refusing):
                self._let_go()
        words = self._words
        return ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))

    def _engage(self, lanes: _Lanes, share: int) -> None:
        """Put the lanes to work that nobody has, up to a fair share of all; wait a moment for the first one."""
        wanted = min(len(self._left), share - self._lanes)
        taken = sum(lanes.take() for _ in range(wanted))
        if wanted > 0 and not (taken or self._lanes):
            taken = int(lanes.take(wait=LETS_GO))
        with self._changed:
            self._lanes += taken
        for _ in range(taken):
            lanes.threads.submit(self._lane, lanes)

    def _let_go(self) -> None:
        """Give back what has not begun, for lanes that are not held up."""
        with self._changed:
            rest = list(self._left)
            self._left.clear()
        self._pass(rest, self._bundle.queue, "put back")

    def _is_over(self) -> bool:
        return not (self._left or self._at_work)

    def _lane(self, lanes: _Lanes) -> None:
        """What one lane does: one member after the other, until one is wanted by what came alone; then it is free."""
        try:
            while (member := self._next()) is not None:
                self._take_up(member)
                if lanes.wanted:
                    break
        finally:
            lanes.give_back()
            with self._changed:
                self._lanes -= 1
                self._changed.notify_all()

    def _take_up(self, member: requeue.Member) -> None:
        word: str | None = "broken"
        try:
            word = _taken_up(member.label if self._calls else None, functools.partial(self._work, member.id))
            if word is None:
                self._pass([member, *self._without_room()], SLOW, HANDED_ON)
        except Exception:
            log.exception("a member of a bundle broke", execution_id=member.id)
        finally:
            pace.did_one()
            with self._changed:
                self._at_work -= 1
                self._words += [word] if word else []
                self._changed.notify_all()

    def _next(self) -> requeue.Member | None:
        with self._changed:
            if not self._left:
                return None
            self._at_work += 1
            return self._left.popleft()

    def _without_room(self) -> list[requeue.Member]:
        """Take out the members for which there is no room either, to go along in one message."""
        with self._changed:
            refused = [member for member in self._left if not concurrency.of_process().has_room(member.label)]
            for member in refused:
                self._left.remove(member)
            return refused

    def _pass(self, members: Sequence[requeue.Member], queue: str, word: str) -> None:
        if not members:
            return
        requeue.publish(self._bundle, members, queue)
        with self._changed:
            self._words += [word] * len(members)
