"""Clocks change while the product works, and machines' clocks differ."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clocks import Machine, library
from tests.support.databases import own_database
from tests.support.playbooks import Kit, approval, delay
from tests.support.processes import Process
from tests.support.services import Missing, missing
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.wide

#: where the clock is set to, one after the other, seconds after the true time: back and forth by a minute and an hour
SETTINGS = (-60, 0, 60, 0, -3600, 0, 3600, 0)
#: a delay of 4 s is over after this on a busy machine, and before a minute, by which the clock was set back, is over
IN_TIME = 45


@pytest.fixture
def preloaded(tmp_path: Path) -> Path:
    """What sets clocks."""
    try:
        return library(tmp_path)
    except Missing as reason:
        missing(reason)


@pytest.fixture
def here(tmp_path: Path, preloaded: Path) -> Machine:
    """The machine on which the product runs."""
    return Machine(tmp_path, preloaded)


@pytest.fixture(params=["sqlite", "postgresql"])
def stack(request: pytest.FixtureRequest, here: Machine) -> Iterator[Stack]:
    """The product on that machine; the database server has the true time."""
    with own_database(request, request.param, "clocks") as url, Stack(url, **here.settings) as product:
        yield product


class Calls:
    """Actions that take a moment, some of which must not be repeated."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        url = f"{stack.sink.url}/slow?seconds="
        self._repeatable = stack.api.create_action(config={"url": f"{url}0.5"})
        self._once = stack.api.create_action(config={"url": f"{url}1"}, idempotent=False)
        self.once: list[str] = []
        self.repeatable: list[str] = []

    def begin(self, number: int) -> None:
        """Trigger ``number`` of each."""
        for _ in range(number):
            self.repeatable.append(self._stack.api.trigger(self._repeatable))
            self.once.append(self._stack.api.trigger(self._once))

    def check(self, *, undisturbed: bool) -> None:
        """Check every end and the number of calls; ``undisturbed``: one call each."""
        rows = self._stack.wait_ended([*self.once, *self.repeatable], 2 * IN_TIME)
        arrived = self._stack.sink.keys()
        for execution in self.once:
            assert arrived[execution] <= 1
            known = rows[execution]["status"] == "completed" or '"outcome_unknown":true' in rows[execution]["error"]
            assert known, rows[execution]
        assert all(rows[execution]["status"] == "completed" for execution in self.repeatable)
        if undisturbed:
            assert all(rows[execution]["status"] == "completed" for execution in self.once)
            assert all(arrived[execution] == 1 for execution in [*self.once, *self.repeatable])


def test_the_clock_is_set_while_calls_are_under_way(stack: Stack, here: Machine) -> None:
    """A clock set by minutes or an hour loses and repeats nothing.

    Where the database has a clock of its own, all calls are undisturbed.
    """
    kit, calls = Kit(stack), Calls(stack)
    rests = kit.playbook(kit.act("first"), delay("rest", 4), kit.act("last"))
    for seconds in SETTINGS:
        calls.begin(3)
        here.set(seconds)
        run_id = stack.api.run(rests)
        assert stack.wait_ended([run_id], IN_TIME)[run_id]["status"] == "completed"
        assert kit.called(run_id) == ["first", "last"]
    calls.check(undisturbed="sqlite" not in stack.database_url)


@pytest.fixture
def other(tmp_path: Path, preloaded: Path) -> Machine:
    """Another machine."""
    return Machine(tmp_path, preloaded, "other")


@pytest.mark.parametrize("stack", ["postgresql"], indirect=True)
@pytest.mark.parametrize("ahead", [-2.5, 2.5, -3600, 3600])
def test_two_machines_whose_clocks_differ(
    stack: Stack, here: Machine, other: Machine, tmp_path: Path, ahead: float
) -> None:
    """Machines with different clocks make each call once; /health reports the skew.

    The other machine is then killed with calls in hand: they go on here, and none that must not be repeated is.
    """
    other.set(ahead)
    command = ["python", "-m", "worker.supervisor", "steps", "slow", "scripts", "control"]
    supervisor = Process(command, tmp_path / "other.log", env=stack.environment | other.settings)
    try:
        skews = eventually(lambda: _skews(stack, "steps@other", "control@other"), 60, "the other machine works")
        assert all(abs(skew / 1000 - ahead) < 1 for skew in skews), skews
        assert all(abs(skew) < 1000 for skew in _skews(stack, f"steps@{here.name}"))
        assert "clock of this machine differs from the database" in supervisor.log.read_text()
        kit, calls = Kit(stack), Calls(stack)
        asks = stack.api.run(kit.playbook(approval(timeout_seconds=600)))
        rests = kit.playbook(kit.act("first"), delay("rest", 4), kit.act("last"))
        runs = [stack.api.run(rests) for _ in range(6)]
        for _ in range(5):
            calls.begin(4)
            time.sleep(1)
        ended = stack.wait_ended(runs, IN_TIME)
        assert {row["status"] for row in ended.values()} == {"completed"}
        calls.check(undisturbed=True)
        for first, last in map(kit.calls, runs):
            assert last.at - first.at >= 3.9
        assert stack.row(asks)["status"] in ("running", "waiting")
        calls.begin(10)
        eventually(lambda: _held(stack, "other"), 20, "the other machine has calls in hand")
        supervisor.kill()
        calls.check(undisturbed=False)
    finally:
        supervisor.end()


def _skews(stack: Stack, *names: str) -> list[int]:
    """How far the workers' clocks are ahead, ms, once all have reported."""
    known = {worker["name"]: worker["clock_skew_ms"] for worker in stack.api.health().json()["workers"]}
    return [known[name] for name in names] if set(names) <= set(known) else []


def _held(stack: Stack, machine: str) -> int:
    query = "SELECT COUNT(*) AS held FROM executions WHERE status = 'running' AND owner LIKE :owner"
    return stack.rows(query, owner=f"{machine}:%")[0]["held"]
