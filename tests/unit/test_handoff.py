"""How long a worker goes on with a run in place: its calls count, and so does the time in all."""

from types import SimpleNamespace
from typing import Any

import pytest

from config.settings import settings
from tasks.runs import handoff
from tasks.runs.handoff import IN_ALL, Handoff


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that the test sets."""
    here = SimpleNamespace(now=100.0)
    monkeypatch.setattr(handoff, "time", SimpleNamespace(monotonic=lambda: here.now))
    return here


def message() -> Handoff:
    task: Any = SimpleNamespace(request=SimpleNamespace(id="pexec-1.a", chain=None, chord=None))
    return Handoff(task)


def test_calls_use_up_the_time(clock: SimpleNamespace) -> None:
    """A worker goes on until its calls have taken as long as they may in all."""
    mine, allowed = message(), settings().in_place_ms / 1000
    mine.called(allowed / 2)
    assert mine.may_go_on()
    mine.called(allowed / 2)
    assert not mine.may_go_on()


def test_waiting_for_the_processor_counts_less(clock: SimpleNamespace) -> None:
    """On a busy machine quick calls go on in place for several times as long, but not for ever."""
    mine, allowed = message(), settings().in_place_ms / 1000
    clock.now += allowed * (IN_ALL - 1)
    assert mine.may_go_on()
    clock.now += allowed
    assert not mine.may_go_on()


def test_it_can_be_switched_off(clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing allowed every step has a message of its own."""
    monkeypatch.setattr(handoff, "settings", lambda: SimpleNamespace(in_place_ms=0))
    assert not message().may_go_on()
