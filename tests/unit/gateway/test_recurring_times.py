"""The times of recurring actions: tables written by hand, and what becomes of times that have passed."""

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.recurring.times import ALL, CATCH_UP, LATEST, MOST_CAUGHT_UP, ON_TIME, SKIP, Times, planned
from gateway.recurring.words import described

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "US/Eastern")


def ms(text: str) -> int:
    """The milliseconds of a time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def table(cron: str, zone: str, after: str, number: int) -> list[str]:
    """The first times after a moment, in UTC."""
    times, at, found = Times(id="rec", cron=cron, timezone=zone), ms(after), []
    for _ in range(number):
        at = times.after(at) or 0
        found.append(datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("zone", "cron", "after", "expected"),
    [
        # spring: a time of the day that is left out comes right after the gap
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        ("America/New_York", "15 2 * * *", "2026-03-07T12:00", ["2026-03-08T07:00", "2026-03-09T06:15"]),
        ("US/Eastern", "0 9 * * MON-FRI", "2026-03-06T15:00", ["2026-03-09T13:00", "2026-03-10T13:00"]),
        ("America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00", ["2018-11-04T03:00", "2018-11-05T02:00"]),
        # autumn: one that comes twice comes the first time
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("America/New_York", "30 1 * * *", "2026-10-31T12:00", ["2026-11-01T05:30", "2026-11-02T06:30"]),
        # autumn: a schedule of every hour comes in both
        (
            "Europe/Berlin",
            "0 * * * *",
            "2026-10-24T23:30",
            ["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"],
        ),
        # a change of thirty minutes: 2:00 is 2:30 in spring, 2:00 comes twice in autumn
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00", ["2026-10-03T15:30", "2026-10-04T15:15"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00", ["2026-04-04T14:45", "2026-04-05T15:15"]),
        # half an hour and three quarters, without any change
        ("Asia/Kolkata", "0 9 * * *", "2026-06-01T00:00", ["2026-06-01T03:30", "2026-06-02T03:30"]),
        ("Asia/Kathmandu", "0 0 * * *", "2026-06-01T00:00", ["2026-06-01T18:15", "2026-06-02T18:15"]),
        # zones that changed their offset for good: Samoa left out 30 December 2011, whose noon came at midnight;
        # Volgograd went back an hour in 2020
        (
            "Pacific/Apia",
            "0 12 * * *",
            "2011-12-29T12:00",
            ["2011-12-29T22:00", "2011-12-30T10:00", "2011-12-30T22:00"],
        ),
        ("Europe/Volgograd", "0 12 * * *", "2020-12-26T00:00", ["2020-12-26T08:00", "2020-12-27T09:00"]),
        # 29 February, ends of months, and the last day
        ("UTC", "0 0 29 2 *", "2026-01-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("UTC", "0 0 31 * *", "2026-01-01T00:00", ["2026-01-31T00:00", "2026-03-31T00:00", "2026-05-31T00:00"]),
        ("UTC", "0 0 30 * *", "2026-01-31T00:00", ["2026-03-30T00:00", "2026-04-30T00:00"]),
        ("UTC", "0 12 l * *", "2028-01-15T00:00", ["2028-01-31T12:00", "2028-02-29T12:00", "2028-03-31T12:00"]),
        ("UTC", "59 23 31 12 *", "2026-06-01T00:00", ["2026-12-31T23:59", "2027-12-31T23:59"]),
    ],
)
def test_the_table(zone: str, cron: str, after: str, expected: list[str]) -> None:
    """Each line is written by hand, from the clocks of its zone."""
    assert table(cron, zone, after, len(expected)) == expected


CRONS = (
    "* * * * *",
    "*/7 * * * *",
    "0 * * * *",
    "30 2 * * *",
    "* 9 * * *",
    "0 0 1 * *",
    "*/20 1-3 * * sun",
    "5,50 * 29 2 *",
)


@given(
    st.sampled_from(CRONS),
    st.sampled_from(ZONES),
    st.integers(ms("2025-01-01T00:00"), ms("2029-01-01T00:00")),
    st.integers(1, 3 * 86_400),
)
def test_looking_back_finds_what_looking_ahead_does(cron: str, zone: str, begin: int, seconds: int) -> None:
    """The same times, in the other order."""
    times, end = Times(id="rec", cron=cron, timezone=zone), begin + seconds * 1000
    ahead = list(itertools.islice(times.between(begin, end + 1), 6_000))
    assert list(itertools.islice(times.backwards(begin, end), 50)) == ahead[::-1][:50]


@given(
    st.sampled_from(CRONS),
    st.sampled_from(ZONES),
    st.integers(ms("2025-01-01T00:00"), ms("2029-01-01T00:00")),
    st.integers(0, 3 * 86_400),
    st.sampled_from(CATCH_UP),
    st.integers(0, 59),
    st.sets(st.integers(0, 200), max_size=20),
)
def test_each_time_gets_one_fate(
    cron: str, zone: str, begin: int, seconds: int, catch_up: str, jitter: int, out: set[int]
) -> None:
    """Due, left out, missed, or to come: together they are all times, and none is two of them."""
    times = Times(id="rec", cron=cron, timezone=zone, jitter_ms=jitter * 1000)
    first = times.after(begin)
    if first is None:
        return
    now = first + seconds * 1000
    all_times = list(itertools.islice(times.between(first, now + 1), 6_000))
    closed = {at for number, at in enumerate(all_times[::-1]) if number in out}
    plan = planned(times, first, now, catch_up, lambda at: "c" if at in closed else None)
    missed = [at for at in all_times if plan.missed is not None and plan.missed[0] <= at <= plan.missed[1]]
    pending = [at for at in all_times if plan.next_at is not None and at >= plan.next_at]
    left_out = sorted(at for at, _ in plan.left_out)
    fates = sorted([*plan.due, *left_out, *missed, *pending])
    assert fates == all_times
    assert all(times.fires(at) <= now for at in plan.due)
    assert not closed & set(plan.due)
    assert pending == ([] if plan.next_at is None or plan.next_at > now else [plan.next_at])
    assert len(plan.due) <= (MOST_CAUGHT_UP if catch_up == ALL else 1)
    if catch_up == SKIP:
        assert all(now - times.fires(at) < ON_TIME for at in plan.due)
    if catch_up == LATEST and plan.due:
        assert all(at in closed for at in all_times if plan.due[0] < at and at not in pending)


def test_looking_back_over_a_century_is_quick() -> None:
    """The last time of a schedule of minutes is found in few steps, however far back the first one lies."""
    times = Times(id="rec", cron="* * * * *", timezone="Europe/Berlin")
    begin, now = ms("1970-01-02T00:00"), ms("2026-11-30T12:00")
    plan = planned(times, times.after(begin) or 0, now, LATEST, lambda _: None)
    assert plan.due == (now,)
    assert plan.missed == (times.after(begin), now - 60_000)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 9 * * MON-FRI", "At 09:00, from Monday to Friday (UTC)"),
        ("*/15 8-18 * * *", "Every 15 minutes, in the hours 8 to 18 (UTC)"),
        ("0 */2 * * *", "At minute 0, every 2 hours (UTC)"),
        ("30 6,18 1 1-3 *", "At 06:30 and 18:30, on day 1 of the month, in January to March (UTC)"),
        ("0 0 l * ?", "At 00:00, on the last day of the month (UTC)"),
        ("0 9 13 * fri", "At 09:00, on day 13 of the month or on Friday (UTC)"),
        ("* * * * *", "Every minute (UTC)"),
    ],
)
def test_words(cron: str, words: str) -> None:
    """A schedule in words, so that its author sees how it is understood."""
    assert described(cron, "UTC") == words
