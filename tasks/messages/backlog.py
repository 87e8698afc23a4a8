"""How long a message may have to wait for its turn, as far as what stands before it on its queue explains it.

A message that no claim has answered within a lease was lost, or has not had its turn yet. To publish it again in the
second case helps nobody and makes the queue longer, so how many are pending on each queue is counted: a queue that
needs longer than a lease explains the wait of whoever was published within that time. Who is accepted on such a queue
is looked at that much later, and tick leaves alone who was accepted before it was so long.

Counting looks at every pending row, so a count is used for a tenth of the time it explains; who accepts uses one that
is up to a second older.
"""

import time

from config.settings import settings
from store.engine import db
from store.engine.db import Connection
from store.executions import recovery

#: a queue drains at least this many executions a second (only used to pace publishing again)
SLOWEST_DRAIN = 50
#: for how long a count is used: this part of what it explains
_PART = 10


class Backlog:
    """What is pending on each queue, as counted a moment ago."""

    def __init__(self) -> None:
        self._counted: dict[str, int] = {}
        self._good_until = 0.0

    def pauses(self, connection: Connection | None = None, *, older: float = 0) -> dict[str, int]:
        """The queues whose backlog explains more than a lease, and what each explains, ms; asked over ``connection``.

        ``older`` is by how many seconds the count may be older than it should be.

        Raises:
            Unavailable: the database is away.
        """
        now = time.monotonic()
        if now >= self._good_until + older:
            self._counted = recovery.backlog(connection) if connection else db.read_one(recovery.backlog)
            lease = settings().lease_seconds
            explained = max(self._counted.values(), default=0) / SLOWEST_DRAIN
            self._good_until = now + (min(explained / _PART, lease) if explained > lease else 0)
        paced = {queue: number * 1000 // SLOWEST_DRAIN for queue, number in self._counted.items()}
        return {queue: pause for queue, pause in paced.items() if pause > settings().lease_seconds * 1000}

    def again_at(self, queue: str, now: int, connection: Connection | None = None) -> int:
        """When a row that is published at ``now`` is to be published again if nobody takes it up; both in ms.

        Raises:
            Unavailable: the database is away.
        """
        return now + self.pauses(connection, older=1).get(queue, settings().lease_seconds * 1000)


#: that of this process
backlog = Backlog()
