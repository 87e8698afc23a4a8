"""Requests take turns by their caller."""

import gevent
import pytest

from config.server import turns
from config.server.turns import Turns


def test_callers_are_called_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that comes after one with many requests is served second, however many those are."""
    monkeypatch.setattr(turns, "BUSY", -1)
    every, served = Turns(), []

    def ask(who: str) -> None:
        every.take(who)
        served.append(who)

    asked = [gevent.spawn(ask, who) for who in ("many",) * 50 + ("one", "other", "one")]
    gevent.sleep(0)
    assert (len(every), every.of("many"), every.of("one")) == (53 - len(served), 50 - served.count("many"), 2)
    gevent.joinall(asked, raise_error=True)
    assert sorted(served[:5]) == ["many", "many", "one", "one", "other"]
    assert served[5:] == ["many"] * 48
    assert len(every) == every.of("many") == 0


def test_a_process_that_is_not_busy_calls_at_once() -> None:
    """No request waits."""
    every = Turns()
    gevent.sleep(0.001)  # it has just looked at the network
    every.take("somebody")
    assert len(every) == 0
