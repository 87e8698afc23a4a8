"""Windows that come back: eight zones, both changes of the clocks, over midnight, against ``zoneinfo``."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.silences.periods import Times
from tests.support import silence_reference as reference

ZONES = {
    "Europe/Berlin": ((2026, 3, 29), (2026, 10, 25)),
    "America/New_York": ((2026, 3, 8), (2026, 11, 1)),
    "America/St_Johns": ((2026, 3, 8), (2026, 11, 1)),
    "Australia/Lord_Howe": ((2026, 4, 5), (2026, 10, 4)),
    "Pacific/Auckland": ((2026, 4, 5), (2026, 9, 27)),
    "Africa/Casablanca": ((2026, 2, 15), (2026, 3, 22)),
    "Asia/Kolkata": ((2026, 3, 29), (2026, 10, 25)),
    "America/Santiago": ((2026, 4, 5), (2026, 9, 6)),
}
#: cron, and the same for the reference: hour, minute, weekday; and minutes
WINDOWS = [
    ("30 2 * * *", (2, 30, None), 45),
    ("0 22 * * *", (22, 0, None), 480),
    ("0 23 * * sat", (23, 0, 5), 180),
    ("15 0 * * *", (0, 15, None), 1_430),
]


#: zones with a change by half an hour, and by night; the gate asks all of them
USUAL = ("Europe/Berlin", "Australia/Lord_Howe")


@pytest.mark.parametrize(
    "zone", [pytest.param(zone, marks=() if zone in USUAL else pytest.mark.gate) for zone in ZONES]
)
def test_a_window_is_open_when_the_clocks_of_its_zone_say_so(zone: str) -> None:
    """Around each change of the clocks, every ten minutes; the period named ends where the window does."""
    for year, month, day in ZONES[zone]:
        since = datetime(year, month, day, tzinfo=ZoneInfo(zone)).astimezone(UTC) - timedelta(hours=30)
        until = since + timedelta(hours=84)
        for cron, (hour, minute, weekday), minutes in WINDOWS:
            times = Times(starts_at=0, cron=cron, timezone=zone, duration_ms=minutes * 60_000)
            starts = reference.begins(hour, minute, weekday, zone, since - timedelta(hours=30), until)
            moment = since
            while moment < until:
                ms = round(moment.timestamp() * 1000)
                period = times.period(ms)
                assert period.active is reference.is_open(moment, starts, minutes), (cron, zone, moment)
                assert period.begins <= ms < period.ends
                if period.active:
                    assert not reference.is_open(reference.at(period.ends), starts, minutes) or minutes > 1_400
                    assert reference.is_open(reference.at(period.ends - 1), starts, minutes)
                moment += timedelta(minutes=10)


def test_a_silence_begins_at_its_first_moment_and_ends_before_its_last() -> None:
    """Also where it is a window: none begins before it, none lasts beyond its end."""
    once = Times(starts_at=1_000, ends_at=2_000)
    assert [once.period(at).active for at in (999, 1_000, 1_999, 2_000)] == [False, True, True, False]
    minute = 60_000
    window = Times(
        starts_at=30 * minute, ends_at=80 * minute, cron="0 * * * *", timezone="UTC", duration_ms=40 * minute
    )
    opened = [at for at in range(120) if window.period(at * minute).active]
    assert opened == [*range(30, 40), *range(60, 80)]
    assert window.next_end(0) == 40 * minute
    assert window.next_end(45 * minute) == 80 * minute
    assert window.next_end(80 * minute) is None
