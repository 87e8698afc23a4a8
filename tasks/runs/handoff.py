"""Hand a run over: to its chain, new messages, this worker.

A message of a chain carries the links that follow it. The worker lets Celery publish the next link only if it is the
step that really comes next; a link whose step the worker carries out itself is removed; if the run went another way,
the chain is cut and a new one published.
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

#: a worker goes on in place for this many times the time that its calls may take
IN_ALL = 4


class Handoff:
    """The message of a worker, and the links of its chain."""

    def __init__(self, task: Task) -> None:
        self.task = task
        #: the step that the message names; the worker carries out others in place
        self.own = str(task.request.id)
        #: the time left for calls made in place: long compared with a message, short for those that wait
        self._left = settings().in_place_ms / 1000
        #: the latest end; later than the calls may take, because on a busy processor more messages slow everything down
        self._until = time.monotonic() + IN_ALL * self._left

    def called(self, seconds: float) -> None:
        """Note how long a call has taken."""
        self._left -= seconds

    def may_go_on(self) -> bool:
        """Whether this worker may carry out one more step in place."""
        return self._left > 0 and time.monotonic() < self._until

    def end_in_place(self) -> None:
        """Carry out nothing more in place."""
        self._until = 0.0

    def joins_here(self, waiting: list[str]) -> bool:
        """Whether this worker handles the one container that needs it.

        In a chord its body handles it.
        """
        return len(waiting) == 1 and not self._in_chord() and self.may_go_on()

    def publish(self, planner: Planner, here: str | None, waiting: list[str]) -> None:
        """Publish what begins now, except ``here`` and the chain's next link.

        ``waiting`` are the containers to handle.
        """
        starts = {first: where for first, where in planner.starts.items() if first != here}
        rows = {row["id"]: row["queue"] for row in planner.moves.rows}
        queues = {first: _queue_for(planner.run, rows[first]) for first in starts}
        expected = here
        if expected is None and len(starts) == 1 and self._may_follow(queues, rows):
            expected, starts = self._next(), {}
        self.leave(expected, taken=here is not None)
        messages = [*planner.follows]
        if not self._in_chord():
            messages += [join_message(container) for container in waiting]
        others = [replace(message, queue=_queue_for(planner.run, message.queue)) for message in messages]
        publisher.publish([*_fan_out(planner, starts, queues), *others])

    def _may_follow(self, queues: dict[str, str], rows: dict[str, str]) -> bool:
        """Whether the chain's next link is what begins, within its allowance."""
        following = self._next()
        return following in queues and (self._in_chord() or queues[following] == rows[following])

    def leave(self, expected: str | None, *, taken: bool = False) -> None:
        """Let Celery publish the next link only if ``expected`` and not ``taken``.

        Celery publishes every link of a chord, because the chord counts them; a needless one finds nothing to do.
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


def _queue_for(run: Run, queue: str) -> str:
    """The fair queue for one more message of the run."""
    return fair_queue.of_run(queue, run.workspace_id, run.root)


def _fan_out(planner: Planner, starts: dict[str, tuple[str, str]], queues: dict[str, str]) -> list[Canvas]:
    """A chain for each start.

    A parallel step becomes a chord if every branch is straight.
    """
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
    """A chord of chains.

    If one begins on ``bulk``, all do, so that they share messages.
    """
    if any(branch.messages[0].queue == queue_order.BULK for branch in branches):
        branches = [
            _on(queue_order.BULK, branch) if branch.messages[0].queue in queue_order.OPEN else branch
            for branch in branches
        ]
    return Chord(tuple(branch.messages for branch in branches), replace(join, queue=_queue_for(run, join.queue)))


def _on(queue: str, chain: Chain) -> Chain:
    """A chain whose first message goes to this queue."""
    return Chain((replace(chain.messages[0], queue=queue), *chain.messages[1:]))
