"""The backlog: how long the messages on a queue explain a wait.

A message whose execution is not claimed within a lease was lost, or still waits in its queue. Publishing it again in
the second case only makes the queue longer. So the pending rows of each queue are counted: a queue that needs longer
than a lease to drain explains why rows published within that time are still pending. A row accepted on such a queue
gets a later ``due_at``, and tick does not republish a row whose wait the backlog explains.

A count reads every pending row, so it is used for a tenth of the time it explains; when a request is accepted, it may
be up to a second older.
"""

import time

from config.settings import settings
from store.engine import shared_reads
from store.executions import recovery

#: a queue drains at least this many executions a second (only used to pace republishing)
SLOWEST_DRAIN = 50
#: a count is used for this part of the time it explains
_PART = 10


class Backlog:
    """The pending rows of each queue, counted a moment ago."""

    def __init__(self) -> None:
        self._counted: dict[str, int] = {}
        self._good_until = 0.0

    def pauses(self, *, older: float = 0) -> dict[str, int]:
        """The queues with a backlog over a lease, and its length, ms.

        The count may be ``older`` seconds older than it should be.

        Raises:
            Unavailable: the database is away.
        """
        now = time.monotonic()
        if now >= self._good_until + older:
            self._counted = shared_reads.read_one(recovery.backlog)
            lease = settings().lease_seconds
            explained = max(self._counted.values(), default=0) / SLOWEST_DRAIN
            self._good_until = now + (min(explained / _PART, lease) if explained > lease else 0)
        paced = {queue: number * 1000 // SLOWEST_DRAIN for queue, number in self._counted.items()}
        return {queue: pause for queue, pause in paced.items() if pause > settings().lease_seconds * 1000}

    def again_at(self, queue: str, now: int) -> int:
        """When tick republishes a row published at ``now`` that no worker claims.

        Both in ms.

        Raises:
            Unavailable: the database is away.
        """
        return now + self.pauses(older=1).get(queue, settings().lease_seconds * 1000)


#: the backlog as this process knows it
backlog = Backlog()
