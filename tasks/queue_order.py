"""The order in which a worker asks its queues."""

from collections.abc import Iterable

from kombu.utils.scheduling import priority_cycle

from tasks.messages.routing import with_former

#: one message in this many comes from ``bulk``; if it brings eight executions, as in a flood, they are a quarter of all
EVERY = 25
#: the queue for what exceeds the allowance of a flow (``tasks.fairness.fair_queue``)
BULK = "bulk"
#: the queues whose worker consumes ``bulk`` too
OPEN = frozenset(with_former(("urgent", "steps", "notifications", BULK)))


class QueueOrder(priority_cycle):
    """The order of a Redis worker's queues: now and then ``bulk`` first.

    Else the order is that of -Q. One message in ``EVERY`` comes from ``bulk``. RabbitMQ delivers from all queues in
    turn and needs no such order.
    """

    def __init__(self, it: Iterable[str] | None = None) -> None:
        super().__init__(list(it or []))  # type: ignore[no-untyped-call]
        self._others = 0

    def consume(self, n: int) -> list[str]:
        """The queues in the order for the next message."""
        queues: list[str] = self.items[:n]
        if self._others >= EVERY - 1 and BULK in queues:
            return [BULK, *(name for name in queues if name != BULK)]
        return queues

    def rotate(self, last_used: str) -> None:
        """Note that a message came from this queue."""
        self._others = 0 if last_used == BULK else self._others + 1
