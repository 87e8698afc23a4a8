"""When schedules come round, above all on the days on which the clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from playbooks.definitions.schedules import check_cron, check_timezone, next_time

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def ms(text: str) -> int:
    """A moment written in UTC, in milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def times(cron: str, timezone: str, after: str, count: int) -> list[str]:
    """The next moments of a schedule, in UTC."""
    moment, found = ms(after), []
    for _ in range(count):
        moment = next_time(cron, timezone, moment)
        found.append(datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    "cron",
    ["* * * * *", "0 8 * * 1", "*/5 9-17 * * mon-fri", "0 0 29 2 *", "0 0 1 JAN *", "5,10 0 l * *", " 0  8 * * 1 "],
)
def test_schedules_that_can_be_used(cron: str) -> None:
    """Five fields with numbers, lists, ranges, steps and names."""
    assert check_cron(cron) is None


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "0 8 * *",
        "* * * * * *",
        "0 0 1 1 * 2020",
        "@daily",
        "61 * * * *",
        "*/0 * * * *",
        "H * * * *",
        "R * * * *",
        "0 0 30 2 *",
        "0 0 31 4,6 *",
        "0 8 * * mon; ls",
        "0 8 * * " + "1," * 200 + "1",
        None,
        8,
        ["0 8 * * 1"],
    ],
)
def test_schedules_that_cannot_be_used(cron: object) -> None:
    """Other numbers of fields, short hands, chance, values out of range, and days that never come."""
    assert check_cron(cron)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 8 * * MONDAY", "'MONDAY' is no day: write MON or 1"),
        ("0 8 * * mon-Sunday", "'Sunday' is no day: write SUN or 0"),
        ("0 8 1 january *", "'january' is no month: write JAN or 1"),
        ("0 8 * * foo", "the names of months and days"),
    ],
)
def test_a_whole_name_gets_its_short_form(cron: str, words: str) -> None:
    """Names of days and months are short in schedules."""
    assert words in (check_cron(cron) or "")


def test_time_zones() -> None:
    """A time zone is one that the system knows; for a misspelt one the nearest is named."""
    assert check_timezone("UTC") is None
    assert check_timezone(BERLIN) is None
    for name in ("", "Mars/Olympus", "../etc/passwd", "Europe", "/etc/localtime", "a\0b", "x" * 5000, 7, None):
        assert check_timezone(name), name
    assert "did you mean 'Europe/Berlin'?" in (check_timezone("europe/berlin") or "")


def test_the_next_time_is_later_than_now() -> None:
    """At the very moment of a firing the next one is meant; a millisecond before, this one."""
    at = ms("2026-05-04T08:00")
    assert next_time("0 8 * * 1", "UTC", at) == ms("2026-05-11T08:00")
    assert next_time("0 8 * * 1", "UTC", at - 1) == at
    assert next_time("0 8 * * 1", "UTC", at + 999) == ms("2026-05-11T08:00")


@pytest.mark.parametrize(
    ("cron", "timezone", "after", "expected"),
    [
        # 2:30 is left out on 29 March
        ("30 2 * * *", BERLIN, "2026-03-28T00:00", ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"]),
        # 2:30 happens twice on 25 October
        ("30 2 * * *", BERLIN, "2026-10-24T00:00", ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"]),
        # asked between the two
        ("30 2 * * *", BERLIN, "2026-10-25T01:10", ["2026-10-26T01:30"]),
        # 8 March
        ("30 2 * * *", NEW_YORK, "2026-03-07T00:00", ["2026-03-07T07:30", "2026-03-08T07:00", "2026-03-09T06:30"]),
        # 1 November
        ("30 1 * * *", NEW_YORK, "2026-10-31T00:00", ["2026-10-31T05:30", "2026-11-01T05:30", "2026-11-02T06:30"]),
        # several times inside the gap are one firing, and so is one that falls on its end
        ("0,30 2,3 * * *", BERLIN, "2026-03-29T00:00", ["2026-03-29T01:00", "2026-03-29T01:30", "2026-03-30T00:00"]),
        # only on the day of the change
        ("30 2 29 3 *", BERLIN, "2026-01-01T00:00", ["2026-03-29T01:00", "2027-03-29T00:30"]),
    ],
)
def test_times_of_the_day_when_the_clocks_change(cron: str, timezone: str, after: str, expected: list[str]) -> None:
    """A time that is left out comes once, right after the gap; one that happens twice comes the first time only."""
    assert times(cron, timezone, after, len(expected)) == expected


def test_every_hour_goes_on_when_the_clocks_change() -> None:
    """What comes in every hour comes in the hour that happens twice too, and not in the one that is left out."""
    autumn = ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:00"]
    assert times("*/30 * * * *", BERLIN, "2026-10-24T23:59", 5) == autumn
    assert times("30 * * * *", BERLIN, "2026-03-29T00:00", 3) == [
        "2026-03-29T00:30",
        "2026-03-29T01:30",
        "2026-03-29T02:30",
    ]


@pytest.mark.parametrize("timezone", [BERLIN, NEW_YORK, "Australia/Lord_Howe", "Asia/Kolkata"])
@pytest.mark.parametrize("minutes", [{0}, {15, 50}])
def test_every_hour_is_every_minute_on_the_wall_that_fits(timezone: str, minutes: set[int]) -> None:
    """Around every change of a year, counted out minute by minute."""
    zone, cron = ZoneInfo(timezone), f"{','.join(map(str, sorted(minutes)))} * * * *"
    start = datetime(2026, 1, 1, tzinfo=UTC)
    hours = [start + timedelta(hours=hour) for hour in range(365 * 24)]
    summer = [hour.astimezone(zone).dst() for hour in hours]
    changes = [hour for hour, before, after in zip(hours, summer, summer[1:], strict=False) if before != after]
    for change in changes or [start]:
        begin = int((change - timedelta(hours=4)).timestamp())
        expected = [
            moment * 1000
            for moment in range(begin + 60, begin + 9 * 3600, 60)
            if datetime.fromtimestamp(moment, zone).minute in minutes
        ]
        moment, found = begin * 1000, []
        while len(found) < len(expected):
            moment = next_time(cron, timezone, moment)
            found.append(moment)
        assert found == expected


def test_a_whole_day_can_be_left_out() -> None:
    """Samoa skipped 30 December 2011; what was due then comes when the next day begins."""
    assert times("0 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00", 1) == ["2011-12-30T10:00"]
