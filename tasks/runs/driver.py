"""Carry out a message of a run, and further steps in place.

In order of time: a step is claimed, its templates are filled in, its executor makes the outside call with no
transaction open; then the planner plans what follows (``tasks.runs.planner``), and the end of the step and the rows of
its successors are committed in one transaction. If one action on the same queue follows, it is claimed in that
transaction and carried out at once, without a message (``tasks.runs.handoff``), until the calls have taken a quarter of
a second; the rest is left to the chain.
"""

import functools
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from weakref import WeakValueDictionary

from celery import Task

from config import logs
from playbooks.states import Mode, Status, WaitingFor
from providers.base import Abandoned
from store.engine import clock, db
from store.engine.db import Connection, IntegrityError
from store.executions import rows, runs, steps, transitions
from store.executions.rows import NewRow
from store.executions.run_transition import Cause, RunTransition, StepEnded, StepRetry, Written
from tasks.attempts import circuits
from tasks.attempts.action import CARRIED_BY_CELERY
from tasks.attempts.circuits import Counting
from tasks.attempts.conclude import Ending, counted, ended, settle
from tasks.attempts.lease import keeper
from tasks.attempts.patience import commit_with_patience, with_patience
from tasks.attempts.perform import attempt_at, give_up, perform
from tasks.definitions import revisions
from tasks.fairness import concurrency, fair_queue
from tasks.messages import publisher, requeue
from tasks.messages.canvas import KILLABLE
from tasks.messages.model import permit_key
from tasks.messages.run_messages import step_message
from tasks.runs import gated, joins
from tasks.runs.budget import TOO_LARGE, budget
from tasks.runs.context import RunContext
from tasks.runs.handoff import Handoff
from tasks.runs.planner import Planner
from tasks.runs.run import Run, loaded
from tasks.runs.step_attempt import StepWork

log = logs.logger(__name__)

Next = Callable[[], Any]

#: faults of the playbook itself, and what a rule refuses: a retry meets them again
_HOPELESS = frozenset({"bad_template", "denied", "invalid_parameters", "not_possible", "provider_disabled", "sealed"})
_IN_FAILURE = frozenset({Status.FAILED, Status.TIMEOUT})


#: runs that have begun, of the messages that this process carries out at the moment, by id
_under_way: WeakValueDictionary[str, Run] = WeakValueDictionary()


class RunDriver:
    """The execution of one message of a run."""

    def __init__(
        self,
        task: Task,
        *,
        simulate: Callable[[Run, str], bool],
        written: Callable[[], Any] = lambda: None,
        known: dict[str, Run] | None = None,
    ) -> None:
        self.task = task
        #: carries out a dry run for an owner, by name; false if the run is not to be had
        self._simulate = simulate
        #: runs already read, by id; shared by the members of a batch, which belong to one run
        self._runs = {} if known is None else known
        #: called as soon as the message's own transition is committed, before the worker goes on in place
        self._written = written
        self.handoff = Handoff(task)
        self.word = "done"
        self.run: Run
        self.context: RunContext
        self.queue = "steps"

    def drive(self, first: Next) -> str:
        """Carry out one thing after the other.

        Returns the result of the last, a word.
        """
        following: Next | None = first
        while following is not None:
            following = following()
        return self.word

    # the tasks

    def begin(self, run_id: str) -> Next | None:
        """Begin a run."""
        row = with_patience(functools.partial(_read, runs.read, run_id))
        if row is None or row.status != Status.PENDING:
            return self._stale()
        self._know(row)
        if self.run.mode == Mode.DRY_RUN:
            self.word = str(Status.COMPLETED) if self._simulate(self.run, keeper().owner) else "stale"
            return None
        self.queue = row.queue
        return self._go_on(lambda planner: planner.begin(row.expires_at))

    def step(self, step_row_id: str) -> Next | None:
        """Claim a step and carry it out."""
        keep, claimed = keeper(), time.monotonic()
        row = commit_with_patience(
            lambda db_: transitions.claim(db_, step_row_id, keep.owner, keep.lease_ms, step=True)
        )
        if row is None:
            return self._stale()
        if not self._find_run(row.run_id):
            return self._stale()
        self.queue = row.queue
        if row.queue in KILLABLE:  # the time limit of this step must not hit the next one
            self.handoff.end_in_place()
        return self._carry_out(SimpleNamespace(**row._asdict()), claimed)

    def join(self, container_id: str) -> Next | None:
        """Decide whether a container goes on or ends."""
        row = with_patience(functools.partial(_read, steps.get, container_id))
        if row is None or row.status != Status.RUNNING or not self._find_run(row.run_id):
            return self._stale()
        return self._go_on(lambda planner: joins.decide(planner, row))

    def follow(self, step_row_id: str) -> Next | None:
        """Plan the successors of a step that has none yet."""
        row = with_patience(functools.partial(_read, steps.get, step_row_id))
        if row is None or row.waiting_for != WaitingFor.FOLLOW or not self._find_run(row.run_id):
            return self._stale()
        clock.at_least(row.completed_at)
        return self._go_on(lambda planner: planner.follow(row))

    # carrying out a step

    def _carry_out(self, row: Any, claimed: float) -> Next | None:
        keep = keeper()
        logs.bind(execution_id=row.id, request_id=row.request_id)
        with keep.hold(row.id, row.attempt, row.timeout_ms, claimed, repeatable=row.idempotent) as held:
            revision = revisions.action_with_patience(row.revision_id)
            retry = {**revision.definition["retry"], **self.run.plan.nodes[row.step_id].step.get("retry", {})}
            work = StepWork(self.context, attempt_at(row, retry))
            try:
                ready = work.prepare(revision, held)
                called = time.monotonic()
                ending = perform(ready, held)
                self.handoff.called(time.monotonic() - called)
                following, pause = self._end(work, ending)
            except Abandoned:
                following, pause = self._stale("abandoned"), None
            if self.word in ("abandoned", "stale"):
                give_up(held)
                circuits.let_go(work.this.way, row.id)
        if pause is not None and pause <= CARRIED_BY_CELERY:
            if row.id == self.handoff.own:
                raise requeue.again_after(self.task, pause)
            run = self.run
            message = step_message(run.plan, run.context["pins"], run.workspace_id, run.id, row.step_id, row.iteration)
            publisher.publish([message], countdown=pause)
        return following

    def _end(self, work: StepWork, brought: Ending) -> tuple[Next | None, float | None]:
        """Commit the end of an attempt and its successors.

        Also returns the pause before a retry, seconds.
        """
        this, row, policy = work.this, work.this.row, self.run.definition
        counting = counted(this, brought)
        settled = settle(this, brought)
        ending = settled.ending
        record = {**settled.record, "input": work.given, "vars": work.variables(ending, settled.record)}
        stored = {name: transitions.dump(value) for name, value in record.items()}
        tries_again = ending.status in _IN_FAILURE and policy["on_failure"] == "retry" and _worth_it(ending)
        pause = int(this.retry["backoff_seconds"] * 1000)
        step_ended = StepEnded(
            row_id=row.id,
            attempt=row.attempt,
            status=ending.status,
            columns={"owner": None, "target": row.target, **stored, **settled.changes, **_account(work)},
            retry=StepRetry(most=policy["max_retries"], pause=pause) if tries_again else None,
        )
        following = self._go_on(
            lambda planner: planner.end(row, record, step_ended, work.chain, work.question), counting
        )
        if self.word == "stale":
            return None, None
        self.word = str(ending.status)
        if ending.status != Status.COMPLETED:  # the run itself shows everything of a success
            ended(this, settled)
        return following, ending.retry_in

    # going on

    def _go_on(self, plan: Callable[[Planner], Cause | None], counting: Counting | None = None) -> Next | None:
        """Plan a transition, commit it, and hand over what begins.

        ``plan`` returns None if there is nothing to commit; ``counting`` belongs to the same transaction.
        """
        claimed = time.monotonic()
        for lonely in (False, True):
            planner = Planner(self.run, self.context, lonely=lonely)
            cause = with_patience(functools.partial(plan, planner))
            if cause is None:
                return self._stale()
            if budget.exceeded(self.run, len(planner.moves.rows)):
                planner.give_up(TOO_LARGE)
            fair_queue.spread(planner.moves.rows)
            here = self._choose(planner)
            this = RunTransition(run_id=self.run.id, cause=cause, moves=planner.moves, actor=keeper().owner)
            try:
                written = _committed(this, counting, planner)
            except IntegrityError:
                if lonely:
                    raise
                continue  # a playbook that this starts runs already: plan again without it
            if written is None:
                return self._stale()
            if counting is not None:
                counting.tell()
            if told := [*planner.announcements(), *planner.asked]:
                publisher.publish_after_commit(*told)
            if written.goes_on:
                return self._hand_over(planner, here, written.waiting, claimed)
            self.handoff.leave(None)
            break
        return None

    def _choose(self, planner: Planner) -> NewRow | None:
        """The one step to carry out in place, already claimed."""
        started = [row for row in planner.moves.rows if row["type"] == "action" and row["status"] == Status.PENDING]
        if len(started) != 1 or planner.moves.runs or not self.handoff.may_go_on():
            return None
        row = started[0]
        if row["queue"] in KILLABLE or not fair_queue.together(row["queue"], self.queue):
            return None
        if not concurrency.move_on(permit_key(self.run.workspace_id, row["action_id"])):
            return None
        rows.claim(row, keeper().owner, keeper().lease_ms)
        return row

    def _hand_over(self, planner: Planner, here: NewRow | None, waiting: list[str], claimed: float) -> Next | None:
        self._written()
        if here is not None and here["status"] != Status.RUNNING:  # the run was paused meanwhile
            here = None
        joins_here = here is None and self.handoff.joins_here(waiting)
        if planner.moves.end is not None and planner.moves.end.parent_id is not None:
            waiting = [*waiting, planner.moves.end.parent_id]
            joins_here = False  # it belongs to another run
        self.handoff.publish(planner, here["id"] if here is not None else None, [] if joins_here else waiting)
        if here is not None:
            row = SimpleNamespace(**{"sealed": None, "logs": None, "gate": None, **here})
            return functools.partial(self._carry_out, row, claimed)
        return functools.partial(self.join, waiting[0]) if joins_here else None

    # helpers

    def _stale(self, word: str = "stale") -> Next | None:
        """End a message that another worker has made superfluous."""
        self.word = word
        self.handoff.leave(None)
        return None

    def _find_run(self, run_id: str) -> bool:
        if run_id in self._runs:
            self._go_with(self._runs[run_id])
            return True
        if (run := _under_way.get(run_id)) is not None:
            self._go_with(run)
            return True
        row = with_patience(functools.partial(_read, runs.read, run_id))
        if row is not None:
            self._know(row)
            _under_way[run_id] = self.run
        return row is not None

    def _know(self, row: Any) -> None:
        self._go_with(loaded(row))

    def _go_with(self, run: Run) -> None:
        self._runs[run.id] = run
        if getattr(self, "run", None) is not run:
            self.run, self.context = run, RunContext(run)


def _committed(this: RunTransition, counting: Counting | None, planner: Planner) -> Written | None:
    """Commit a transition, with what is counted; None if another worker was faster."""
    written: Written | None
    if counting is None and not planner.asking:
        written = commit_with_patience(this.commit, single=this.single, at=this.meets_at, hot=True)
        return written

    def commit(connection: Connection) -> Written | None:
        made = this.commit(connection)
        if made is not None and counting is not None:
            counting.write(connection)
        if made is not None:
            planner.asked = gated.write(connection, made, this.cause, planner.asking, this.moves.rows)
        return made

    written = commit_with_patience(commit, single=False)
    return written


def _account(work: StepWork) -> Mapping[str, str]:
    """The column of the gate, where there is something to say."""
    known = {} if work.gate is None else {"gate": work.gate.text()}
    return {**known, **circuits.account(work.this.way, work.gate)}


def _worth_it(ending: Ending) -> bool:
    """Whether a retry can do no harm, and may help."""
    error = ending.error or {}
    return not error.get("outcome_unknown") and error.get("code") not in _HOPELESS


def _read(query: Callable[[Connection, str], Any], row_id: str) -> Any:
    return db.look_up(query, row_id)
