"""Handing a run on: by the next link of Celery's chain, by new messages, or not at all because it goes on here.

A message of a chain carries the links that follow it. The worker lets Celery publish the next one only where it stands
for what really comes next; a link whose step it carries out itself is taken off; where the run went another way the
chain is cut and a new one published.
"""

import time
from typing import Any

from celery import Task

from tasks import canvas, doorbell
from tasks.advance import Advance, join_ring
from tasks.canvas import Canvas, Chord

#: for how long a worker goes on in place, seconds: long against what a message costs, short against what others wait
IN_PLACE = 0.25


class Links:
    """The message in hand, and the links it carries."""

    def __init__(self, task: Task) -> None:
        self.task = task
        #: the step this message itself is for; others are carried out in place
        self.own = str(task.request.id)
        self._until = time.monotonic() + IN_PLACE

    def may_go_on(self) -> bool:
        """Whether this worker may take up one more thing."""
        return time.monotonic() < self._until

    def go_no_further(self) -> None:
        """Have this worker take up nothing more."""
        self._until = 0.0

    def joins_here(self, waiting: list[str]) -> bool:
        """Whether the one holder that needs attention is attended to here; in a chord its body does it."""
        return len(waiting) == 1 and not self._in_chord() and self.may_go_on()

    def hand_on(self, advance: Advance, here: str | None, waiting: list[str]) -> None:
        """Publish all that begins now, but for the step ``here`` and what comes by the chain anyway.

        ``waiting`` are the holders that need attention.
        """
        starts = {first: where for first, where in advance.starts.items() if first != here}
        expected = here
        if expected is None and len(starts) == 1 and self._next() in starts:
            expected, starts = self._next(), {}
        self.leave(expected, taken=here is not None)
        canvases = _fan_out(advance, starts)
        if not self._in_chord():
            canvases += [join_ring(holder) for holder in waiting]
        self.publish(canvases)

    @staticmethod
    def publish(canvases: list[Canvas], *, countdown: float | None = None) -> None:
        """Publish; what the broker does not take is left to tick."""
        missed = canvas.publish(canvases, countdown=countdown)
        if missed:
            doorbell.put_off(missed)

    def leave(self, expected: str | None, *, taken: bool = False) -> None:
        """Let Celery publish the next link only where it is the step that comes next and is not ``taken`` here.

        The links of a chord all go their way, because the chord counts them; one too many finds nothing to do.
        """
        request = self.task.request
        if not request.chain:
            return
        if self._next() != expected:
            if not self._in_chord():
                request.chain = None
        elif taken and not request.chain[-1]["options"].get("chord"):
            request.chain = request.chain[:-1]

    def _in_chord(self) -> bool:
        chain = self.task.request.chain
        return bool(self.task.request.chord or (chain and chain[0]["options"].get("chord")))

    def _next(self) -> str | None:
        chain: list[dict[str, Any]] | None = self.task.request.chain
        return chain[-1]["options"]["task_id"] if chain else None


def _fan_out(advance: Advance, starts: dict[str, tuple[str, str]]) -> list[Canvas]:
    """A chain for each start; those of one parallel step as a chord, where every branch is straight."""
    plan, left = advance.run.plan, {first: advance.chain(*where) for first, where in starts.items()}
    canvases: list[Canvas] = [*advance.chains]
    for row in advance.moves.rows:
        if row["type"] != "parallel" or not all(plan.straight(block) for block in plan.branches(row["step_id"])):
            continue
        firsts = [other["id"] for other in advance.moves.rows if other["parent_id"] == row["id"]]
        arms = [left.pop(first) for first in firsts if first in left]
        if len(arms) == row["open"] and len(arms) > 1:
            canvases.append(Chord(tuple(arm.rings for arm in arms), join_ring(row["id"])))
        else:
            canvases += arms
    return [*canvases, *left.values()]
