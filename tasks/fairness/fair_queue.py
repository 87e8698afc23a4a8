"""A fair queue: a flooding caller does not hold up others.

A *flow* is what one caller of a workspace asks of one action or playbook, or the messages of one run. Each flow has an
allowance, a token bucket. In order of time: an execution is about to be accepted or published; within the allowance it
goes to the queue of its kind, and the excess goes to ``bulk``. Workers ask ``bulk`` last, but now and then first, so
that a quarter of their work is ensured to it: a flood runs as fast as the workers can, and a caller who asks for little
overtakes it. The branches of wide steps go to ``bulk`` too.

Allowances are parts of what the workers complete in a second (``tasks.fairness.pace``), counted for each queue by
itself, so a flood of one kind leaves urgent executions alone. There are three, one inside the other: of the flow, of
its workspace, and of the queue, which keeps the queue short. Within an allowance a flow or workspace gets no more than
it leaves: one that has lately had more than is left is sent to ``bulk``. So one that asks for little gets its place,
however many flows of a workspace flood.

Allowances are counted in the memory of the process that accepts or publishes. With several processes a flow has several
of them; the queues then grow longer, and as soon as that is seen the allowances shrink.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from playbooks.states import Status
from store.executions.rows import NewRow
from tasks.fairness.pace import pace
from tasks.queue_order import BULK, OPEN


class Allowance(NamedTuple):
    """A token bucket, in parts of the workers' pace."""

    #: tokens added each second
    each_second: float
    #: the size of the bucket
    at_once: float


#: of a flow, of its workspace, and of all that a queue takes in before workers ask ``bulk``
OF_FLOW, OF_WORKSPACE, OF_QUEUE = Allowance(0.25, 0.25), Allowance(0.5, 0.5), Allowance(0.6, 1.0)
#: what a flow or workspace has had decays to a third (1/e) in this time, seconds
LATELY = 1.0
#: buckets that are remembered; the one unused for longest is forgotten first
MOST_FLOWS = 10_000
#: if more branches than this begin together, they go to ``bulk``
WIDE = 32


class FairQueue:
    """The buckets of each flow, workspace and queue.

    Times are those of ``clock``, in seconds; ``of`` returns how many executions a second a queue can take in.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, of: Callable[[str], float] = pace.of) -> None:
        self._clock = clock
        self._of = of
        self._lock = threading.Lock()
        #: key → the tokens left, what it has had lately, and when both were true
        self._known: OrderedDict[tuple[str, ...], tuple[float, float, float]] = OrderedDict()

    def queue(self, queue: str, workspace: str, actor: str, thing: str) -> str:
        """The queue for one more execution of ``thing`` for ``actor``.

        It is ``queue`` within the allowances, else ``bulk``.
        """
        if queue not in OPEN or queue == BULK:
            return queue
        done = self._of(queue)
        with self._lock:
            now, within, had_inside = self._clock(), True, 0.0
            found = []
            for key, allowance in (
                ((queue, workspace, actor, thing), OF_FLOW),
                ((queue, workspace), OF_WORKSPACE),
                ((queue,), OF_QUEUE),
            ):
                most = allowance.at_once * done
                left, had, then = self._known.get(key, (most, 0.0, now))
                left = min(most, left + (now - then) * allowance.each_second * done)
                within = within and left >= max(1.0, had_inside)
                had_inside = had * math.exp((then - now) / LATELY)
                found.append((key, left, had_inside))
            for key, left, had in found:
                self._known[key] = (left - within, had + within, now)
                self._known.move_to_end(key)
            while len(self._known) > MOST_FLOWS:
                self._known.popitem(last=False)
            return queue if within else BULK


_fair_queue = FairQueue()
queue = _fair_queue.queue


def of_run(queue: str, workspace: str, run_id: str) -> str:
    """The queue for one more message of a run.

    ``run_id`` is the first run where runs start each other.
    """
    return _fair_queue.queue(queue, workspace, "", run_id)


def together(one: str, other: str) -> bool:
    """Whether one worker may carry out executions of both queues."""
    return one == other if BULK not in (one, other) else {one, other} <= OPEN


def spread(rows: Iterable[NewRow]) -> None:
    """Put a wide step's actions on ``bulk``: small runs overtake them."""
    beginning = [row for row in rows if row["type"] == "action" and row["status"] == Status.PENDING]
    if len(beginning) > WIDE:
        for row in beginning:
            row["queue"] = BULK if row["queue"] in OPEN else row["queue"]
