"""What time does: the duties of a round run in order, none keeps the others from running, and idle ones cost little."""

import math
import time
from typing import Any

import pytest
import sqlalchemy as sa

from config.errors import Unavailable
from store import redis as redis_store
from store.engine import db
from tasks.clock import announce, approval_notices, duty
from tasks.clock.deaths import deaths
from tasks.clock.duty import Duty, DutyError, TimeSlice, carry_out
from tasks.clock.reach import Reach
from tasks.entrypoints import maintenance, tick
from tests.support.services import RedisServer


class Diary:
    """Duties that note that they ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def notes(self, name: str, rows: int = 0, fails: type[Exception] | None = None) -> Duty:
        def run(_: TimeSlice) -> int:
            self.ran.append(name)
            if fails is not None:
                raise fails("no more")
            return rows

        return Duty(name, run)


def test_duties_run_in_the_order_of_their_table() -> None:
    """Each runs once; those that had something to do are named with their rows."""
    diary = Diary()
    table = [diary.notes("third"), diary.notes("first", 3), diary.notes("second", 1)]
    assert carry_out(table) == {"first": 3, "second": 1}
    assert diary.ran == ["third", "first", "second"]


def test_a_duty_that_fails_keeps_no_other_from_running(capsys: pytest.CaptureFixture[str]) -> None:
    """Its neighbours run, its name and the reason are logged, it is counted, and the round fails when all have run."""
    diary, before = Diary(), duty.failures["broken"]
    table = [diary.notes("before"), diary.notes("broken", fails=RuntimeError), diary.notes("after")]
    for _ in range(2):
        with pytest.raises(DutyError, match="broken"):
            carry_out(table)
    assert diary.ran == ["before", "broken", "after"] * 2
    assert duty.failures["broken"] == before + 2
    logged = capsys.readouterr().out
    assert "duty=broken" in logged
    assert "RuntimeError: no more" in logged


def test_a_database_that_is_away_ends_the_round() -> None:
    """The duties that follow would wait for it too: they are left to the next round."""
    diary = Diary()
    with pytest.raises(Unavailable):
        carry_out([diary.notes("before"), diary.notes("asks", fails=Unavailable), diary.notes("after")])
    assert diary.ran == ["before", "asks"]


@pytest.mark.parametrize(("fails", "outage"), [(Unavailable, True), (db.Contended, False)])
def test_tick_distinguishes_an_outage_from_a_lock(
    monkeypatch: pytest.MonkeyPatch, fails: type[Exception], *, outage: bool
) -> None:
    """A database that is away is remembered, for leases lapse meanwhile; one that others write to is not."""
    seen = Reach()
    monkeypatch.setattr(tick, "reach", seen)
    monkeypatch.setattr(tick, "DUTIES", [Diary().notes("asks", fails=fails)])
    assert tick.tick() == {}
    seen.reached(seen.clock())
    assert bool(seen.respite_ms()) is outage


def test_a_duty_has_its_own_time_in_a_round() -> None:
    """Its slice begins when it does, however long the duties before it took; without a limit it is never over."""
    ends: dict[str, float] = {}

    def slow(time_slice: TimeSlice) -> int:
        ends["slow"] = time_slice.until
        time.sleep(0.05)
        return int(time_slice.is_over())

    def quick(time_slice: TimeSlice) -> int:
        ends["quick"] = time_slice.until
        return int(time_slice.is_over())

    assert carry_out([Duty("slow", slow, seconds=0.01), Duty("quick", quick, seconds=60)]) == {"slow": 1}
    assert ends["quick"] - ends["slow"] > 59
    assert TimeSlice().until == math.inf


def test_a_round_with_nothing_due_asks_little(
    database: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick makes four statements, maintenance thirteen; each further one would cost as much every time."""
    redis_store.set_mark()
    tick.tick()
    maintenance.maintain()
    monkeypatch.setattr(deaths, "_next", math.inf)  # signs of life are looked at each five seconds only,
    monkeypatch.setattr(announce, "_next", math.inf)  # and so is what no worker has announced
    monkeypatch.setattr(approval_notices, "_next", math.inf)  # and the notices of approvals
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(db.engine(), "after_cursor_execute", note)
    try:
        assert tick.tick() == {}
        assert len(statements) == 4, statements
        assert maintenance.maintain() == {}
        assert len(statements) == 4 + 14, statements
    finally:
        sa.event.remove(db.engine(), "after_cursor_execute", note)
