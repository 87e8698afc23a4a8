"""The reach of the database: whether lapsed leases mean dead workers.

Tick notes the results of its own queries. A query that failed, or took so long that renewals may have failed, is an
outage; so is a machine that slept, and a clock that was put forward, because then all leases lapse at once. After an
outage every worker has a whole lease to renew its leases and to write what it could not. Dead workers are found then,
and no living one is taken for dead.
"""

import time
from collections.abc import Callable

from config.settings import settings

#: a query, or a leap of the clock, of this part of a lease is an outage: so much is between two renewals
PART = 3


class Reach:
    """The database as this process has reached it.

    Times are of ``clock``, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._missed = False
        self._back_at: float | None = None
        self._offset = time.time() - clock()

    def missed(self) -> None:
        """Note that the database could not be reached."""
        self._missed = True

    def reached(self, asked: float) -> None:
        """Note that the database answered a query sent at ``asked``."""
        now, most = self.clock(), settings().lease_seconds / PART
        offset = time.time() - now
        if self._missed or now - asked > most or offset - self._offset > most:
            self._back_at = now
        self._missed, self._offset = False, offset

    def respite_ms(self) -> int:
        """For how much longer living workers may have lapsed leases, ms.

        0 as a rule.
        """
        if self._back_at is None:
            return 0
        return max(0, round((self._back_at + settings().lease_seconds - self.clock()) * 1000))


#: the reach of this process
reach = Reach()
