"""Plan how a run goes on after a step.

``Planner`` follows the plan from a link: it decides conditions and opens containers, until it reaches steps that take
time (an action, a delay, an approval, a playbook) or the end of a block. It reads but never writes; its result is a
``Moves``, which is committed together with the end of the step before. After many decisions it stops: the last one is
marked, and a message of its own (``tocsin.follow``) goes on from there, so that the worker serves others in between.

The end of a block is counted at its container; what follows is planned when the container is handled
(``tasks.runs.joins``).
"""

import json
from collections.abc import Mapping
from typing import Any

from config.errors import CallerError, Unavailable
from config.types import Json
from event_loop import waiting
from expressions.conditions.evaluation import ConditionError, holds
from expressions.templates import TemplateError
from playbooks.plan import END, Node
from playbooks.states import Status, WaitingFor
from store.engine import db
from store.engine.db import Row
from store.executions import steps, transitions
from store.executions.run_transition import RunBegun, StepEnded, StepFollowed
from store.executions.steps import End, Moves
from tasks.attempts.conclude import columns_of
from tasks.definitions import revisions
from tasks.intake import notices
from tasks.intake.chain_starts import ChainStart
from tasks.intake.notices import Question
from tasks.messages import run_messages
from tasks.messages.announcement_messages import announcement
from tasks.messages.model import Canvas, Chain, TaskMessage
from tasks.messages.run_messages import follow_message, row_id
from tasks.runs import gated
from tasks.runs.context import RunContext, joined, parted
from tasks.runs.errors import StepError, because, error_of
from tasks.runs.run import Run, ends_announced
from tasks.runs.step_entries import ENTRIES, Entry, Place

#: decisions in one go; they are pure Python, which holds up every other thread of the worker
MOST_DECISIONS = 200
#: notices accepted with one transition: branches that begin together may each ask
MOST_NOTICES = 50
_IN_SUCCESS = frozenset({Status.COMPLETED, Status.SKIPPED})


class Planner:
    """A plan of how a run goes on.

    The driver commits ``moves`` and publishes ``starts``, ``chains`` and ``follows``. ``lonely`` says that no playbook
    may be started, because one of them runs already for the same asset.
    """

    def __init__(self, run: Run, context: RunContext, *, lonely: bool = False) -> None:
        self.run = run
        self.context = context
        #: row ids of steps that an earlier run has completed for this one
        self.carried = frozenset(f"{run.id}.{name}" for name in run.context["carried"])
        self.lonely = lonely
        self.moves = Moves()
        #: row id → step and iteration of each action that begins
        self.starts: dict[str, tuple[str, str]] = {}
        #: chains of the playbooks that begin
        self.chains: list[Chain] = []
        #: messages that go on where the planner stopped
        self.follows: list[TaskMessage] = []
        self._decisions = 0
        #: what is asked of people
        self.asking: list[Question] = []
        #: the messages of what was accepted with it: notices, announcements
        self.asked: list[Canvas] = []
        #: runs that begin whatever becomes of this one
        self._apart: list[ChainStart] = []
        self.redact = context.redact

    # causes of a transition

    def begin(self, deadline: int) -> RunBegun:
        """Plan how the run begins."""
        self.enter(self.run.plan.blocks[""].first, Place("", None, ()), None)
        return RunBegun(deadline)

    def end(
        self,
        row: Row,
        record: Mapping[str, Any],
        ended: StepEnded,
        chain: ChainStart | None = None,
        question: Question | None = None,
    ) -> StepEnded:
        """Plan what follows the end of an attempt; ``record`` is its result.

        ``chain`` is the run that begins in the step's place, ``question`` what is asked before it goes out.
        """
        if question is not None:
            self.ask(question)
        if chain is not None:
            self._apart.append(chain)
            self._begin_apart()
        if ended.columns.get("waiting_for") == WaitingFor.APPROVAL:
            columns = {**columns_of(row), "due_at": ended.columns["due_at"]}
            terms = revisions.action(row.revision_id).definition["config"]
            self.ask(gated.of_step(columns, terms, record["output"], record["input"]))
        if ended.status != Status.WAITING:
            result = {**record, "step_id": row.step_id, "status": ended.status, "completed_at": db.now_ms()}
            self.context.learn(row.id, result)
            self.after(
                row.step_id, self.place_of(row.step_id, row.parent_id, row.iteration), ended.status, record["error"]
            )
        return ended

    def follow(self, row: Row) -> StepFollowed:
        """Plan what follows a step that has no successors yet."""
        error, output = transitions.load(row.error), transitions.load(row.output)
        expired = (error or {}).get("code") == "approval_expired"
        place = self.place_of(row.step_id, row.parent_id, row.iteration)
        self.after(row.step_id, place, row.status, error, output=output, expired=expired)
        return StepFollowed(row.id)

    # going on

    def place_of(self, step_id: str, parent_id: str | None, iteration: str | None) -> Place:
        """The place of a step in the run."""
        return Place(self.run.plan.nodes[step_id].block, parent_id, parted(iteration))

    def after(
        self,
        step_id: str,
        place: Place,
        status: Status,
        error: Mapping[str, Any] | None,
        *,
        output: Any = None,
        expired: bool = False,
    ) -> None:
        """Go on after the end of a step.

        ``output`` is a decision's; ``expired`` says that an approval expired.
        """
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
        """Go on from a link.

        ``last`` is the step that it leads from.
        """
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
        """Whether the planner stops here.

        The row of the last decision then gets the mark ``follow``.
        """
        self._decisions += 1
        if self._decisions < MOST_DECISIONS or target == END:
            return False
        row = self.moves.rows[-1] if self.moves.rows else None
        if row is None or row["id"] != decided:  # decided by an earlier run: there is no row to mark
            return False
        if _link(node, row["status"], json.loads(row.get("output") or "null")) != target:
            return False  # a link that the output does not show, because it looks like a secret, would be lost
        row.update(steps.follow_mark())
        self.follows.append(follow_message(decided, node.type))
        return True

    def _enter(self, node: Node, place: Place, previous: str | None) -> str | Json | None:
        """Enter one step.

        Returns the next link, the error of a failure, or None if it takes time.
        """
        if row_id(self.run.id, node.id, joined(place.iteration)) in self.carried:
            return node.on_success
        try:
            # an action reads its context when it is carried out
            reads = node.type != "action" or "when" in node.step
            if reads:
                waiting.give_way()  # a condition may take long, and many may follow each other
            context = self.context.of(node.id, place.iteration, previous) if reads else {}
            entry = Entry(self, node, place, previous, context)
            if "when" in node.step and not holds(node.step["when"], context):
                entry.end(Status.SKIPPED)
                return node.on_success
            return ENTRIES[node.type](entry)
        except Unavailable:
            raise
        except (StepError, TemplateError, ConditionError, CallerError) as fault:
            error: Json = self.redact(error_of(fault))
            Entry(self, node, place, previous, {}).end(Status.FAILED, error=error)
            return error

    def learn(self, node: Node, place: Place, status: Status, **result: Any) -> None:
        """Remember a decision for the steps after it."""
        known = {"step_id": node.id, "status": str(status), "completed_at": db.now_ms(), **result}
        self.context.learn(row_id(self.run.id, node.id, joined(place.iteration)), known)

    def chain(self, step_id: str, iteration: str) -> Chain:
        """The chain of this step and those known to follow."""
        run = self.run
        return Chain(
            tuple(
                run_messages.step_message(run.plan, run.context["pins"], run.workspace_id, run.id, name, iteration)
                for name in run.plan.stretch(step_id) or (step_id,)
            )
        )

    @property
    def has_told_enough(self) -> bool:
        """Whether tick is to send the notices of further questions: this transition accepts enough."""
        return sum(len(question.notices) for question in self.asking) >= MOST_NOTICES

    def ask(self, question: Question) -> None:
        """Ask people before a step goes on; announced if a playbook listens."""
        self.asking.append(notices.announced(question, self.run.mode, self.run.led_by))

    # ends

    def announcements(self) -> list[TaskMessage]:
        """The message that announces the run's end, if playbooks listen for it."""
        end = self.moves.end
        ends = end is not None and (end.is_announced or (end.after_failure and bool(end.announces)))
        return [announcement(self.run.id, self.run.playbook_id)] if ends else []

    def give_up(self, error: Mapping[str, Any]) -> None:
        """Plan that the run fails, in place of everything so far."""
        announces = ends_announced(self.run)
        end = End(status=Status.FAILED, error=error, parent_id=self.run.parent_id, clears=True, announces=announces)
        self.moves, self.starts, self.chains, self.follows, self.asking = Moves(end=end), {}, [], [], []
        self._begin_apart()

    def _begin_apart(self) -> None:
        self.moves.runs += [chain.row for chain in self._apart]
        self.chains += [chain.messages for chain in self._apart]

    def leave(self, place: Place, error: Mapping[str, Any] | None, *, last: str | None) -> None:
        """Plan what follows a block; ``last`` is its last step."""
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
            status=Status.COMPLETED if error is None else Status.FAILED,
            error=error,
            output=self.context.outcome(),
            parent_id=self.run.parent_id,
            after_failure=handled,
            announces=ends_announced(self.run),
        )


def _link(node: Node, status: Status, output: Any) -> str | None:
    """The link that a step follows after this end."""
    if status == Status.COMPLETED and node.type in ("condition", "switch"):
        decided: str | None = output.get("next")
        return decided
    return node.on_success if status in _IN_SUCCESS else node.on_failure
