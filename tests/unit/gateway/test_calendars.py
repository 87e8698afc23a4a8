"""Calendars: which moments are in them, and which are written wrongly."""

from datetime import datetime
from typing import Any

import pytest

from gateway.calendars import written
from gateway.calendars.calendar import Calendar
from playbooks.checks.faults import Faults


def faults_of(*intervals: Any, **more: Any) -> list[str]:
    """The pointers of the faults of a calendar with these intervals."""
    found = Faults()
    written.check({"name": "c", "time_intervals": list(intervals), **more}, "", found)
    return [problem.pointer for problem in found.listed()]


def contains(interval: dict[str, Any], *moments: str) -> list[bool]:
    """Whether each moment, a time in ISO 8601 with its zone, is in the interval."""
    assert faults_of(interval) == []
    calendar = Calendar("c", written.stored({"name": "c", "time_intervals": [interval]}))
    return [calendar.contains(round(datetime.fromisoformat(moment).timestamp() * 1000)) for moment in moments]


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        (
            {"times": [{"start_time": "08:00", "end_time": "17:30"}]},
            ["2026-05-04T08:00:00Z", "2026-05-04T17:29:59.999Z"],
            ["2026-05-04T07:59:59.999Z", "2026-05-04T17:30:00Z"],
        ),
        (
            {"times": [{"start_time": "22:00", "end_time": "24:00"}, {"start_time": "00:00", "end_time": "06:00"}]},
            ["2026-05-04T23:59:59Z", "2026-05-04T00:00:00Z"],
            ["2026-05-04T06:00:00Z"],
        ),
        (
            {"weekdays": ["monday:friday"]},
            ["2026-05-04T00:00:00Z", "2026-05-08T23:59:59Z"],
            ["2026-05-09T00:00:00Z", "2026-05-03T12:00:00Z"],
        ),
        ({"weekdays": ["Saturday:Sunday"]}, ["2026-05-09T00:00:00Z", "2026-05-10T00:00:00Z"], ["2026-05-11T00:00:00Z"]),
        ({"days_of_month": ["-1"]}, ["2028-02-29T12:00:00Z", "2026-04-30T12:00:00Z"], ["2028-02-28T12:00:00Z"]),
        ({"days_of_month": ["-3:-1"]}, ["2026-02-26T00:00:00Z", "2026-02-28T00:00:00Z"], ["2026-02-25T00:00:00Z"]),
        ({"days_of_month": ["29:31"]}, ["2028-02-29T00:00:00Z"], ["2026-02-28T00:00:00Z"]),
        ({"days_of_month": [1, "15:-1"]}, ["2026-02-01T00:00:00Z", "2026-02-20T00:00:00Z"], ["2026-02-14T00:00:00Z"]),
        ({"months": ["november:february"]}, ["2026-01-01T00:00:00Z", "2026-11-01T00:00:00Z"], ["2026-03-01T00:00:00Z"]),
        ({"months": [12]}, ["2026-12-24T00:00:00Z"], ["2026-11-30T23:59:59Z"]),
        ({"years": ["2026:2027"]}, ["2027-12-31T23:59:59Z"], ["2028-01-01T00:00:00Z", "2025-12-31T23:59:59Z"]),
        (
            {"times": [{"start_time": "09:00", "end_time": "17:00"}], "location": "America/New_York"},
            ["2026-07-01T13:00:00Z", "2026-01-05T14:00:00Z"],
            ["2026-07-01T12:59:59Z", "2026-01-05T13:00:00Z"],
        ),
        (
            {"weekdays": ["sunday"], "location": "Australia/Lord_Howe"},
            ["2026-05-09T14:00:00Z"],
            ["2026-05-10T14:00:00Z"],
        ),
        (
            {"months": ["december"], "days_of_month": ["24:26"], "location": "Europe/Berlin"},
            ["2026-12-23T23:00:00Z", "2026-12-26T22:59:59Z"],
            ["2026-12-26T23:00:00Z", "2026-11-24T12:00:00Z"],
        ),
    ],
)
def test_moments(interval: dict[str, Any], inside: list[str], outside: list[str]) -> None:
    """All members of an interval must fit, in its zone; of a span the last minute is not in it."""
    assert contains(interval, *inside) == [True] * len(inside)
    assert contains(interval, *outside) == [False] * len(outside)


@pytest.mark.parametrize(
    ("interval", "pointer"),
    [
        ({}, ""),
        ({"location": "UTC"}, ""),
        ([], ""),
        ({"times": [{"start_time": "17:00", "end_time": "08:00"}]}, "/times/0"),
        ({"times": [{"start_time": "8:00", "end_time": "09:00"}]}, "/times/0"),
        ({"times": [{"start_time": "08:00", "end_time": "24:01"}]}, "/times/0"),
        ({"times": [{"start_time": "08:00"}]}, "/times/0"),
        ({"times": ["08:00"]}, "/times/0"),
        ({"times": []}, "/times"),
        ({"weekdays": ["mon"]}, "/weekdays/0"),
        ({"weekdays": [1]}, "/weekdays/0"),
        ({"weekdays": "monday"}, "/weekdays"),
        ({"days_of_month": ["0"]}, "/days_of_month/0"),
        ({"days_of_month": ["32"]}, "/days_of_month/0"),
        ({"days_of_month": ["5:1"]}, "/days_of_month/0"),
        ({"days_of_month": ["-1:-3"]}, "/days_of_month/0"),
        ({"days_of_month": [True]}, "/days_of_month/0"),
        ({"months": ["13"]}, "/months/0"),
        ({"months": ["jan"]}, "/months/0"),
        ({"years": ["26"]}, "/years/0"),
        ({"years": ["2028:2026"]}, "/years/0"),
        ({"weekdays": ["monday"], "location": "Mars/Olympus"}, "/location"),
        ({"weekday": ["monday"]}, "/weekday"),
    ],
)
def test_faults(interval: Any, pointer: str) -> None:
    """Each names its place."""
    assert f"/time_intervals/0{pointer}" in faults_of(interval)


def test_a_calendar_has_a_name_and_intervals() -> None:
    """Without them, and with further members, it is faulty; two of one name are."""
    found = Faults()
    calendars = [{"name": "a", "time_intervals": [{"years": ["2026"]}]}] * 2
    written.check_all([*calendars, {"name": "a/b", "time_intervals": []}, {"names": "x"}, 5], "/all", found)
    assert {problem.pointer for problem in found.listed()} == {
        "/all/1/name",
        "/all/2/name",
        "/all/2/time_intervals",
        "/all/3/names",
        "/all/3/name",
        "/all/3/time_intervals",
        "/all/4",
    }
