"""When a window is open, without cron: each minute's wall clock is read off ``zoneinfo``."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def begins(hour: int, minute: int, weekday: int | None, zone: str, since: datetime, until: datetime) -> list[datetime]:
    """The moments at which the clocks of a zone first show this time of a day, or jump over it, within a span of UTC.

    ``weekday`` None means each day, 0 is Monday.
    """
    found: dict[object, datetime] = {}
    place, moment = ZoneInfo(zone), since - timedelta(days=1)
    before = moment.astimezone(place).replace(tzinfo=None)
    while moment < until:
        moment += MINUTE
        wall = moment.astimezone(place).replace(tzinfo=None)
        step = wall if wall > before else None
        if step is not None:
            for day in {before.date(), wall.date()}:
                wanted = datetime(day.year, day.month, day.day, hour, minute)
                if before < wanted <= wall and (weekday is None or day.weekday() == weekday):
                    found.setdefault(day, moment)
        before = wall
    return sorted(one for one in found.values() if since <= one < until)


def is_open(moment: datetime, starts: list[datetime], minutes: int) -> bool:
    """Whether one of the windows that begin at these moments is open."""
    return any(start <= moment < start + timedelta(minutes=minutes) for start in starts)


def at(milliseconds: int) -> datetime:
    """A moment in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
