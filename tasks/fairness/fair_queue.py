"""Flows: who floods does not hold up the others.

A flow is what one caller of a workspace asks for of one action or playbook, or what one run asks for with its messages.
As long as it stays within its measure what it asks for goes to the queue of its kind; what exceeds goes to ``bulk``,
which workers ask last, but now and then first, so that a quarter of what they do is ensured to it: so it is done as
fast as the workers can, and whoever asks for little overtakes it. The branches of wide steps go there too.

Measures are parts of what the workers do (``tasks.fairness.pace``), for each queue by itself: a flood of one kind
leaves what is urgent alone. There are three, one inside the other: that of the flow, that of its workspace, and that of
the queue, so that what all ask for together leaves the queue short. Of a measure nobody inside it gets more than he
leaves: who has lately had more than is left waits for the others, so that however many flows of a workspace flood, one
that asks for little still has its place.

Measured in the memory of the process that accepts or publishes; several processes give each flow as much several times,
which makes queues longer and, as soon as that is seen, measures smaller.
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


class Measure(NamedTuple):
    """How much may be asked for: each second, and at once after a rest, as parts of what is done in a second."""

    each_second: float
    at_once: float


#: of a flow, of its workspace, and of all that a queue takes in before workers ask ``bulk``
OF_FLOW, OF_WORKSPACE, OF_QUEUE = Measure(0.25, 0.25), Measure(0.5, 0.5), Measure(0.6, 1.0)
#: what somebody has had is forgotten to a third after this, seconds
LATELY = 1.0
#: flows that are remembered; the one that rested longest is forgotten first
MOST_FLOWS = 10_000
#: more branches than this that begin together are for ``bulk``
WIDE = 32


class FairQueue:
    """How much each flow, each workspace and each queue may still ask for.

    Times are those of ``clock``, in seconds; ``of`` tells how many executions a second a queue can take in.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, of: Callable[[str], float] = pace.of) -> None:
        self._clock = clock
        self._of = of
        self._lock = threading.Lock()
        #: what each has left, what each has had lately, and when that was
        self._known: OrderedDict[tuple[str, ...], tuple[float, float, float]] = OrderedDict()

    def queue(self, queue: str, workspace: str, actor: str, thing: str) -> str:
        """The queue for one more of ``thing`` that ``actor`` asks for: ``queue``, or ``bulk`` when it is too much."""
        if queue not in OPEN or queue == BULK:
            return queue
        done = self._of(queue)
        with self._lock:
            now, within, had_inside = self._clock(), True, 0.0
            found = []
            for key, measure in (
                ((queue, workspace, actor, thing), OF_FLOW),
                ((queue, workspace), OF_WORKSPACE),
                ((queue,), OF_QUEUE),
            ):
                most = measure.at_once * done
                left, had, then = self._known.get(key, (most, 0.0, now))
                left = min(most, left + (now - then) * measure.each_second * done)
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
    """The queue for one more message of a run (of that at the beginning, where runs start each other)."""
    return _fair_queue.queue(queue, workspace, "", run_id)


def together(one: str, other: str) -> bool:
    """Whether what belongs to these queues may be carried out one behind the other by the same worker."""
    return one == other if BULK not in (one, other) else {one, other} <= OPEN


def spread(rows: Iterable[NewRow]) -> None:
    """Put the actions of a wide step, of which very many begin together, on ``bulk``: small runs overtake them."""
    beginning = [row for row in rows if row["type"] == "action" and row["status"] == Status.PENDING]
    if len(beginning) > WIDE:
        for row in beginning:
            row["queue"] = BULK if row["queue"] in OPEN else row["queue"]
