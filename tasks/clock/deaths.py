"""What a worker that died had taken off its queues and not begun.

Such messages are lost and their rows pending, and as long as the queue behind them explains the wait tick does not
publish them again (``tasks.messages.backlog``). In order of time: a process is seen to have died, because its sign of
life stays away or another process has come in its place; on each of its queues the messages that are taken next tell
how far it has come; what is pending and was accepted before that has been taken off. It is published once
more, before what waits, and should a living worker have it in hand the copy finds nothing to do.

RabbitMQ gives the messages of a dead worker to others by itself.
"""

import json
import re
import time

from store import worker_processes
from store.engine import db
from store.engine.db import Row
from store.executions import recovery
from tasks.app import app

#: seconds between two looks at the signs of life
EVERY = 5.0
#: a process without one for this long is taken for dead, ms
SILENT = 20_000
#: the next messages that show how far a queue has come: one may be older than its neighbours
NEXT = 10
#: what was accepted this long ago is on its queue, ms
PUBLISHED = 2_000
_ACCEPTED = re.compile("p?exec-([0-9a-f]{12})")
#: the most that are published again for each queue
MOST = 1_000


class Deaths:
    """The processes that this one has seen alive."""

    def __init__(self) -> None:
        self._alive: dict[str, int] | None = None
        self._next = 0.0
        #: the queues that living processes consume
        self._served: set[str] = set()
        #: the queues of those that died, until what they left behind is published
        self._bereaved: set[str] = set()

    def bereaved(self) -> list[str]:
        """The queues of the processes that died, which are not ``settled`` yet; all of them at the first look.

        Raises:
            Unavailable: the database is away.
        """
        if time.monotonic() >= self._next:
            self._look()
        return sorted(self._bereaved)

    def settled(self, queue: str) -> None:
        """What was left behind on a queue is seen to."""
        self._bereaved.discard(queue)

    def unserved(self, queue: str) -> bool:
        """Whether workers live, but none that consumes this queue; as of the last look."""
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
    """The pending executions of a queue that are not on it any more, noted as published once more.

    Raises:
        Unavailable: the database is away. Besides one of ``canvas.BrokerDown``.
    """
    accepted = _come_as_far_as(queue)
    if accepted is None:
        return []
    with db.write() as connection:
        return recovery.overtaken(connection, queue, before=accepted, limit=MOST)


def _come_as_far_as(queue: str) -> int | None:
    """When what is next on a queue was accepted, ms; None where the broker cannot be asked."""
    with app.connection_for_read() as connection:
        if connection.transport.driver_type != "redis":
            return None
        texts = connection.default_channel.client.lrange(queue, -NEXT, -1)
    if not texts:
        return db.now_ms() - PUBLISHED
    ids = [_ACCEPTED.match(json.loads(text)["headers"]["id"]) for text in texts]
    return max((int(found[1], 16) for found in ids if found), default=None)


#: those of this process
deaths = Deaths()
