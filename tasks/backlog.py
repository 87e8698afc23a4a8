"""How long a message may have to wait for its turn, as far as what stands before it on its queue explains it.

A message that no claim has answered within a lease was lost, or has not had its turn yet. To publish it again in the
second case helps nobody and makes the queue longer, so tick first asks how many are pending on each queue: a queue
that needs longer than a lease explains the wait of whoever was published within that time.

Counting looks at every pending row, so a count is used for a tenth of the time it explains, a lease at most.
"""

import time

from config.settings import settings
from store import db, recovery

#: a queue drains at least this many executions a second (only used to pace publishing again)
SLOWEST_DRAIN = 50
#: for how long a count is used: this part of what it explains
_PART = 10


class Backlog:
    """What is pending on each queue, as counted a moment ago."""

    def __init__(self) -> None:
        self._counted: dict[str, int] = {}
        self._good_until = 0.0

    def pauses(self) -> dict[str, int]:
        """The queues whose backlog explains more than a lease, and what each explains, ms.

        Raises:
            Unavailable: the database is away.
        """
        now = time.monotonic()
        if now >= self._good_until:
            self._counted = db.look(recovery.backlog)
            lease = settings().lease_seconds
            explained = max(self._counted.values(), default=0) / SLOWEST_DRAIN
            self._good_until = now + (min(explained / _PART, lease) if explained > lease else 0)
        paced = {queue: number * 1000 // SLOWEST_DRAIN for queue, number in self._counted.items()}
        return {queue: pause for queue, pause in paced.items() if pause > settings().lease_seconds * 1000}
