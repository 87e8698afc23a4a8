"""The scheduler's intervals: measured by a monotonic clock, sent over connections that are replaced."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from celery.beat import SchedulingError

from config.settings import settings
from tasks.app import app
from worker import intervals

#: by how much a wall clock is set back or forth, seconds
STEPS = (-3600, -60, -2, 2, 60, 3600)


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the entries whose messages the broker has taken."""
    taken: list[str] = []

    def takes(_self: Any, entry: Any, **_: Any) -> None:
        taken.append(entry.name)

    monkeypatch.setattr(intervals.Intervals, "apply_async", takes)
    return taken


def run(scheduler: Any, clock: Clock, wall: Any, seconds: float) -> None:
    """Move both clocks on by ``seconds``, as the service that drives the scheduler does."""
    end = clock.now + seconds
    while clock.now < end:
        pause = max(0.01, min(scheduler.tick(), end - clock.now))
        clock.now += pause
        wall.shift(timedelta(seconds=pause))


@pytest.mark.parametrize("step", STEPS)
def test_a_wall_clock_that_is_set_moves_nothing(step: int, sent: list[str]) -> None:
    """Ten seconds bring ten ticks before and after the wall clock is set back or forth, by whatever amount."""
    clock = Clock()
    with time_machine.travel(1_800_000_000, tick=False) as wall:
        scheduler = app.Beat().Service(app, scheduler_cls=app.conf.beat_scheduler).get_scheduler()
        scheduler._clock = clock
        run(scheduler, clock, wall, 10)
        before = sent.count("tick")
        wall.shift(timedelta(seconds=step))
        run(scheduler, clock, wall, 10)
    assert 9 <= before <= 10
    assert 9 <= sent.count("tick") - before <= 11


def test_a_scheduler_that_stood_still_sends_each_message_once(sent: list[str]) -> None:
    """After ten minutes in which nothing moved one tick, one probe and one maintenance are due, not six hundred."""
    clock = Clock()
    scheduler = intervals.Intervals(app, clock=clock)
    scheduler.tick()
    clock.now += 600
    scheduler.tick()
    assert sorted(sent) == ["probe", "tick", "upkeep"]
    assert 0 < scheduler.tick() <= 1


def _broker_away(*_: Any, **__: Any) -> None:
    raise SchedulingError("the broker is away")


def test_what_the_broker_does_not_take_is_sent_soon_after_it_is_back(
    sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that could not be sent waits for seconds, not for its next turn five minutes later."""
    clock = Clock()
    scheduler = intervals.Intervals(app, clock=clock)
    scheduler.tick()
    clock.now += 301
    with monkeypatch.context() as patch:
        patch.setattr(intervals.Intervals, "apply_async", _broker_away)
        scheduler.tick()
    assert (sent, scheduler.sent) == ([], 0)
    clock.now += intervals.AGAIN
    scheduler.tick()
    assert sorted(sent) == ["probe", "tick", "upkeep"]
    assert scheduler.sent == 3


def test_no_connection_is_kept_between_two_messages(redis_server: Any) -> None:
    """What is sent goes through the app's pool, whose broken connections are replaced, and not over one of its own."""
    assert settings().redis_is_broker
    clock = Clock()
    scheduler = intervals.Intervals(app, clock=clock)
    scheduler.tick()
    clock.now += 1.5
    scheduler.tick()
    assert scheduler.sent == 1
    assert not {"connection", "producer"} & set(vars(scheduler))
    assert redis_server.client().llen("control") == 1
    redis_server.client().delete("control")
