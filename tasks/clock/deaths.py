"""Find what a dead worker had taken off its queues.

Their messages are lost and their rows pending, and as long as the backlog explains the wait tick does not republish
them (``tasks.messages.backlog``). In order of time: a process is found dead, because its heartbeat is missing or
another process has its name; on each of its queues the next messages show how far the queue has come; a pending row
accepted before that is no longer on the queue. It is published again, ahead of the queue; if a living worker holds the
first message, the second finds nothing to do.

RabbitMQ itself redelivers the messages of a dead worker.
"""

import json
import re
import time

from store import worker_processes
from store.engine import db
from store.engine.db import Row
from store.executions import recovery
from tasks.app import app

#: seconds between two looks at the heartbeats
EVERY = 5.0
#: a process without a heartbeat for this long counts as dead, ms
SILENT = 20_000
#: the next messages that show how far a queue has come; one may be older than its neighbours
NEXT = 10
#: an execution accepted this long ago is on its queue, ms
PUBLISHED = 2_000
_ACCEPTED = re.compile("p?exec-([0-9a-f]{12})")
#: the most executions published again for each queue
MOST = 1_000


class Deaths:
    """The worker processes that this process has seen alive."""

    def __init__(self) -> None:
        self._alive: dict[str, int] | None = None
        self._next = 0.0
        #: the queues that living processes consume
        self._served: set[str] = set()
        #: the queues of those that died, until their executions are published
        self._bereaved: set[str] = set()

    def bereaved(self) -> list[str]:
        """The queues of dead processes that are not ``settled`` yet.

        At the first look these are all queues.

        Raises:
            Unavailable: the database is away.
        """
        if time.monotonic() >= self._next:
            self._look()
        return sorted(self._bereaved)

    def settled(self, queue: str) -> None:
        """Note that the executions left behind on a queue are published."""
        self._bereaved.discard(queue)

    def unserved(self, queue: str) -> bool:
        """Whether workers live but none consumes this queue."""
        return bool(self._served) and queue not in self._served

    def _look(self) -> None:
        self._next = time.monotonic() + EVERY
        before, rows = self._alive, db.read_one(worker_processes.everyone)
        since = db.now_ms() - SILENT
        living = [row for row in rows if row.beat_at > since]
        self._served = {queue for row in living for queue in row.queues.split(",")}
        self._alive = now = {row.name: row.started_at for row in living}
        died = [row for row in rows if before is None or before.get(row.name, now.get(row.name)) != now.get(row.name)]
        self._bereaved |= {queue for row in died for queue in row.queues.split(",")}


def left_behind(queue: str) -> list[Row]:
    """The pending executions no longer on their queue, noted as published again.

    Raises:
        Unavailable: the database is away. One of ``canvas.BrokerDown``: the broker is.
    """
    accepted = _accepted_next(queue)
    if accepted is None:
        return []
    with db.write() as connection:
        return recovery.overtaken(connection, queue, before=accepted, limit=MOST)


def _accepted_next(queue: str) -> int | None:
    """When the next execution on a queue was accepted, ms.

    None if the broker cannot say.
    """
    with app.connection_for_read() as connection:
        if connection.transport.driver_type != "redis":
            return None
        texts = connection.default_channel.client.lrange(queue, -NEXT, -1)
    if not texts:
        return db.now_ms() - PUBLISHED
    return max((moment for moment in map(_accepted, texts) if moment is not None), default=None)


def _accepted(text: bytes) -> int | None:
    """When the execution of a message was accepted, ms; None if the message is none of ours."""
    try:
        found = _ACCEPTED.match(json.loads(text)["headers"]["id"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return int(found[1], 16) if found else None


#: the dead as this process knows them
deaths = Deaths()
