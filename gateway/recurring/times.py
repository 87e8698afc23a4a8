"""The times of a recurring action, and what becomes of those that have passed.

Times are milliseconds since 1970. ``next_at`` is a time of the schedule; it is carried out later by the jitter, which
is the same whichever process computes it. Looking back costs the same however long tick was away: a time before another
is found by halving the gap.
"""

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from playbooks.definitions.schedules import next_time

LATEST, SKIP, ALL = "latest", "skip", "all"
CATCH_UP = (LATEST, SKIP, ALL)
#: times that are made up for at once, and that are looked at to find one that no calendar leaves out
MOST_CAUGHT_UP = 100
#: a time that is carried out within this counts as on time, ms: less than there is between any two
ON_TIME = 60_000
#: times that are looked at to show the next ones
_MOST_LOOKED_AT = 500

#: says which of the calendars leaves out a time; None for none
Closed = Callable[[int], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When a recurring action is to be carried out."""

    id: str
    cron: str
    timezone: str
    jitter_ms: int = 0
    ends_at: int | None = None

    def after(self, moment: int) -> int | None:
        """The first time after a moment; None if none comes."""
        found = _next(self.cron, self.timezone, moment)
        return None if found is None or (self.ends_at is not None and found >= self.ends_at) else found

    def fires(self, at: int) -> int:
        """When the time is carried out, with its jitter."""
        if not self.jitter_ms:
            return at
        drawn = hashlib.sha256(f"{self.id}/{at}".encode()).digest()
        return at + int.from_bytes(drawn[:6], "big") % (self.jitter_ms + 1)

    def between(self, begin: int, end: int) -> Iterator[int]:
        """The times from ``begin`` to before ``end``, in order."""
        at = self.after(begin - 1)
        while at is not None and at < end:
            yield at
            at = self.after(at)

    def backwards(self, begin: int, last: int) -> Iterator[int]:
        """The times from ``last`` back to ``begin``, both included."""
        gap = 0
        while (at := self._newest(begin, last, gap)) is not None:
            yield at
            gap, last = max(last - at, ON_TIME), at - 1

    def _newest(self, begin: int, last: int, gap: int) -> int | None:
        """The last time of a period; it is looked for first in about the last ``gap``."""
        low = self.after(max(begin, last - 2 * gap) - 1) if gap else None
        if low is None or low > last:
            low = self.after(begin - 1)
        if low is None or low > last:
            return None
        high = last
        while (following := self.after(low)) is not None and following <= high:
            low, middle = following, (following + high) // 2
            found = self.after(middle)
            if found is not None and found <= high:
                low = found
            else:  # none lies in between
                high = middle
        return low

    def shown(self, first: int | None, number: int, closed: Closed) -> list[int]:
        """The next times from one on that no calendar leaves out; fewer if those are far away."""
        found: list[int] = []
        for _ in range(_MOST_LOOKED_AT):
            if first is None or len(found) == number:
                break
            if closed(first) is None:
                found.append(first)
            first = self.after(first)
        return found


@functools.lru_cache(maxsize=4096)
def _next(cron: str, timezone: str, after: int) -> int | None:
    """Many have the same schedule."""
    ZoneInfo(timezone)  # a file that cannot be read just now is no end of the schedule
    try:
        return next_time(cron, timezone, after)
    except (OverflowError, ValueError, OSError):  # beyond the calendar
        return None


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of the times up to now.

    ``left_out`` are in a calendar, each with its name; ``missed`` is the first and the last of those that come no more.
    """

    due: tuple[int, ...] = ()
    left_out: tuple[tuple[int, str], ...] = ()
    missed: tuple[int, int] | None = None
    #: the time that comes next; None if none does
    next_at: int | None = None

    @property
    def all(self) -> tuple[int, ...]:
        """The times of which something is written down."""
        left_out = (at for at, _ in self.left_out)
        return (*self.due, *left_out, *(self.missed[:1] if self.missed is not None else ()))


def planned(times: Times, first: int, now: int, catch_up: str, closed: Closed) -> Plan:
    """What becomes of the times from ``first``, which is the next one that nothing was decided about, up to now."""
    last = now if times.ends_at is None else min(now, times.ends_at - 1)
    due, left_out = list[int](), list[tuple[int, str]]()
    oldest = next_at = None
    for looked_at, at in enumerate(times.backwards(first, last)):
        if not looked_at and times.fires(at) > now:
            next_at = at  # its jitter is not over
            continue
        late = now - times.fires(at) >= ON_TIME
        if looked_at >= MOST_CAUGHT_UP or (late and due and catch_up != ALL):
            break
        if catch_up == SKIP and late:
            break
        oldest = at
        if (name := closed(at) or closed(now)) is not None:
            left_out.append((at, name))
        else:
            due.append(at)
    missed = _missed(times, first, last if oldest is None else oldest - 1, next_at)
    return Plan(tuple(reversed(due)), tuple(left_out), missed, times.after(now) if next_at is None else next_at)


def _missed(times: Times, first: int, last: int, pending: int | None) -> tuple[int, int] | None:
    """The first and the last of the times of a period that come no more."""
    if pending is not None:
        last = min(last, pending - 1)
    newest = next(times.backwards(first, last), None) if last >= first else None
    return None if newest is None else (times.after(first - 1) or newest, newest)
