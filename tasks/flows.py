"""Flows: who floods does not hold up the others.

A flow is what one caller of a workspace asks for of one action or playbook. As long as it stays within its measure what
it asks for goes to the queue of its kind; what exceeds goes to ``bulk``, which workers ask last, but for every fourth
message first: so it is done as fast as the workers can, and whoever asks for little overtakes it. The branches of wide
steps go there too. Measured in the memory of the process that accepts; several processes give each flow as much several
times, which changes the measure and not the rule.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from kombu.utils.scheduling import priority_cycle

#: what a flow may ask for at once, and how much more each second; a workspace may ask for ``SHARE`` times that
AT_ONCE = 100
PER_SECOND = 50
SHARE = 4
#: flows that are remembered; the one that rested longest is forgotten first
MOST_FLOWS = 10_000
#: more branches than this that begin together are for ``bulk``
WIDE = 32
#: of so many messages one is asked of ``bulk`` first
EVERY = 4

BULK = "bulk"
#: the queues whose worker consumes ``bulk`` too
OPEN = frozenset({"urgent", "steps", "notices", BULK})


class Flows:
    """How much each flow, and each workspace, may still ask for; times are those of ``clock``, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[tuple[str, ...], tuple[float, float]] = OrderedDict()

    def queue(self, queue: str, workspace: str, actor: str, thing: str) -> str:
        """The queue for one more of ``thing`` that ``actor`` asks for: ``queue``, or ``bulk`` when it is too much."""
        if queue not in OPEN:
            return queue
        with self._lock:
            now = self._clock()
            flow, all_of_it = (workspace, actor, thing), (workspace,)
            left, left_of_all = self._now(flow, now, 1), self._now(all_of_it, now, SHARE)
            within = left >= 1 and left_of_all >= 1
            for key, number in ((flow, left), (all_of_it, left_of_all)):
                self._left[key] = (number - within, now)
                self._left.move_to_end(key)
            while len(self._left) > MOST_FLOWS:
                self._left.popitem(last=False)
            return queue if within else BULK

    def _now(self, key: tuple[str, ...], now: float, share: int) -> float:
        left, then = self._left.get(key, (AT_ONCE * share, now))
        return min(AT_ONCE * share, left + (now - then) * PER_SECOND * share)


_flows = Flows()
queue = _flows.queue


def together(one: str, other: str) -> bool:
    """Whether what belongs to these queues may be carried out one behind the other by the same worker."""
    return one == other if BULK not in (one, other) else {one, other} <= OPEN


def spread(rows: Iterable[dict[str, Any]]) -> None:
    """Put the actions of a wide step, of which very many begin together, on ``bulk``: small runs overtake them."""
    beginning = [row for row in rows if row["type"] == "action" and row["status"] == "pending"]
    if len(beginning) > WIDE:
        for row in beginning:
            row["queue"] = BULK if row["queue"] in OPEN else row["queue"]


class Order(priority_cycle):
    """In which order a Redis worker asks its queues: that of its -Q, but every fourth message ``bulk`` first.

    RabbitMQ delivers from all queues in turn and needs nothing of the sort.
    """

    def __init__(self, it: Iterable[str] | None = None) -> None:
        super().__init__(list(it or []))  # type: ignore[no-untyped-call]
        self._others = 0

    def consume(self, n: int) -> list[str]:
        """The queues as they are to be asked now."""
        queues: list[str] = self.items[:n]
        if self._others >= EVERY - 1 and BULK in queues:
            return [BULK, *(name for name in queues if name != BULK)]
        return queues

    def rotate(self, last_used: str) -> None:
        """A message came from this queue."""
        self._others = 0 if last_used == BULK else self._others + 1
