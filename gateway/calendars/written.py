"""A calendar as it is written, in the field's form: its faults and its stored form.

``time_intervals`` is a list; a moment is in the calendar if it is in one of them, and in an interval if it fits all of
its members: ``times``, ``weekdays``, ``days_of_month``, ``months``, ``years``, each a list of spans, in the zone
``location``.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from config.types import Json
from gateway.calendars.calendar import MONTHS, WEEKDAYS, span
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions.fields import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, is_line, is_text
from playbooks.definitions.schedules import check_timezone

MEMBERS = ("name", "description", "time_intervals")
SPANS = ("times", "weekdays", "days_of_month", "months", "years")
OF_INTERVALS = (*SPANS, "location")
MAX_CALENDARS, MAX_INTERVALS, MAX_SPANS = 500, 100, 100

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_DAY = re.compile(r"-?[0-9]{1,2}")
_YEAR = re.compile(r"[0-9]{4}")
_LAST_DAY, _LAST_MONTH = 31, 12


def check_all(calendars: Any, pointer: str, faults: Faults) -> None:
    """Report every fault of a list of calendars."""
    if not isinstance(calendars, list) or len(calendars) > MAX_CALENDARS:
        faults.add(pointer, f"must be a list of at most {MAX_CALENDARS} calendars")
        return
    places: dict[str, int] = {}
    for number, one in enumerate(calendars):
        if faults.full:
            return
        check(one, f"{pointer}/{number}", faults)
        name = one.get("name") if isinstance(one, dict) else None
        if isinstance(name, str) and places.setdefault(name, number) != number:
            faults.add(f"{pointer}/{number}/name", f"there are two calendars named '{shown(name)}'")


def check(calendar: Any, pointer: str, faults: Faults) -> None:
    """Report every fault of one calendar."""
    if not isinstance(calendar, dict):
        faults.add(pointer, f"must be an object with {', '.join(MEMBERS)}")
        return
    _check_members(calendar, MEMBERS, pointer, "a calendar", faults)
    if not is_line(calendar.get("name"), MAX_NAME_CHARACTERS) or "/" in str(calendar.get("name")):
        words = f"a calendar needs a name of 1 to {MAX_NAME_CHARACTERS} printable characters without '/'"
        faults.add(below(pointer, "name"), words)
    description = calendar.get("description")
    if description is not None and not is_text(description, MAX_DESCRIPTION_CHARACTERS):
        words = f"must be text of at most {MAX_DESCRIPTION_CHARACTERS} characters"
        faults.add(below(pointer, "description"), words)
    intervals, place = calendar.get("time_intervals"), below(pointer, "time_intervals")
    if not isinstance(intervals, list) or not 1 <= len(intervals) <= MAX_INTERVALS:
        faults.add(place, f"must be a list of 1 to {MAX_INTERVALS} intervals")
        return
    for number, interval in enumerate(intervals):
        _check_interval(interval, f"{place}/{number}", faults)


def _check_interval(interval: Any, pointer: str, faults: Faults) -> None:
    if not isinstance(interval, dict):
        faults.add(pointer, f"must be an object with some of {', '.join(OF_INTERVALS)}")
        return
    _check_members(interval, OF_INTERVALS, pointer, "an interval", faults)
    if not any(interval.get(member) is not None for member in SPANS):
        faults.add(pointer, f"has every moment in it: give at least one of {', '.join(SPANS)}")
    if interval.get("location") is not None and (detail := check_timezone(interval["location"])):
        faults.add(below(pointer, "location"), detail)
    for member in SPANS:
        spans, place = interval.get(member), below(pointer, member)
        if spans is None:
            continue
        if not isinstance(spans, list) or not 1 <= len(spans) <= MAX_SPANS:
            faults.add(place, f"must be a list of 1 to {MAX_SPANS} spans")
            continue
        for number, one in enumerate(spans):
            if detail := _FAULT[member](one):
                faults.add(f"{place}/{number}", detail)


def _check_members(given: Mapping[str, Any], members: tuple[str, ...], pointer: str, what: str, faults: Faults) -> None:
    for member in given:
        if member not in members:
            hint = faults.hint(member, members)
            faults.add(below(pointer, shown(member)), f"'{shown(member)}' is no member of {what}{hint}")


def _times_fault(value: Any) -> str | None:
    if not isinstance(value, dict) or set(value) != {"start_time", "end_time"}:
        return "must be an object with start_time and end_time"
    start, end = value["start_time"], value["end_time"]
    for text in (start, end):
        if not isinstance(text, str) or not _CLOCK.fullmatch(text):
            return "is written as in start_time: '08:00', end_time: '24:00'"
    if start >= end:
        return "ends before it begins: for a night write two spans, to 24:00 and from 00:00"
    return None


def _weekdays_fault(value: Any) -> str | None:
    parts = value.split(":") if isinstance(value, str) else []
    if not 1 <= len(parts) <= 2 or any(part.strip().lower() not in WEEKDAYS for part in parts):  # noqa: PLR2004
        return "must be a day or a span of days, such as monday:friday"
    return None


def _months_fault(value: Any) -> str | None:
    parts = str(value).split(":") if isinstance(value, str | int) and not isinstance(value, bool) else []
    if not 1 <= len(parts) <= 2 or not all(_is_month(part.strip().lower()) for part in parts):  # noqa: PLR2004
        return "must be a month or a span of months, such as november:february or 11:12"
    return None


def _is_month(text: str) -> bool:
    return text in MONTHS or (text.isdecimal() and 1 <= int(text) <= _LAST_MONTH)


def _days_fault(value: Any) -> str | None:
    found = _numbers(value, _DAY)
    if found is None or not all(1 <= abs(number) <= _LAST_DAY for number in found):
        return "must be a day or a span of days: 1 to 31, or -1 for the last one to -31, such as '-3:-1'"
    first, last = found
    if (first > 0) == (last > 0) and first > last:
        return "ends before it begins"
    return None


def _years_fault(value: Any) -> str | None:
    found = _numbers(value, _YEAR)
    if found is None:
        return "must be a year or a span of years, such as '2026:2028'"
    return "ends before it begins" if found[0] > found[1] else None


def _numbers(value: Any, form: re.Pattern[str]) -> tuple[int, int] | None:
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    parts = [part.strip() for part in str(value).split(":")]
    if not 1 <= len(parts) <= 2 or not all(form.fullmatch(part) for part in parts):  # noqa: PLR2004
        return None
    first, last = span(str(value))
    return int(first), int(last)


_FAULT: Mapping[str, Callable[[Any], str | None]] = {
    "times": _times_fault,
    "weekdays": _weekdays_fault,
    "days_of_month": _days_fault,
    "months": _months_fault,
    "years": _years_fault,
}


def stored(calendar: Mapping[str, Any]) -> Json:
    """The stored form of a calendar that is free of faults, its name aside."""
    return {
        "description": calendar.get("description"),
        "time_intervals": [
            {member: _plain(interval[member]) for member in OF_INTERVALS if interval.get(member) is not None}
            for interval in calendar["time_intervals"]
        ],
    }


def _plain(value: Any) -> Any:
    """Spans are texts, however they were written."""
    if isinstance(value, list):
        return [one if isinstance(one, dict) else str(one) for one in value]
    return value
