"""A schedule in words, for people: ``0 9 * * MON-FRI`` is "at 09:00 from Monday to Friday"."""

import calendar
import re

_DAYS = ("Sunday", *list(calendar.day_name))
_MONTHS = tuple(calendar.month_name)
_SHORT = {name[:3].lower(): name for name in (*_DAYS, *_MONTHS) if name}
_STEP = re.compile(r"\*/([0-9]+)")
#: clock times that are spelt out
_MOST_TIMES = 6


def described(cron: str, timezone: str) -> str:
    """The words for five fields that are free of faults."""
    minute, hour, day, month, weekday = cron.replace("?", "*").split()
    parts = [_times(minute, hour), _days(day, weekday)]
    if month != "*":
        parts.append(f"in {_listed(month, _month)}")
    text = ", ".join(part for part in parts if part)
    return f"{text[0].upper()}{text[1:]} ({timezone})"


def _times(minute: str, hour: str) -> str:
    if minute.isdecimal() and all(one.isdecimal() for one in hour.split(",")) and hour.count(",") < _MOST_TIMES:
        clock = [f"{int(one):02d}:{int(minute):02d}" for one in hour.split(",")]
        return f"at {_and(clock)}"
    hours = "" if hour == "*" else f", {_hours(hour)}"
    if minute == "*":
        return f"every minute{hours}"
    if step := _STEP.fullmatch(minute):
        return f"every {step[1]} minutes{hours}" if step[1] != "1" else f"every minute{hours}"
    if hour == "*":
        return f"at minute {_listed(minute, str)} of every hour"
    return f"at minute {_listed(minute, str)}{hours}"


def _hours(hour: str) -> str:
    if step := _STEP.fullmatch(hour):
        return f"every {step[1]} hours" if step[1] != "1" else "every hour"
    return f"in the hour{'' if hour.isdecimal() else 's'} {_listed(hour, str)}"


def _days(day: str, weekday: str) -> str:
    parts = []
    if day.lower() == "l":
        parts.append("on the last day of the month")
    elif day != "*":
        parts.append(f"on day {_listed(day, str)} of the month")
    if weekday != "*":
        is_range = re.fullmatch(r"[0-9A-Za-z]+-[0-9A-Za-z]+", weekday) is not None
        parts.append(f"{'from' if is_range else 'on'} {_listed(weekday, _weekday)}")
    return " or ".join(parts)


def _listed(field: str, named: "type[str] | _Named") -> str:
    return _and([_part(part, named) for part in field.split(",")])


def _part(part: str, named: "type[str] | _Named") -> str:
    body, _, every = part.partition("/")
    body, _, place = body.partition("#")
    begin, _, end = body.partition("-")
    text = f"{named(begin)} to {named(end)}" if end else named(begin)
    text = f"the {place}. {text}" if place else text
    return f"every {every} from {'the first' if body == '*' else text}" if every else text


class _Named:
    """The name of a day or a month, by its number or its first letters."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def __call__(self, text: str) -> str:
        if text.isdecimal():
            return self._names[int(text)]
        return _SHORT.get(text.lower(), text)


_weekday, _month = _Named(_DAYS), _Named(_MONTHS)


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
