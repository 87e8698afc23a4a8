"""The time that a step was queued, running and waiting.

It is computed from the step's transitions: each names the status entered and when, and the time to the next transition
belongs to it; the last one of a step that has not ended lasts until now. A step without transitions (another run has
carried it out) spent its time running.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from playbooks.states import Status

#: status → what the time in it is spent on
_SPENT_ON: dict[str, str] = {Status.PENDING: "queued", Status.RUNNING: "run", Status.WAITING: "waited"}


@dataclass(frozen=True, slots=True)
class Spent:
    """Milliseconds of a step: queued, running, and waiting.

    It waits for a time, a retry or a decision.
    """

    queued_ms: int
    run_ms: int
    waited_ms: int


def spent(history: Sequence[tuple[str, int]], *, started_at: int | None, ended_at: int | None, now: int) -> Spent:
    """The time that a step spent queued, running and waiting.

    ``history`` are (status, when it was entered), the oldest first. All times are in milliseconds. ``started_at`` and
    ``ended_at`` are None while the step has not started or ended.
    """
    end = now if ended_at is None else ended_at
    times = dict.fromkeys(_SPENT_ON.values(), 0)
    for number, (status, entered) in enumerate(history):
        left = history[number + 1][1] if number + 1 < len(history) else end
        if status in _SPENT_ON:
            times[_SPENT_ON[status]] += max(0, left - entered)
    if not any(status in _SPENT_ON for status, _ in history) and started_at is not None:
        times["run"] = max(0, end - started_at)
    return Spent(queued_ms=times["queued"], run_ms=times["run"], waited_ms=times["waited"])
