"""What the time of a step was spent on."""

import pytest

from playbooks.timeline import Spent, spent

MOVES = [("pending", 0), ("running", 10), ("waiting", 110), ("running", 610), ("completed", 700)]


def test_each_move_begins_what_the_time_up_to_the_next_is_spent_on() -> None:
    """Queued, tried, waiting for the retry, tried again."""
    assert spent(MOVES, started_at=10, ended_at=700, now=9_999) == Spent(queued_ms=10, run_ms=190, waited_ms=500)


@pytest.mark.parametrize(
    ("number", "expected"), [(1, Spent(1_000, 0, 0)), (2, Spent(10, 990, 0)), (3, Spent(10, 100, 890))]
)
def test_what_goes_on_is_counted_up_to_now(number: int, expected: Spent) -> None:
    """A step that has not ended has spent its time so far."""
    assert spent(MOVES[:number], started_at=None, ended_at=None, now=1_000) == expected


def test_a_step_that_was_taken_over_was_carried_out_elsewhere() -> None:
    """Without moves of its own the time between start and end is work."""
    assert spent([("completed", 50)], started_at=100, ended_at=350, now=9_999) == Spent(0, 250, 0)
    assert spent([("skipped", 50)], started_at=None, ended_at=50, now=9_999) == Spent(0, 0, 0)
