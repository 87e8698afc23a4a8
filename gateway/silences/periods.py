"""When a silence is active: once, or in a window that comes back.

A window begins at each time of a schedule (``playbooks.definitions.schedules``), which means local time, and lasts for
as many minutes as pass, whatever the clocks show: one of eight hours lasts eight hours also in the night in which they
change. Times are milliseconds since 1970; a period begins at its first and ends before its last.
"""

from dataclasses import dataclass
from typing import NamedTuple

from playbooks.definitions.schedules import next_time

#: no time: later than any
NEVER = 1 << 62


class Period(NamedTuple):
    """A time span, in all of which a silence is ``active`` or is not."""

    begins: int
    ends: int
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The times of a silence, as they are stored; with ``cron`` it is a window that comes back."""

    starts_at: int
    ends_at: int | None = None
    cron: str | None = None
    timezone: str = "UTC"
    duration_ms: int = 0

    def period(self, at: int) -> Period:
        """The period in which a moment lies."""
        end = NEVER if self.ends_at is None else self.ends_at
        if at >= end:
            return Period(end, NEVER, active=False)
        if at < self.starts_at:
            return Period(0, self.starts_at, active=False)
        if self.cron is None:
            return Period(self.starts_at, end, active=True)
        begins = _next(self.cron, self.timezone, at - self.duration_ms)
        if begins > at:
            return Period(at, min(begins, end), active=False)
        return Period(max(begins, self.starts_at), min(begins + self.duration_ms, end), active=True)

    def next_end(self, at: int) -> int | None:
        """When the period that is active now, or the next that will be, ends; None where there is none any more."""
        period = self.period(at)
        for _ in range(4):
            if period.active:
                return period.ends
            if period.ends >= NEVER:
                return None
            period = self.period(period.ends)
        return None


def _next(cron: str, timezone: str, after: int) -> int:
    try:
        return next_time(cron, timezone, after)
    except OverflowError:
        return NEVER
