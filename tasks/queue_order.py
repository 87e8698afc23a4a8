"""In which order a worker asks its queues."""

from collections.abc import Iterable

from kombu.utils.scheduling import priority_cycle

from tasks.messages.canvas import TOGETHER
from tasks.messages.routing import with_former

#: one message in this many is taken from ``bulk`` first; it may bring ``TOGETHER`` executions, then a quarter of all
EVERY = 3 * TOGETHER + 1
#: where what is too much of one caller waits
BULK = "bulk"
#: the queues whose worker consumes ``bulk`` too
OPEN = frozenset(with_former(("urgent", "steps", "notifications", BULK)))


class Order(priority_cycle):
    """In which order a Redis worker asks its queues: that of its -Q, but one of ``EVERY`` messages ``bulk`` first.

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
