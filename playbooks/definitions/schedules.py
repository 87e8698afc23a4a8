"""When a schedule comes round: five cron fields, read in a time zone.

``check_cron`` and ``check_timezone`` refuse what could never come round, when a playbook is written; ``next_time``
tells the moment that comes next. The fields speak of the clock on the wall, which twice a year is not the time that
passes. A schedule that names its hours speaks of times of the day: one that is left out when the clocks go forward
comes right after the gap, one that happens twice when they go back comes the first time only. A schedule of every
hour (``*``) speaks of time that passes: it comes in each hour there is.
"""

import bisect
import functools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from croniter import CroniterError, croniter

from expressions.suggestions import did_you_mean

FIELDS = 5
#: characters; the longest useful list of minutes is shorter
MAX_CRON_CHARACTERS = 256

_FIELD = re.compile(r"[0-9A-Za-z*,/#?-]+")
_WORDS = re.compile("jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat|l")
#: from where it is looked whether a schedule ever comes round; any moment serves
_ANY_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 - a wall clock has no zone
#: longer than any change of the clocks
_CHANGE = timedelta(hours=3)
#: what a clock on the wall means: the moment it shows a time, None when it never does
_Reading = Callable[[datetime, ZoneInfo], datetime | None]


def check_cron(text: object) -> str | None:
    """Why a schedule cannot be used, or None; it needs exactly five fields and a time that really comes."""
    if not isinstance(text, str) or len(text) > MAX_CRON_CHARACTERS:
        return f"must be a string of at most {MAX_CRON_CHARACTERS} characters"
    fields = text.split()
    if len(fields) != FIELDS:
        return "must have five fields: minute, hour, day of the month, month, day of the week; for example '0 8 * * 1'"
    words = re.findall("[a-z]+", text.lower())
    if not all(map(_FIELD.fullmatch, fields)) or not all(map(_WORDS.fullmatch, words)):
        return "may hold numbers, '*', ',', '-', '/', '#', and the names of months and days"
    try:
        croniter(" ".join(fields), _ANY_DAY).get_next(datetime)
    except CroniterError as error:
        return f"is no schedule that ever comes round: {error}"
    return None


def check_timezone(name: object) -> str | None:
    """Why a time zone cannot be used, or None."""
    if isinstance(name, str):
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return "is no time zone; give its name, for example Europe/Berlin" + did_you_mean(name, _zones(name))
        return None
    return "must be the name of a time zone, for example Europe/Berlin"


@functools.lru_cache(maxsize=16)
def _zones(name: str) -> list[str]:
    """The zones a misspelt name may mean: those of its part of the world, if that is right."""
    return sorted(zone for zone in available_timezones() if zone[:2].lower() == name[:2].lower())


def next_time(cron: str, timezone: str, after_ms: int) -> int:
    """The first moment later than ``after_ms`` at which the schedule comes round; both in milliseconds, UTC.

    ``cron`` and ``timezone`` have passed their checks.

    Raises:
        OverflowError: it does not come round any more in the years that a calendar can count.
    """
    zone = ZoneInfo(timezone)
    after = datetime.fromtimestamp(after_ms // 1000, UTC)
    every_hour = cron.split()[1] == "*"
    readings: tuple[_Reading, ...] = (_first, _second) if every_hour else (_once,)
    found = []
    for reading in readings:
        moments = (reading(wall, zone) for wall in _walls(cron, zone, after))
        found.append(next(moment for moment in moments if moment is not None and moment > after))
    return int(min(found).timestamp()) * 1000


def _walls(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """What the clock on the wall shows whenever the schedule comes round, from about ``after`` on."""
    offsets = (_offset(after, zone), _offset(after + _CHANGE, zone))  # an hour may be about to come again
    start = after.replace(tzinfo=None) + min(offsets)
    times = croniter(" ".join(cron.split()), start)
    while True:
        try:
            yield times.get_next(datetime)
        except CroniterError as error:
            raise OverflowError(f"{cron!r} does not come round after {after}") from error


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _once(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which the wall shows this: the first of two, and right after the gap if it never does."""
    return _first(wall, zone) or _after_gap(wall, zone)


def _first(wall: datetime, zone: ZoneInfo) -> datetime | None:
    return _moment(wall, zone, fold=0)


def _second(wall: datetime, zone: ZoneInfo) -> datetime | None:
    return _moment(wall, zone, fold=1)


def _moment(wall: datetime, zone: ZoneInfo, fold: int) -> datetime | None:
    """The moment at which the wall shows this, None for a time that is left out."""
    moment = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    return moment if moment.astimezone(zone).replace(tzinfo=None) == wall else None


def _after_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which the clocks go forward past ``wall``, to the minute."""
    start, end = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    minutes = [start + timedelta(minutes=passed) for passed in range((end - start) // timedelta(minutes=1) + 1)]
    return minutes[bisect.bisect_left(minutes, _offset(end, zone), key=lambda minute: _offset(minute, zone))]
