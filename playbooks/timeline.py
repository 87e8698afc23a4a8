"""How long a step was queued, was carried out and waited, read off the moves it has made.

Each move says which status was entered and when; the time to the next move belongs to it, and of a step that has not
ended the time to now. What belongs to nothing (a step that another run has done before) was spent on the work itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from playbooks.states import Status

#: status → what the time in it is spent on
_SPENT_ON: dict[str, str] = {Status.PENDING: "queued", Status.RUNNING: "run", Status.WAITING: "waited"}


@dataclass(frozen=True, slots=True)
class Spent:
    """Milliseconds of a step's life: in the queue, at work, waiting for a time, a retry or a decision."""

    queued_ms: int
    run_ms: int
    waited_ms: int


def spent(moves: Sequence[tuple[str, int]], *, started_at: int | None, ended_at: int | None, now: int) -> Spent:
    """What the time of a step was spent on; ``moves`` are (status, when it was entered), the oldest first.

    All times are in milliseconds. ``started_at`` and ``ended_at`` are None while the step has not started or ended.
    """
    end = now if ended_at is None else ended_at
    times = dict.fromkeys(_SPENT_ON.values(), 0)
    for number, (status, entered) in enumerate(moves):
        left = moves[number + 1][1] if number + 1 < len(moves) else end
        if status in _SPENT_ON:
            times[_SPENT_ON[status]] += max(0, left - entered)
    if not any(status in _SPENT_ON for status, _ in moves) and started_at is not None:
        times["run"] = max(0, end - started_at)
    return Spent(queued_ms=times["queued"], run_ms=times["run"], waited_ms=times["waited"])
