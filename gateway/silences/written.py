"""A silence as a caller writes it: every fault named, and the columns that it becomes.

The members have the types that they must have; what is checked here is what they mean together.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from config.errors import Problem
from gateway.silences import matchers
from gateway.silences.in_force import SUMMARISE
from playbooks.definitions.schedules import check_cron, check_timezone, shortest_interval

_DAY = 86_400_000
#: how long a silence lasts at most, and how far its begin lies ahead; a window comes back for longer
LONGEST, LONGEST_WINDOW = 366 * _DAY, 5 * 366 * _DAY
#: members of a window that comes back, which no other silence has
_OF_WINDOWS = ("timezone", "duration_minutes")


def check(given: Mapping[str, Any], tenant: str, now: int) -> list[Problem]:
    """The faults of a silence of a tenant that is written at a time (ms)."""
    problems = check_matching(given, tenant)
    if not str(given.get("comment") or "").strip():
        problems.append(Problem("/comment", "is required: it is what others read who wonder why nothing comes"))
    if given.get("cron") is None:
        problems += _end_faults(given)
    elif given.get("duration_seconds") is not None:
        problems.append(Problem("/duration_seconds", "a window has duration_minutes, and comes back until ends_at"))
    problems += _time_faults(given, now)
    return problems + _notice_faults(given, now)


def check_matching(given: Mapping[str, Any], tenant: str) -> list[Problem]:
    """The faults of the matchers, and of a window that comes back."""
    problems = [one.under("/matchers") for one in matchers.check(given.get("matchers"), tenant)]
    if given.get("cron") is not None:
        return problems + _window_faults(given)
    text = "belongs to a window that comes back, with cron"
    return problems + [Problem(f"/{name}", text) for name in _OF_WINDOWS if given.get(name) is not None]


def _end_faults(given: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if (given.get("ends_at") is None) == (given.get("duration_seconds") is None):
        text = "a silence has an end: give either ends_at or duration_seconds"
        problems.append(Problem("/ends_at", text))
    return problems


def _window_faults(given: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if fault := check_cron(given["cron"]):
        problems.append(Problem("/cron", fault))
    if given.get("timezone") is not None and (fault := check_timezone(given["timezone"])):
        problems.append(Problem("/timezone", fault))
    minutes = given.get("duration_minutes")
    if minutes is None:
        problems.append(Problem("/duration_minutes", "is required with cron: how long a window lasts"))
    elif not problems and (shortest := shortest_interval(given["cron"])) < minutes * 60_000:
        text = f"a window must be over before it comes back, after {shortest // 60_000} minutes"
        problems.append(Problem("/duration_minutes", text))
    return problems


def _time_faults(given: Mapping[str, Any], now: int) -> list[Problem]:
    starts, ends = times(given, now)
    most = LONGEST if given.get("cron") is None else LONGEST_WINDOW
    if starts < 0:
        return [Problem("/starts_at", "lies before 1970")]
    if starts > now + LONGEST:
        return [Problem("/starts_at", f"lies more than {LONGEST // _DAY} days ahead")]
    if ends is None:
        return []
    name = "/ends_at" if given.get("ends_at") is not None else "/duration_seconds"
    if ends <= starts:
        return [Problem(name, "lies before starts_at")]
    if ends <= now:
        return [Problem(name, "lies in the past")]
    if ends - max(starts, now) > most:
        return [Problem(name, f"lasts longer than {most // _DAY} days")]
    return []


def _notice_faults(given: Mapping[str, Any], now: int) -> list[Problem]:
    remind, notify = given.get("remind_before_minutes"), given.get("notify")
    starts, ends = times(given, now)
    problems = []
    if remind is not None and (ends is None or remind * 60_000 >= ends - starts):
        text = "it has no end to remind of" if ends is None else "it does not last as long"
        problems.append(Problem("/remind_before_minutes", text))
    if notify is None and (remind is not None or given.get("after") == SUMMARISE):
        problems.append(Problem("/notify", "names the provider by which summaries and reminders go out"))
    if notify is not None and remind is None and given.get("after") != SUMMARISE:
        problems.append(Problem("/notify", "is for after: summarise, and for remind_before_minutes"))
    return problems


def times(given: Mapping[str, Any], now: int) -> tuple[int, int | None]:
    """When it begins and ends (ms)."""
    starts = now if given.get("starts_at") is None else milliseconds(given["starts_at"])
    if given.get("ends_at") is not None:
        return starts, milliseconds(given["ends_at"])
    if given.get("duration_seconds") is not None and given.get("cron") is None:
        return starts, starts + int(given["duration_seconds"]) * 1_000
    return starts, None


def milliseconds(moment: datetime) -> int:
    """A moment with its zone, since 1970."""
    return round(moment.timestamp() * 1_000)
