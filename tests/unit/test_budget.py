"""How many steps a run may come to: counted seldom, and never for small runs."""

from types import SimpleNamespace
from typing import Any

import pytest

from tasks.runs.budget import FEW, MOST_KNOWN, MOST_ROWS, Budget


def run(root: str = "pexec-1", *, grows: bool = True, parent_id: str | None = None) -> Any:
    """As much of a run as is looked at."""
    return SimpleNamespace(root=root, plan=SimpleNamespace(grows=grows), parent_id=parent_id)


class Rows:
    """The rows of a run, as the database counts them; each look is counted too."""

    def __init__(self, others: int = 0) -> None:
        self.number = 0
        self.looks = 0
        self._others = others

    def count(self, _root: str) -> int:
        self.looks += 1
        return self.number * (1 + self._others)


def steps_until_exceeded(budget: Budget, rows: Rows) -> int:
    """How many steps a run comes to, one after the other."""
    while not budget.exceeded(run(), 1):
        rows.number += 1
        assert rows.number < 2 * MOST_ROWS
    return rows.number


def test_a_run_comes_to_about_as_many_steps_as_it_may() -> None:
    """It is stopped soon after it has too many, and was counted seldom until then."""
    rows = Rows()
    assert MOST_ROWS <= steps_until_exceeded(Budget(rows.count), rows) <= MOST_ROWS + FEW
    assert rows.looks < MOST_ROWS / 150


def test_what_others_add_is_found_too() -> None:
    """With eight processes at work on it a run comes to little more than with one."""
    rows = Rows(others=7)
    in_all = steps_until_exceeded(Budget(rows.count), rows) * 8
    assert MOST_ROWS <= in_all <= MOST_ROWS + 8 * FEW


def test_small_runs_are_never_counted() -> None:
    """Nor is a run that cannot have more steps than its playbook."""
    rows = Rows()
    budget = Budget(rows.count)
    assert not any(budget.exceeded(run(), 1) for _ in range(FEW - 1))
    assert not any(budget.exceeded(run("pexec-2", grows=False), 1) for _ in range(10 * FEW))
    assert rows.looks == 0
    assert not any(budget.exceeded(run("pexec-3", grows=False, parent_id="pexec-1.c"), 1) for _ in range(FEW))
    assert rows.looks == 1


def test_a_run_that_has_too_many_stays_so() -> None:
    """Every message of it that comes later finds the same."""
    rows = Rows()
    budget = Budget(rows.count)
    steps_until_exceeded(budget, rows)
    assert budget.exceeded(run(), 1)


@pytest.mark.parametrize("adding", [0, 1])
def test_the_runs_remembered_are_bounded(adding: int) -> None:
    """Of very many runs the one that rested longest is forgotten."""
    budget = Budget(Rows().count)
    for number in range(MOST_KNOWN + 10):
        assert not budget.exceeded(run(f"pexec-{number}"), adding)
    assert len(budget._left) == (MOST_KNOWN if adding else 0)
