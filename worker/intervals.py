"""A scheduler that sends periodic tasks by the monotonic clock.

Celery's own scheduler compares wall clocks, so a clock that is set back stops it for as long as that; and it keeps one
connection for all it ever sends, which a broker that is not Redis does not bring back after a restart. This one
measures intervals by the monotonic clock, and publishes through the app's pool, where a broken connection is replaced
by the next use. The schedules of playbooks, which follow the wall clock, are kept in the database and handled by
``tocsin.tick``.
"""

import time
from collections.abc import Callable
from typing import Any

from celery import beat

from config import logs

#: the longest time until a message that could not be sent is tried again, seconds
AGAIN = 5.0

log = logs.logger(__name__)


class Intervals(beat.Scheduler):  # type: ignore[misc]
    """A scheduler of entries with intervals; ``clock`` returns seconds."""

    def __init__(self, *args: Any, clock: Callable[[], float] = time.monotonic, **options: Any) -> None:
        self._clock = clock
        #: entry → when it is due
        self._due: dict[str, float] = {}
        #: the number of messages that the broker has taken
        self.sent = 0
        super().__init__(*args, **options)

    def tick(self, *_: Any, **__: Any) -> float:
        """Send what is due; returns the seconds until the next call.

        A message is sent once, however late.
        """
        for name, entry in self.schedule.items():
            every, now = entry.schedule.run_every.total_seconds(), self._clock()
            if now >= self._due.setdefault(name, now + every):
                self._due[name] = now + (every if self._sends(entry) else min(every, AGAIN))
        soonest = min(self._due.values(), default=float("inf")) - self._clock()
        return max(0.0, min(soonest, float(self.max_interval)))

    def _sends(self, entry: Any) -> bool:
        """Whether the broker has taken the message of an entry."""
        try:
            self.apply_async(entry, advance=False)  # without a producer: over a connection of the pool
        except beat.SchedulingError as error:
            log.warning("scheduled message not sent", name=entry.name, reason=str(error)[:200])
            return False
        self.sent += 1
        return True
