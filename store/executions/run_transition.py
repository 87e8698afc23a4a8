"""A transition of a run: its cause and its successors.

``tasks.runs.planner`` plans it as a value; ``commit`` writes it, or finds that another worker was faster: it has begun
the run, ended the attempt, or handled the container.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from playbooks.states import Status, WaitingFor
from store.engine import db as engine
from store.engine.db import Connection, now_ms
from store.executions import runs, steps, transitions
from store.executions.steps import Moves


@dataclass(frozen=True)
class RunBegun:
    """A pending run begins; it may go on until ``deadline``, ms."""

    deadline: int


@dataclass(frozen=True, kw_only=True)
class StepRetry:
    """A retry of a failed step, after a pause in ms.

    ``most`` is how many retries the run has in all.
    """

    most: int
    pause: int


@dataclass(frozen=True, kw_only=True)
class StepEnded:
    """An attempt at a step ends in ``status``, or is retried.

    It is retried if ``retry`` is there and the run has a retry left.
    """

    row_id: str
    attempt: int
    status: Status
    columns: Mapping[str, Any]
    retry: StepRetry | None = None


@dataclass(frozen=True)
class StepFollowed:
    """The successors of a step whose end planned nothing."""

    row_id: str


@dataclass(frozen=True, kw_only=True)
class JoinDecision:
    """What becomes of a container.

    ``begun`` more iterations begin, or it pauses (ms) before the next one, or it ends in ``status``.
    """

    begun: int = 0
    pause: int = 0
    status: Status = Status.RUNNING
    output: Any = None
    error: Any = None
    vars: Any = None


@dataclass(frozen=True, kw_only=True)
class ContainerHandled:
    """A container was handled when it had begun ``cursor`` iterations.

    ``due_at`` is when tick handles it again.
    """

    row_id: str
    cursor: int
    due_at: int
    decision: JoinDecision


Cause = RunBegun | StepEnded | StepFollowed | ContainerHandled


@dataclass(frozen=True)
class Written:
    """What was written: whether the run goes on.

    ``waiting`` are the containers that have to be handled now.
    """

    goes_on: bool = False
    waiting: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class RunTransition:
    """A planned transition; ``actor`` is the worker that writes it."""

    run_id: str
    cause: Cause
    moves: Moves
    actor: str

    @property
    def single(self) -> bool:
        """Whether it is one statement, which can share a group commit."""
        alone = isinstance(self.cause, RunBegun) or (isinstance(self.cause, StepEnded) and self.cause.retry is None)
        return alone and steps.in_one_statement(engine.engine().dialect.name, self.moves)

    @property
    def meets_at(self) -> str:
        """The one row that transitions of other branches write too, if any."""
        return self.moves.arrivals[0][0] if len(self.moves.arrivals) == 1 else ""

    def commit(self, db: Connection) -> Written | None:
        """Write it; None if another worker was faster."""
        if isinstance(self.cause, RunBegun):
            return self._begin(db, self.cause)
        if isinstance(self.cause, StepEnded):
            return self._end(db, self.cause)
        if isinstance(self.cause, StepFollowed):
            return self._go_on(db, steps.to_follow(db, self.cause.row_id, self.run_id))
        return self._go_on(db, self._handle(db, self.cause))

    def _begin(self, db: Connection, cause: RunBegun) -> Written | None:
        begun, waiting = steps.begin_run(db, self.run_id, self.moves, actor=self.actor, deadline=cause.deadline)
        return _written(waiting) if begun else None

    def _end(self, db: Connection, cause: StepEnded) -> Written | None:
        status, columns, retry = cause.status, cause.columns, cause.retry
        if retry and runs.consume_retry(db, self.run_id, cause.row_id, cause.attempt, most=retry.most):
            waiting_for_retry = {"waiting_for": WaitingFor.RETRY, "due_at": now_ms() + retry.pause, "failures": 0}
            status, columns = Status.WAITING, {**columns, **waiting_for_retry}
        moves = self.moves if status == cause.status else Moves()
        ended, waiting = steps.end_step(
            db, cause.row_id, status, moves, run_id=self.run_id, actor=self.actor, fence=cause.attempt, **columns
        )
        if not ended:
            return None
        return _written(waiting) if status != Status.WAITING else Written()

    def _handle(self, db: Connection, cause: ContainerHandled) -> str | None:
        """Write the decision about a container; returns the status of its run.

        None when nothing follows.
        """
        decision, row_id, cursor = cause.decision, cause.row_id, cause.cursor
        if decision.begun:
            return steps.count_started(db, row_id, cursor=cursor, count=decision.begun, due_at=cause.due_at)
        if decision.pause:
            steps.pause_loop(db, row_id, cursor=cursor, until=now_ms() + decision.pause)
            return None
        texts: dict[str, Any] = {
            name: transitions.dump(getattr(decision, name)) for name in ("output", "error", "vars")
        }
        moved = transitions.transition(
            db, row_id, decision.status, actor=self.actor, guard="all arms have ended", **texts
        )
        return None if moved is None else str(moved.run_status)

    def _go_on(self, db: Connection, run_status: str | None) -> Written | None:
        if run_status is None:
            return None
        return _written(steps.go_on(db, self.run_id, run_status, self.moves, self.actor))


def _written(waiting: list[str] | None) -> Written:
    return Written() if waiting is None else Written(goes_on=True, waiting=waiting)
