"""Enter a step: one function for each type of step, in ``ENTRIES``.

A function adds the step's row to the planner's moves, and returns the next link if the step is a decision, or None if
it takes time; then what follows is planned at its end. What the function raises fails the step.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.settings import settings
from config.types import Json
from expressions import templates
from expressions.conditions.evaluation import evaluate, holds
from playbooks.plan import Node
from playbooks.states import Status, WaitingFor
from store.engine import db
from store.executions import rows
from store.executions.rows import NewRow
from store.executions.steps import ATTENTION
from tasks.definitions import revisions
from tasks.intake import run_start
from tasks.messages.routing import queue_of
from tasks.messages.run_messages import row_id, timeout_ms
from tasks.runs import deciders, gated
from tasks.runs.budget import refuse_too_many_runs
from tasks.runs.context import asset, joined
from tasks.runs.errors import StepError, no_list
from tasks.runs.run import Run

if TYPE_CHECKING:
    from tasks.runs.planner import Planner

#: the most items of a for_each
MOST_ITEMS = 1_000

_SECOND = 1000


@dataclass(frozen=True)
class Place:
    """A place in a run: block, container's row, iterations around."""

    block: str
    parent_id: str | None
    iteration: tuple[int, ...]


def new_step(run: Run, node: Node, place: Place, previous: str | None, columns: NewRow) -> NewRow:
    """The row of a new step.

    ``previous`` is the row that led to it.
    """
    iteration = joined(place.iteration)
    return rows.step(
        {
            "id": row_id(run.id, node.id, iteration),
            "workspace_id": run.workspace_id,
            "mode": run.mode,
            "target": run.target,
            "created_by": run.created_by,
            "request_id": run.request_id,
            "run_id": run.id,
            "parent_id": place.parent_id,
            "step_id": node.id,
            "iteration": iteration,
            "type": node.type,
            "previous_id": previous,
            **columns,
        }
    )


@dataclass(frozen=True)
class Entry:
    """A step that the planner enters."""

    planner: "Planner"
    node: Node
    place: Place
    #: the row that led here
    previous: str | None
    #: the values that its templates and conditions read
    context: Json

    @property
    def step(self) -> Mapping[str, Any]:
        """The definition of the step."""
        return self.node.step

    @property
    def run(self) -> Run:
        """The run of the step."""
        return self.planner.run

    def add(self, columns: NewRow) -> NewRow:
        """Add the row of the step."""
        row = new_step(self.run, self.node, self.place, self.previous, columns)
        self.planner.moves.rows.append(row)
        return row

    def end(self, status: Status, **result: Any) -> None:
        """Add the row of an ended step.

        Later steps read its ``result``: an output, an error.
        """
        now = db.now_ms()
        started = None if status == Status.SKIPPED else now
        ended: NewRow = {"status": status, "created_at": now, "started_at": started, "completed_at": now}
        texts: Any = {name: json.dumps(value) for name, value in result.items()}
        ended.update(texts)
        self.add(ended)
        self.planner.learn(self.node, self.place, status, **result)

    def decide(self, following: str | None, output: Json) -> str | None:
        """End the step with a decision."""
        self.end(Status.COMPLETED, output=self.planner.redact({**output, "next": following}))
        return following

    def wait(self, waiting_for: WaitingFor, due_at: int, output: str | None = None) -> NewRow:
        """Add the row of a step that waits until ``due_at``, ms."""
        now = db.now_ms()
        began: NewRow = {"status": Status.WAITING, "created_at": now, "started_at": now}
        return self.add({**began, "waiting_for": waiting_for, "due_at": due_at, "output": output})

    def open(self, count: int, columns: NewRow | None = None) -> NewRow:
        """Add the row of a container with ``count`` open branches.

        Without any it is due at once.
        """
        now, seconds = db.now_ms(), self.step.get("timeout_seconds")
        expires_at = now + int(seconds * _SECOND) if seconds else None
        due_at = (expires_at or self.run.deadline) if count else now + ATTENTION
        began: NewRow = {"status": Status.RUNNING, "created_at": now, "started_at": now}
        held: NewRow = {"expires_at": expires_at, "due_at": due_at, "open": count, "cursor": count}
        return self.add({**began, **held, **(columns or {})})


def _action(this: Entry) -> None:
    revision_id = this.run.context["pins"][this.step["action_ref"]]
    definition = revisions.action(revision_id).definition
    delay, now = int(this.step.get("delay_seconds", 0) * _SECOND), db.now_ms()
    row = this.add(
        {
            "status": Status.WAITING if delay else Status.PENDING,
            "waiting_for": WaitingFor.DELAY if delay else None,
            "created_at": now,
            "due_at": now + (delay or settings().lease_seconds * _SECOND),
            "publishes": 1,
            "action_id": this.step["action_ref"],
            "revision_id": revision_id,
            "queue": queue_of(definition),
            "idempotent": definition["idempotent"],
            "timeout_ms": timeout_ms(this.step, definition),
        }
    )
    if not delay:
        this.planner.starts[row["id"]] = this.node.id, joined(this.place.iteration)


def _condition(this: Entry) -> str | None:
    result = holds(this.step["expression"], this.context)
    following = this.node.on_true if result else this.node.on_false
    return this.decide(following, {"result": result})


def _switch(this: Entry) -> str | None:
    value = evaluate(this.step["expression"], this.context)
    following = this.node.cases.get(templates.as_text(value), this.node.default)
    return this.decide(following, {"value": value})


def _delay(this: Entry) -> None:
    this.wait(WaitingFor.DELAY, db.now_ms() + int(this.step["seconds"] * _SECOND))


def _approval(this: Entry) -> None:
    message = templates.render(this.step.get("message", ""), this.context)
    output = this.planner.redact(deciders.question(this.step, message))
    seconds, deadline = this.step.get("timeout_seconds"), this.run.deadline
    due_at = min(deadline, db.now_ms() + int(seconds * _SECOND)) if seconds else deadline
    row = this.wait(WaitingFor.APPROVAL, due_at, json.dumps(output))
    this.planner.ask(gated.of_step(dict(row), this.step, output, later=this.planner.has_told_enough))


def _parallel(this: Entry) -> None:
    branches = this.run.plan.branches(this.node.id)
    row = this.open(len(branches))
    for block in branches:
        this.planner.enter(block.first, Place(block.id, row["id"], this.place.iteration), row["id"])


def _loop(this: Entry) -> None:
    this.open(0)


def _for_each(this: Entry) -> None:
    items = this.planner.redact(templates.render(this.step["items"], this.context))
    if not isinstance(items, list):
        raise no_list(items)
    if len(items) > MOST_ITEMS:
        raise StepError("bad_items", f"items has {len(items)} entries; at most {MOST_ITEMS} can be gone through.")
    row = this.open(0, {"input": json.dumps({"items": items})})
    this.planner.context.learn_items(row["id"], items)


def _playbook(this: Entry) -> None:
    step, run, redact = this.step, this.run, this.planner.redact
    given = templates.render(step.get("parameters", {}), this.context)
    request = run_start.RunRequest(
        workspace_id=run.workspace_id,
        actor=run.created_by,
        playbook_id=step["playbook_ref"],
        parameters=given,
        secrets=run.secrets,
        secret_names=frozenset(name for name, value in given.items() if redact(value) != value),
        target=asset(step["target"], this.context, redact) if step.get("target") else run.target,
        mode=run.mode,
        request_id=run.request_id,
        trigger="playbook",
        event=run.context["event"],
        led_by=run.led_by,
        parent_id=row_id(run.id, this.node.id, joined(this.place.iteration)),
        depth=run.context["depth"] + 1,
        hops=run.context["hops"],
        root=run.root,
        width=run.widths.of_block[this.node.block],
        kept=run.context.get("kept"),
    )
    refuse_too_many_runs(run)
    if this.planner.lonely:
        raise db.read_one(run_start.running_already, request)
    child, chain, _ = run_start.prepare(request)
    this.open(1, {"input": json.dumps(redact(given)), "output": json.dumps({"execution_id": child["id"]})})
    this.planner.moves.runs.append(child)
    this.planner.chains.append(chain)


#: step type → the function that enters it
ENTRIES: dict[str, Callable[[Entry], str | None]] = {
    "action": _action,
    "condition": _condition,
    "switch": _switch,
    "delay": _delay,
    "approval": _approval,
    "parallel": _parallel,
    "loop": _loop,
    "for_each": _for_each,
    "playbook": _playbook,
}
