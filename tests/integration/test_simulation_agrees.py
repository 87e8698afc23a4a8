"""Simulations say what really happens: of the rules in force, and of others that are then put in force."""

import contextlib
import functools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
import yaml

from store.engine import db
from tests.support import dispatching, simulating

BEGIN = 1_790_000_000_000

Put = Callable[[list[dict[str, Any]]], None]


def loaded(monkeypatch: pytest.MonkeyPatch, folder: Path, rules: list[dict[str, Any]]) -> None:
    """Put rules in force, in place of those before."""
    texts = {"providers": simulating.PROVIDERS, "state_machines": simulating.MACHINES, "chains": simulating.CHAINS}
    dispatching.put_in_force(monkeypatch, folder, **texts, rules=yaml.safe_dump({"rules": rules}))


@pytest.fixture
def put(sqlite_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Put]:
    """Puts rules in force, in place of those before."""
    yield functools.partial(loaded, monkeypatch, tmp_path)
    dispatching.forget()


Given = list[tuple[int, dict[str, Any]]]


def really(clock: time_machine.Traveller, tenant: str, given: Given) -> dict[str, str]:
    """Send each at its moment; what became of it by its id."""
    caller, found = simulating.workspace(tenant), {}
    for at, one in given:
        clock.move_to(at / 1000)
        found[one["id"]] = simulating.sent(caller, one)
    return found


def disagreements(put: Put, changes: int, number: int, seed: int) -> list[Any]:
    """Simulate changed rules, then put them in force and really send the same at the same moments: what differs."""
    differ: list[Any] = []
    rng = random.Random(seed)
    given = simulating.arrivals(rng, number, BEGIN)
    with time_machine.travel(BEGIN / 1000, tick=False) as clock:
        put(simulating.BASE)
        was, end = really(clock, "t-base", given), given[-1][0] + 1
        clock.move_to(end / 1000)
        found, same = simulating.simulated("t-base", BEGIN, end)
        assert same == was
        assert not found.tally.changed
        for change in range(changes):
            clock.move_to(BEGIN / 1000)
            put(simulating.BASE)
            rules = simulating.changed(rng, simulating.BASE)
            found, foretold = simulating.simulated("t-base", BEGIN, end, rules=rules)
            assert foretold.keys() == was.keys(), found.tally.undecided
            put(rules)
            real = really(clock, f"t-{change}", given)
            unlike = {name: (foretold[name], word) for name, word in real.items() if foretold[name] != word}
            differ += [(change, rules, unlike)] if unlike else []
    return differ


def test_changed_rules_decide_as_simulated(put: Put) -> None:
    """What a simulation foretells of other rules is what they do to the same dispatches at the same moments."""
    assert disagreements(put, 2, 20, seed=7) == []


@pytest.mark.gate
@pytest.mark.parametrize("seed", range(8))
def test_two_hundred_changes_decide_as_simulated(put: Put, seed: int) -> None:
    """Random rules of all kinds, over random dispatches: they agree in each."""
    assert disagreements(put, 25, 25, seed) == []


@pytest.mark.gate
@pytest.mark.parametrize("seed", range(20))
def test_the_rules_in_force_agree_from_any_moment_on(put: Put, seed: int) -> None:
    """What rules of any kind remembered before the period is found from the records, or named as not known."""
    rng = random.Random(seed)
    given = simulating.arrivals(rng, 60, BEGIN)
    with time_machine.travel(BEGIN / 1000, tick=False) as clock:
        rules = [*simulating.BASE[1:], *simulating.changed(rng, simulating.BASE)]
        named = {rule["name"]: rule for rule in rules if rule["action"]["type"] not in ("modify", "schedule")}
        put(list(named.values()))
        was, end = really(clock, "t-base", given), given[-1][0] + 1
        clock.move_to(end / 1000)
        for middle in (0, 10, 20, 30, 40):
            since = given[middle][0]
            found, same = simulating.simulated("t-base", since, end)
            unlike = {name: (was[name], word) for name, word in same.items() if was[name] != word}
            assert unlike == {}, (seed, middle, named, found.tally.undecided)


@pytest.mark.gate
def test_ten_thousand_are_decided_as_they_were(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the 50 rules in force: from the beginning of all, and from the middle, where what was before is not known.

    The clock of PostgreSQL cannot be stopped: there, what was decided within milliseconds of a window's end may fall on
    its other side.
    """
    rules = [*simulating.BASE, *simulating.others(46)]
    loaded(monkeypatch, tmp_path, rules)
    caller, rng = simulating.workspace("t-many"), random.Random(7)
    was, most = dict[str, str](), 100
    with contextlib.ExitStack() as held:
        clock = None
        if db.is_sqlite():
            clock, most = held.enter_context(time_machine.travel(BEGIN / 1000, tick=False)), 0
        begin = db.now_ms()
        for first in range(0, 10_000, 500):
            was |= simulating.batch(caller, [simulating.arrival(rng, first + place) for place in range(500)])
            if clock is not None:
                clock.shift(1.5)
        end = db.now_ms() + 1
        found, same = simulating.simulated("t-many", begin, end)
        assert (len(same), found.tally.undecided) == (10_000, {})
        assert found.tally.changed <= most
        assert sum(same[name] != word for name, word in was.items()) <= most
        later, _ = simulating.simulated("t-many", end - (end - begin) // 2, end)
        assert later.has_past
        assert later.records > 1_000
        assert later.tally.changed <= most
        assert later.tally.undecided == {}
    dispatching.forget()
