"""A calendar, compiled: whether a moment is in it."""

import calendar as months_of_years
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = tuple(name.lower() for name in months_of_years.month_name)[1:]

_Spans = tuple[tuple[int, int], ...]


def span(text: str) -> tuple[str, str]:
    """The first and the last of a span, which may be one value."""
    first, _, last = text.partition(":")
    return first.strip().lower(), (last or first).strip().lower()


@dataclass(frozen=True, slots=True)
class _Interval:
    """One interval: empty spans fit every moment. Minutes of the day; the last minute of a span is not in it."""

    zone: tzinfo
    times: _Spans
    weekdays: _Spans
    days: _Spans
    months: _Spans
    years: _Spans

    def contains(self, at: float) -> bool:
        here = datetime.fromtimestamp(at, self.zone)
        minute = here.hour * 60 + here.minute
        return (
            (not self.times or any(first <= minute < last for first, last in self.times))
            and _fits(self.weekdays, here.isoweekday() % 7)
            and _fits(self.months, here.month)
            and _fits(self.years, here.year)
            and (not self.days or _fits_day(self.days, here))
        )


def _fits(spans: _Spans, value: int) -> bool:
    """Whether a value is in one of the spans; one that ends before it begins goes around."""
    if not spans:
        return True
    return any(first <= value <= last if first <= last else value >= first or value <= last for first, last in spans)


def _fits_day(spans: _Spans, here: datetime) -> bool:
    """Whether it is one of the days of the month; negative ones count from its end."""
    days = months_of_years.monthrange(here.year, here.month)[1]
    return any(_day(first, days) <= here.day <= _day(last, days) for first, last in spans)


def _day(number: int, days: int) -> int:
    return number if number > 0 else days + 1 + number


class Calendar:
    """Some intervals under a name."""

    def __init__(self, name: str, form: Mapping[str, Any]) -> None:
        self.name, self.form = name, form
        self._intervals = tuple(_interval(one) for one in form["time_intervals"])

    def contains(self, at: int) -> bool:
        """Whether a moment (ms) is in one of the intervals."""
        return any(one.contains(at / 1000) for one in self._intervals)


def _interval(form: Mapping[str, Any]) -> _Interval:
    zone: tzinfo = ZoneInfo(form["location"]) if form.get("location") else UTC
    return _Interval(
        zone,
        tuple((_minute(one["start_time"]), _minute(one["end_time"])) for one in form.get("times", ())),
        _spans(form, "weekdays", WEEKDAYS, 0),
        _spans(form, "days_of_month"),
        _spans(form, "months", MONTHS, 1),
        _spans(form, "years"),
    )


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)


def _spans(form: Mapping[str, Any], member: str, names: tuple[str, ...] = (), least: int = 0) -> _Spans:
    def number(text: str) -> int:
        return names.index(text) + least if text in names else int(text)

    return tuple((number(first), number(last)) for first, last in map(span, form.get(member, ())))


def named(forms: Mapping[str, Mapping[str, Any]]) -> dict[str, Calendar]:
    """The calendars of stored forms by name."""
    return {name: Calendar(name, form) for name, form in forms.items()}
