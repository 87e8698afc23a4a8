"""What time it is: the database's where it has a clock of its own, whatever happens to this machine's."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from store.engine import clock, db
from store.executions import transitions
from tests.support.executions import new_execution

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
_STALE = clock.stale


class Machine:
    """A machine whose wall clock can be set; it has been up for a day."""

    def __init__(self) -> None:
        self.wall, self.up = 1_800_000_000 * SECOND, 86_400 * SECOND

    def goes_on(self, ns: int) -> None:
        """Move both clocks on."""
        self.wall += ns
        self.up += ns

    def time_ns(self) -> int:
        """The wall clock."""
        return self.wall

    def monotonic_ns(self) -> int:
        """The clock that cannot be set."""
        return self.up

    def monotonic(self) -> float:
        """The same in seconds."""
        return self.up / SECOND


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """The machine on which this process seems to run."""
    here = Machine()
    monkeypatch.setattr(clock, "time", here)
    clock.forget()
    yield here
    clock.forget()


def ask(machine: Machine, theirs: int, *, there: int = 0, back: int = 0) -> None:
    """Learn the time from a database whose clock is ahead by ``theirs``; the ways take ``there`` and ``back``."""
    asked = machine.up
    machine.goes_on(there)
    answer = machine.wall + theirs
    machine.goes_on(back)
    clock.learn(asked, answer, machine.up)


@pytest.mark.parametrize("ahead", [-HOUR, -2 * SECOND, 0, 2 * SECOND, HOUR])
def test_two_machines_whose_clocks_differ_agree(machine: Machine, ahead: int) -> None:
    """A machine that is behind or ahead of the database takes the database's time, and says by how much it is off."""
    assert clock.skew_ms() is None
    ask(machine, -ahead, there=SECOND // 50, back=SECOND // 50)
    assert clock.now_ms() == (machine.wall - ahead) // 1_000_000
    assert clock.skew_ms() == ahead // 1_000_000


@pytest.mark.parametrize("step", [-HOUR, -60 * SECOND, 60 * SECOND, HOUR])
def test_a_wall_clock_that_is_set_changes_no_time(machine: Machine, step: int) -> None:
    """Nothing becomes late or early; the process asks the database again and reports the difference."""
    ask(machine, 0)
    before = clock.now_ms()
    assert not _STALE()
    machine.wall += step
    assert clock.now_ms() == before
    assert _STALE()
    assert clock.skew_ms() == step // 1_000_000


def test_a_slow_answer_moves_nothing(machine: Machine) -> None:
    """A question that hung for ten seconds on its way there or back says nothing new, and is not believed to."""
    ask(machine, 0)
    for there, back in ((10, 0), (0, 10), (3, 7)):
        ask(machine, 0, there=there * SECOND, back=back * SECOND)
        assert clock.now_ms() == machine.wall // 1_000_000


def test_what_a_row_causes_comes_after_it(machine: Machine) -> None:
    """A process whose estimate is behind moves up to a moment that another wrote; one far ahead is no estimate."""
    ask(machine, 1_000_000, back=80)
    behind = clock.now_ms()
    clock.at_least(behind + 39)
    assert clock.now_ms() == behind + 39
    clock.at_least(behind)
    clock.at_least(behind + 3_600_000)
    assert clock.now_ms() == behind + 39


def test_a_clock_that_drifts_is_followed(machine: Machine) -> None:
    """What an answer contradicts is corrected, as far as it contradicts it."""
    ask(machine, 0)
    ask(machine, 5 * SECOND, there=SECOND, back=SECOND)
    assert clock.now_ms() == (machine.wall + 4 * SECOND) // 1_000_000
    ask(machine, 5 * SECOND)
    assert clock.now_ms() == (machine.wall + 5 * SECOND) // 1_000_000


def test_the_database_is_asked(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is an hour behind counts as PostgreSQL does from its first use; SQLite has no other clock."""
    hour = 3600 * SECOND
    behind = {name: getattr(time, name) for name in ("monotonic", "monotonic_ns")}
    monkeypatch.setattr(clock, "time", SimpleNamespace(time_ns=lambda: time.time_ns() - hour, **behind))
    monkeypatch.setattr(clock, "stale", _STALE)
    with db.read() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    skew = clock.skew_ms()
    if database == "sqlite":
        assert skew is None
        return
    assert skew is not None
    assert abs(skew + 3_600_000) < 1000
    before, now, after = time.time_ns() // 1_000_000, db.now_ms(), time.time_ns() // 1_000_000
    assert before - 1000 <= now <= after + 1000


def test_an_execution_begins_after_it_was_accepted(database: str) -> None:
    """The process that accepted it may be milliseconds ahead of the one that claims it."""
    ahead = db.now_ms() + 60_000
    values = new_execution(created_at=ahead)
    with db.write() as connection:
        transitions.accept(connection, values, publish_again_at=db.now_ms())
        assert transitions.claim(connection, values["id"], "steps@test", 30_000)
        table = transitions.executions
        row = connection.execute(sa.select(table.c.status, table.c.created_at, table.c.started_at)).one()
    assert tuple(row) == ("running", ahead, ahead)
