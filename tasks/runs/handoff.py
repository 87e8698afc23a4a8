"""Handing a run on: by the next link of Celery's chain, by new messages, or not at all because it goes on here.

A message of a chain carries the links that follow it. The worker lets Celery publish the next one only where it stands
for what really comes next; a link whose step it carries out itself is taken off; where the run went another way the
chain is cut and a new one published.
"""

import time
from dataclasses import replace
from typing import Any

from celery import Task

from config.settings import settings
from tasks import queue_order
from tasks.fairness import fair_queue
from tasks.messages import publisher
from tasks.messages.model import Canvas, Chain, Chord, TaskMessage
from tasks.messages.run_messages import join_message
from tasks.runs.planner import Planner
from tasks.runs.run import Run

#: how many times as long as its calls going on in place may take
IN_ALL = 4


class Handoff:
    """The message in hand, and the links it carries."""

    def __init__(self, task: Task) -> None:
        self.task = task
        #: the step this message itself is for; others are carried out in place
        self.own = str(task.request.id)
        #: how long the calls made here may take: long against what a message costs, and short against what others wait
        self._left = settings().in_place_ms / 1000
        #: where the processor is what everybody waits for, more messages would only make all wait longer
        self._until = time.monotonic() + IN_ALL * self._left

    def called(self, seconds: float) -> None:
        """A call has been made here that took so long."""
        self._left -= seconds

    def may_go_on(self) -> bool:
        """Whether this worker may take up one more thing."""
        return self._left > 0 and time.monotonic() < self._until

    def go_no_further(self) -> None:
        """Have this worker take up nothing more."""
        self._until = 0.0

    def joins_here(self, waiting: list[str]) -> bool:
        """Whether the one holder that needs attention is attended to here; in a chord its body does it."""
        return len(waiting) == 1 and not self._in_chord() and self.may_go_on()

    def hand_on(self, planner: Planner, here: str | None, waiting: list[str]) -> None:
        """Publish all that begins now, but for the step ``here`` and what comes by the chain anyway.

        ``waiting`` are the holders that need attention.
        """
        starts = {first: where for first, where in planner.starts.items() if first != here}
        rows = {row["id"]: row["queue"] for row in planner.moves.rows}
        queues = {first: _measured(planner.run, rows[first]) for first in starts}
        expected = here
        if expected is None and len(starts) == 1 and self._may_follow(queues, rows):
            expected, starts = self._next(), {}
        self.leave(expected, taken=here is not None)
        messages = [*planner.follows]
        if not self._in_chord():
            messages += [join_message(holder) for holder in waiting]
        measured = [replace(message, queue=_measured(planner.run, message.queue)) for message in messages]
        publisher.publish([*_fan_out(planner, starts, queues), *measured])

    def _may_follow(self, queues: dict[str, str], rows: dict[str, str]) -> bool:
        """Whether the next link of the chain stands for what begins, and is not too much for its queue."""
        following = self._next()
        return following in queues and (self._in_chord() or queues[following] == rows[following])

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


def _measured(run: Run, queue: str) -> str:
    """The queue for one more message of the run that would go to ``queue``."""
    return fair_queue.of_run(queue, run.workspace_id, run.root)


def _fan_out(planner: Planner, starts: dict[str, tuple[str, str]], queues: dict[str, str]) -> list[Canvas]:
    """A chain for each start; those of one parallel step as a chord, where every branch is straight."""
    left = {first: _on(queues[first], planner.chain(*where)) for first, where in starts.items()}
    plan = planner.run.plan
    canvases: list[Canvas] = [*planner.chains]
    for row in planner.moves.rows:
        if row["type"] != "parallel" or not all(plan.straight(block) for block in plan.branches(str(row["step_id"]))):
            continue
        firsts = [other["id"] for other in planner.moves.rows if other["parent_id"] == row["id"]]
        branches = [left.pop(first) for first in firsts if first in left]
        if len(branches) == row["open"] and len(branches) > 1:
            canvases.append(_chord(planner.run, branches, join_message(row["id"])))
        else:
            canvases += branches
    return [*canvases, *left.values()]


def _chord(run: Run, branches: list[Chain], join: TaskMessage) -> Chord:
    """Chains side by side; where one of them is too much for its queue, all are, so that they share messages."""
    if any(branch.messages[0].queue == queue_order.BULK for branch in branches):
        branches = [
            _on(queue_order.BULK, branch) if branch.messages[0].queue in queue_order.OPEN else branch
            for branch in branches
        ]
    return Chord(tuple(branch.messages for branch in branches), replace(join, queue=_measured(run, join.queue)))


def _on(queue: str, chain: Chain) -> Chain:
    """A chain whose first message goes to this queue."""
    return Chain((replace(chain.messages[0], queue=queue), *chain.messages[1:]))
