"""Planning how a run goes on: from the end of one step to the beginnings of the next ones.

``Advance`` walks the plan from a link: conditions are decided and steps that hold others are opened on the way, until
it comes to steps that take time (an action, a delay, an approval, a playbook) or to the end of a block. It reads but
never writes; what it finds is a ``Moves``, which is written together with the end of the step before it. After many
decisions it stops: the last one is marked, and a message of its own (``tocsin.follow``) goes on from there, so that
others get their turn in between.

The end of a block is counted at its holder; what then follows is planned when the holder is attended to
(``tasks.runs.joins``).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import CallerError, Unavailable
from config.settings import settings
from expressions import templates
from expressions.conditions import ConditionError, evaluate, holds
from expressions.templates import TemplateError
from playbooks.plan import END, Node
from providers.base import Json
from store.engine import db
from store.executions import steps
from store.executions.steps import ATTENTION, End, Moves
from tasks.definitions import revisions
from tasks.intake import run_start
from tasks.intake.dispatch import queue_of
from tasks.intake.run_start import Run, row_id
from tasks.messages.canvas import Chain, Ring
from tasks.messages.run_messages import follow_ring
from tasks.runs import deciders
from tasks.runs.budget import refuse_too_many_runs
from tasks.runs.context import Context, asset, joined, parted
from tasks.runs.errors import StepError, because, error_of

#: entries that a for_each goes through at most; what has more is a job for something else
MOST_ITEMS = 1_000

#: decisions in one go; pure Python holds up every other thread of its worker meanwhile
MOST_DECISIONS = 200

_SECOND = 1000


@dataclass(frozen=True)
class Place:
    """Where in a run: a block, the row that holds it, and the passes of the loops around."""

    block: str
    parent_id: str | None
    iteration: tuple[int, ...]


class Advance:
    """One walk; ``moves`` is what it found, ``starts`` and ``chains`` what must be published for it.

    ``lonely`` says that playbooks may not be started, because one that was to be started runs already for the same
    asset.
    """

    def __init__(self, run: Run, context: Context, *, lonely: bool = False) -> None:
        self.run = run
        self.context = context
        #: steps that an earlier run has completed for this one
        self.carried = frozenset(f"{run.id}.{name}" for name in run.context["carried"])
        self.lonely = lonely
        self.moves = Moves()
        #: row ids of the actions that begin, with where they are
        self.starts: dict[str, tuple[str, str]] = {}
        #: chains of the playbooks that begin
        self.chains: list[Chain] = []
        #: messages that go on where this walk stopped
        self.follows: list[Ring] = []
        self._decisions = 0
        self._redact = context.redact

    def place_of(self, step_id: str, parent_id: str | None, iteration: str | None) -> Place:
        """Where a step of the run is."""
        return Place(self.run.plan.nodes[step_id].block, parent_id, parted(iteration))

    def after(
        self,
        step_id: str,
        place: Place,
        status: str,
        error: Mapping[str, Any] | None,
        *,
        output: Any = None,
        expired: bool = False,
    ) -> None:
        """Go on after a step has ended; ``output`` is a decision's, ``expired`` says that nobody decided in time."""
        node = self.run.plan.nodes[step_id]
        previous = row_id(self.run.id, step_id, joined(place.iteration))
        target = node.on_timeout if expired else _link(node, status, output)
        self._go(target, place, previous, node, error)

    def _go(
        self, target: str | None, place: Place, previous: str | None, node: Node, error: Mapping[str, Any] | None
    ) -> None:
        if target is None:
            self.leave(place, because(node, error), last=node.id)
        else:
            self.enter(target, place, previous, last=node.id)

    def enter(self, target: str, place: Place, previous: str | None, *, last: str | None = None) -> None:
        """Walk on from a link; ``last`` is the step it leads from."""
        while target != END:
            node = self.run.plan.nodes[target]
            following = self._enter(node, place, previous)
            if following is None:
                return
            last, previous = node.id, row_id(self.run.id, node.id, joined(place.iteration))
            if isinstance(following, str):
                target = following
            elif node.on_failure is not None:
                target = node.on_failure
            else:
                self.leave(place, because(node, following), last=node.id)
                return
            if self._stops(node, previous, target):
                return
        self.leave(place, None, last=last)

    def _stops(self, node: Node, decided: str, target: str) -> bool:
        """Whether it was enough for one go; the row of the step just decided then asks for a message to go on."""
        self._decisions += 1
        if self._decisions < MOST_DECISIONS or target == END:
            return False
        row = self.moves.rows[-1] if self.moves.rows else None
        if row is None or row["id"] != decided:  # decided by an earlier run: there is no row to mark
            return False
        if _link(node, row["status"], json.loads(row.get("output") or "null")) != target:
            return False  # a link that the output does not show, because it looks like a secret, would be lost
        row.update(steps.follow_mark())
        self.follows.append(follow_ring(decided, node.type))
        return True

    def _enter(self, node: Node, place: Place, previous: str | None) -> str | Json | None:
        """Enter one step: the link that follows at once, the error with which it failed, or None: it takes time."""
        if row_id(self.run.id, node.id, joined(place.iteration)) in self.carried:
            return node.on_success
        try:
            # what an action reads is read when it is carried out
            reads = node.type != "action" or "when" in node.step
            context = self.context.of(node.id, place.iteration, previous) if reads else {}
            if "when" in node.step and not holds(node.step["when"], context):
                self._add(node, place, previous, status="skipped", completed=True)
                self.learn(node, place, "skipped")
                return node.on_success
            return _WAYS[node.type](self, node, place, previous, context)
        except Unavailable:
            raise
        except (StepError, TemplateError, ConditionError, CallerError) as fault:
            error: Json = self._redact(error_of(fault))
            self._add(node, place, previous, status="failed", completed=True, error=json.dumps(error))
            self.learn(node, place, "failed", error=error)
            return error

    def learn(self, node: Node, place: Place, status: str, **result: Any) -> None:
        """Remember what has just been decided, for the steps after it."""
        known = {"step_id": node.id, "status": status, "completed_at": db.now_ms(), **result}
        self.context.learn(row_id(self.run.id, node.id, joined(place.iteration)), known)

    # how each type of step is entered

    def _action(self, node: Node, place: Place, previous: str | None, _context: Json) -> None:
        revision_id = self.run.context["pins"][node.step["action_ref"]]
        definition = revisions.action(revision_id).definition
        delay = int(node.step.get("delay_seconds", 0) * _SECOND)
        row = self._add(
            node,
            place,
            previous,
            status="waiting" if delay else "pending",
            waiting_for="delay" if delay else None,
            due_in=delay or settings().lease_seconds * _SECOND,
            publishes=1,
            action_id=node.step["action_ref"],
            revision_id=revision_id,
            queue=queue_of(definition),
            idempotent=definition["idempotent"],
            timeout_ms=run_start.timeout_ms(node.step, definition),
        )
        if not delay:
            self.starts[row["id"]] = node.id, row["iteration"]

    def chain(self, step_id: str, iteration: str) -> Chain:
        """The chain of the steps that are known to be carried out from this one on."""
        run = self.run
        rings = [
            run_start.step_ring(run.plan, run.context["pins"], run.id, name, iteration)
            for name in run.plan.stretch(step_id)
        ] or [run_start.step_ring(run.plan, run.context["pins"], run.id, step_id, iteration)]
        return Chain(tuple(rings))

    def _condition(self, node: Node, place: Place, previous: str | None, context: Json) -> str:
        result = holds(node.step["expression"], context)
        following = node.on_true if result else node.on_false
        return self._decided(node, place, previous, {"result": result, "next": following})

    def _switch(self, node: Node, place: Place, previous: str | None, context: Json) -> str:
        value = evaluate(node.step["expression"], context)
        following = node.cases.get(templates.as_text(value), node.default)
        return self._decided(node, place, previous, {"value": value, "next": following})

    def _decided(self, node: Node, place: Place, previous: str | None, output: Json) -> str:
        shown = self._redact(output)
        self._add(node, place, previous, status="completed", completed=True, output=json.dumps(shown))
        self.learn(node, place, "completed", output=shown)
        following: str = output["next"]
        return following

    def _delay(self, node: Node, place: Place, previous: str | None, _context: Json) -> None:
        due_in = int(node.step["seconds"] * _SECOND)
        self._add(node, place, previous, status="waiting", waiting_for="delay", due_in=due_in, started=True)

    def _approval(self, node: Node, place: Place, previous: str | None, context: Json) -> None:
        message = templates.render(node.step.get("message", ""), context)
        output = self._redact(deciders.question(node.step, message))
        seconds = node.step.get("timeout_seconds")
        due_at = min(self.run.deadline, db.now_ms() + int(seconds * _SECOND)) if seconds else self.run.deadline
        self._add(
            node,
            place,
            previous,
            status="waiting",
            waiting_for="approval",
            due_at=due_at,
            started=True,
            output=json.dumps(output),
        )

    def _parallel(self, node: Node, place: Place, previous: str | None, _context: Json) -> None:
        branches = self.run.plan.branches(node.id)
        row = self._hold(node, place, previous, count=len(branches))
        for block in branches:
            self.enter(block.first, Place(block.id, row["id"], place.iteration), row["id"])

    def _loop(self, node: Node, place: Place, previous: str | None, _context: Json) -> None:
        self._hold(node, place, previous, count=0)

    def _for_each(self, node: Node, place: Place, previous: str | None, context: Json) -> None:
        items = self._redact(templates.render(node.step["items"], context))
        if not isinstance(items, list):
            raise StepError("bad_items", f"items must give a list, not {type(items).__name__}.")
        if len(items) > MOST_ITEMS:
            raise StepError("bad_items", f"items has {len(items)} entries; at most {MOST_ITEMS} can be gone through.")
        row = self._hold(node, place, previous, count=0, input=json.dumps({"items": items}))
        self.context.learn_items(row["id"], items)

    def _playbook(self, node: Node, place: Place, previous: str | None, context: Json) -> None:
        step, run = node.step, self.run
        given = templates.render(step.get("parameters", {}), context)
        wish = run_start.Wish(
            workspace_id=run.workspace_id,
            actor=run.created_by,
            playbook_id=step["playbook_ref"],
            parameters=given,
            secrets=run.secrets,
            secret_names=frozenset(name for name, value in given.items() if self._redact(value) != value),
            target=asset(step["target"], context, self._redact) if step.get("target") else run.target,
            mode=run.mode,
            request_id=run.request_id,
            trigger="playbook",
            event=run.context["event"],
            parent_id=row_id(run.id, node.id, joined(place.iteration)),
            depth=run.context["depth"] + 1,
            hops=run.context["hops"],
            root=run.root,
            width=run.widths.of_block[node.block],
            kept=run.context.get("kept"),
        )
        refuse_too_many_runs(run)
        if self.lonely:
            raise run_start.running_already(wish)
        with db.read() as connection:
            child, chain = run_start.prepare(connection, wish)
        self._hold(
            node,
            place,
            previous,
            count=1,
            input=json.dumps(self._redact(given)),
            output=json.dumps({"execution_id": child["id"]}),
        )
        self.moves.runs.append(child)
        self.chains.append(chain)

    # rows

    def _hold(self, node: Node, place: Place, previous: str | None, *, count: int, **more: Any) -> Json:
        """A step that goes on until what it holds has ended; with nothing to hold yet it needs attention at once."""
        seconds = node.step.get("timeout_seconds")
        expires_at = db.now_ms() + int(seconds * _SECOND) if seconds else None
        due_at = (expires_at or self.run.deadline) if count else db.now_ms() + ATTENTION
        return self._add(
            node,
            place,
            previous,
            status="running",
            started=True,
            open=count,
            cursor=count,
            expires_at=expires_at,
            due_at=due_at,
            **more,
        )

    def _add(
        self,
        node: Node,
        place: Place,
        previous: str | None,
        *,
        status: str,
        started: bool = False,
        completed: bool = False,
        due_in: int | None = None,
        **more: Any,
    ) -> Json:
        now, iteration = db.now_ms(), joined(place.iteration)
        row: Json = {
            "id": row_id(self.run.id, node.id, iteration),
            "workspace_id": self.run.workspace_id,
            "kind": "step",
            "action_id": "",
            "revision_id": "",
            "status": status,
            "queue": "steps",
            "mode": self.run.mode,
            "idempotent": True,
            "timeout_ms": 0,
            "attempt": 0,
            "failures": 0,
            "lapses": 0,
            "publishes": 0,
            "target": self.run.target,
            "input": "{}",
            "created_by": self.run.created_by,
            "request_id": self.run.request_id,
            "created_at": now,
            "started_at": now if started or (completed and status != "skipped") else None,
            "completed_at": now if completed else None,
            "run_id": self.run.id,
            "parent_id": place.parent_id,
            "step_id": node.id,
            "iteration": iteration,
            "type": node.type,
            "previous_id": previous,
            "due_at": now + due_in if due_in is not None else None,
            **more,
        }
        self.moves.rows.append(row)
        return row

    # ends

    def give_up(self, error: Mapping[str, Any]) -> None:
        """Fail the run here and now, whatever else goes on in it, instead of going on as planned."""
        end = End(status="failed", error=error, parent_id=self.run.parent_id, clears=True)
        self.moves, self.starts, self.chains, self.follows = Moves(end=end), {}, [], []

    def leave(self, place: Place, error: Mapping[str, Any] | None, *, last: str | None) -> None:
        """A block has ended, with an error if it failed; ``last`` is its last step."""
        plan = self.run.plan
        block = plan.blocks[place.block]
        if block.container is not None:
            failed = error is not None and not block.forgiven
            self.moves.arrivals.append((str(place.parent_id), failed))
            return
        handled = last is not None and last in plan.exceptional
        if error is not None and plan.exception_step is not None and not handled:
            self.moves.failing = error
            self.enter(plan.exception_step, place, None)
            return
        self.moves.end = End(
            status="completed" if error is None else "failed",
            error=error,
            output=self.context.outcome(),
            parent_id=self.run.parent_id,
            after_failure=handled,
        )


#: step type → how it is entered
_WAYS: dict[str, Callable[[Advance, Node, Place, str | None, Json], str | Json | None]] = {
    name: getattr(Advance, f"_{name}")
    for name in ("action", "condition", "switch", "delay", "approval", "parallel", "loop", "for_each", "playbook")
}


def _link(node: Node, status: str, output: Any) -> str | None:
    """The link that leads on from a step that ended like this."""
    if status == "completed" and node.type in ("condition", "switch"):
        decided: str | None = output.get("next")
        return decided
    return node.on_success if status in ("completed", "skipped") else node.on_failure
