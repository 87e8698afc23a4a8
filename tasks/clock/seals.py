"""Renew old seals, some bites in each round of a walk (``tasks.secrets.reseal``)."""

import threading
import time
from collections.abc import Iterator

from config import logs
from store.renewal import Bite
from tasks.clock.duty import TimeSlice
from tasks.secrets import reseal

#: bites of sealed values that one round renews: tick waits for it
BITES = 20
#: the pause between the end of one walk and the begin of the next, seconds
_PAUSE = 3600.0

log = logs.logger(__name__)


class Renewal:
    """A walk over all sealed values, which goes on where it stopped."""

    def __init__(self) -> None:
        self._walk: Iterator[tuple[str, Bite]] | None = None
        self._rests_until = 0.0
        self._lock = threading.Lock()

    def go_on(self) -> int:
        """Renew some bites, unless a walk ended lately.

        Returns the number of rows sealed again.

        Raises:
            Unavailable: the database is away; the next round begins a new walk.
        """
        with self._lock:
            return self._go_on()

    def _go_on(self) -> int:
        number = 0
        if self._walk is None:
            if time.monotonic() < self._rests_until:
                return number
            self._walk = reseal.walk()
        for _ in range(BITES):
            try:
                name, bite = next(self._walk)
            except StopIteration:
                self._walk, self._rests_until = None, time.monotonic() + _PAUSE
                break
            except BaseException:
                self._walk = None
                raise
            number += bite.done
            if bite.done:
                log.info("values sealed again", table=name, rows=bite.done)
            if bite.broken:
                log.warning("sealed values cannot be opened or were altered", table=name, rows=bite.broken)
        return number


#: the walk of this process
renewal = Renewal()


def renew(_: TimeSlice) -> int:
    """Renew seals of an earlier key or form.

    Returns the number of rows.

    Raises:
        Unavailable: the database is away.
    """
    return renewal.go_on()
