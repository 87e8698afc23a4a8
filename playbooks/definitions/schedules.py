"""The times of a schedule: five cron fields in a time zone.

On write, ``check_cron`` and ``check_timezone`` refuse schedules that never occur; ``next_time`` returns the next
occurrence. The fields mean local time, which is not continuous: the clocks change twice a year. A schedule that names
its hours means times of the day: one that is skipped when the clocks go forward occurs right after the gap, one that
happens twice when they go back occurs the first time only. A schedule of every hour (``*``) means elapsed time: it
occurs in each hour there is.
"""

import bisect
import calendar
import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from croniter import CroniterBadDateError, CroniterError, croniter

from expressions.suggestions import did_you_mean

FIELDS = 5
#: the fields in order, each with its least and its greatest number (7 is Sunday, as 0 is)
_RANGES = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
#: characters; the longest useful list of minutes is shorter
MAX_CRON_CHARACTERS = 256

_FIELD = re.compile(r"[0-9A-Za-z*,/#?-]+")
_WORDS = re.compile("jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat|l")
#: the whole name of a day or a month → its short name and its number
_LONG: dict[str, tuple[str, int]] = {
    **{name.lower(): (name[:3].upper(), (day + 1) % 7) for day, name in enumerate(calendar.day_name)},
    **{name.lower(): (name[:3].upper(), month) for month, name in enumerate(calendar.month_name) if len(name) > 3},  # noqa: PLR2004
}
#: start of the search for an occurrence; any time serves
_ANY_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 - a wall clock has no zone
#: times of a schedule that are looked at to find its shortest interval
_LOOKED_AT = 100
#: longer than any clock change
_CHANGE = timedelta(hours=3)
#: the UTC time of a local time, None when the clock never shows it
_Reading = Callable[[datetime, ZoneInfo], datetime | None]


def check_cron(text: object) -> str | None:
    """The reason why a schedule cannot be used, or None.

    It needs exactly five fields and an occurrence.
    """
    if not isinstance(text, str) or len(text) > MAX_CRON_CHARACTERS:
        return f"must be a string of at most {MAX_CRON_CHARACTERS} characters"
    fields = text.split()
    if len(fields) != FIELDS:
        return "must have five fields: minute, hour, day of the month, month, day of the week; for example '0 8 * * 1'"
    words = re.findall("[a-z]+", text.lower())
    if long := next((word for word in re.findall("[A-Za-z]+", text) if word.lower() in _LONG), None):
        name, number = _LONG[long.lower()]
        return f"'{long}' is no {'day' if long.lower().endswith('day') else 'month'}: write {name} or {number}"
    if not all(map(_FIELD.fullmatch, fields)) or not all(map(_WORDS.fullmatch, words)):
        return "may hold numbers, '*', ',', '-', '/', '#', and the names of months and days"
    faults = [fault for number, field in enumerate(fields) for fault in _field_faults(number, field)]
    if faults:
        return f"{' and '.join(faults)} in '{text}'"
    try:
        croniter(" ".join(fields), _ANY_DAY).get_next(datetime)
    except CroniterBadDateError:
        return f"never occurs: no date has day {fields[2]} in month {fields[3]} ('{text}')"
    except CroniterError:
        return f"cannot be read: write each field as in '*/15 8-18 * * mon-fri' ('{text}')"
    return None


def _field_faults(number: int, field: str) -> Iterator[str]:
    """The numbers of one field that are out of its range."""
    name, least, most = _RANGES[number]
    for part in field.split(","):
        body, _, every = part.partition("#")[0].partition("/")
        for one in re.findall(r"(?<![A-Za-z0-9])[0-9]+", body):
            if not least <= int(one) <= most:
                yield f"{name} {one} is out of range {least}-{most}"
        if "/" in part and not (every.isdecimal() and 1 <= int(every) <= most):
            yield f"the interval /{every} of the {name} is no number from 1 to {most}"


def check_timezone(name: object) -> str | None:
    """The reason why a time zone cannot be used, or None."""
    if isinstance(name, str):
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return "is no time zone; give its name, for example Europe/Berlin" + did_you_mean(name, _zones(name))
        return None
    return "must be the name of a time zone, for example Europe/Berlin"


@functools.lru_cache(maxsize=16)
def _zones(name: str) -> list[str]:
    """The zones that a misspelt name may mean, by its first letters."""
    return sorted(zone for zone in available_timezones() if zone[:2].lower() == name[:2].lower())


def next_time(cron: str, timezone: str, after_ms: int) -> int:
    """The first occurrence after ``after_ms``, in milliseconds, UTC.

    ``cron`` and ``timezone`` are free of faults.

    Raises:
        OverflowError: the schedule does not occur any more within the years of the calendar.
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


def shortest_interval(cron: str) -> int:
    """The shortest time between two of the next local times of a schedule, which is free of faults; milliseconds."""
    times = croniter(" ".join(cron.split()), _ANY_DAY)
    shortest, last = timedelta.max, times.get_next(datetime)
    with contextlib.suppress(CroniterError):  # it does not occur as often any more
        for _ in range(_LOOKED_AT):
            following = times.get_next(datetime)
            shortest, last = min(shortest, following - last), following
    return shortest // timedelta(milliseconds=1)


def _walls(cron: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The local times of the schedule, from about ``after`` on."""
    offsets = (_offset(after, zone), _offset(after + _CHANGE, zone))  # an hour may be about to repeat
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
    """The UTC time of a local time.

    The first one of two; the end of the gap for a time that is skipped.
    """
    return _first(wall, zone) or _after_gap(wall, zone)


def _first(wall: datetime, zone: ZoneInfo) -> datetime | None:
    return _moment(wall, zone, fold=0)


def _second(wall: datetime, zone: ZoneInfo) -> datetime | None:
    return _moment(wall, zone, fold=1)


def _moment(wall: datetime, zone: ZoneInfo, fold: int) -> datetime | None:
    """The UTC time of a local time, None for a skipped one."""
    moment = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    return moment if moment.astimezone(zone).replace(tzinfo=None) == wall else None


def _after_gap(wall: datetime, zone: ZoneInfo) -> datetime:
    """The UTC time, to the minute, of the change that skips ``wall``."""
    start, end = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    minutes = [start + timedelta(minutes=passed) for passed in range((end - start) // timedelta(minutes=1) + 1)]
    return minutes[bisect.bisect_left(minutes, _offset(end, zone), key=lambda minute: _offset(minute, zone))]
