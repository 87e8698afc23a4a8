"""Steps of a run, and the transactions in which it goes on.

What ends a step also begins what follows it: ``Moves`` says what that is (planned in ``tasks``, where conditions are
evaluated), ``go_on`` writes it. A container (a parallel, a loop) counts in ``open`` how many branches or iterations are
under way; each end lowers the count, and the last one makes the container due, so that it is handled exactly once
although many end at the same time: handling it is a guarded transition.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from playbooks.states import Kind, Status, WaitingFor
from store.engine.db import Connection, Row, now_ms
from store.engine.prepared import Prepared, quoted, words
from store.executions import announcements, combined, ending, transitions
from store.executions.rows import NOT_BEGUN, NewRow
from store.executions.runs import PATROL
from store.executions.transitions import LIVE, TERMINAL

_table = transitions.executions.c

#: when tick handles a container that is due, if no worker did before, ms
ATTENTION = 2_000
#: the same for a step whose successors are unplanned, ms
FOLLOW = 5_000


@dataclass(frozen=True, kw_only=True)
class End:
    """The end of a run.

    ``parent_id`` is the step that started the run, if one did.
    """

    status: Status
    error: Mapping[str, Any] | None = None
    output: Any = None
    parent_id: str | None = None
    #: whether the run may have failed before: the end of an exception step ends a failed run
    after_failure: bool = False
    #: whether steps of the run, or runs that it has started, may be live, which then have to be ended
    #: (``store.executions.ending``)
    clears: bool = False
    #: the events of a run's end that playbooks listen for (``store.executions.announcements``)
    announces: frozenset[str] = frozenset()

    @property
    def is_announced(self) -> bool:
        """Whether a playbook listens for this end."""
        return _event(self.status) in self.announces


@dataclass(kw_only=True)
class Moves:
    """How a run goes on, written with the end of a step."""

    #: step rows to add, in the order in which they begin
    rows: list[NewRow] = field(default_factory=list)
    #: run rows to add: sub-playbooks, and chains that begin whatever becomes of this run
    runs: list[NewRow] = field(default_factory=list)
    #: (container, whether it failed) for each branch or iteration that has ended
    arrivals: list[tuple[str, bool]] = field(default_factory=list)
    #: why the run will fail although its exception step goes first
    failing: Mapping[str, Any] | None = None
    end: End | None = None


def in_one_statement(db_name: str, moves: Moves) -> bool:
    """Whether a step's end and its successor are one statement.

    They are on PostgreSQL, where one thing follows.
    """
    if db_name != "postgresql" or moves.runs or moves.failing is not None:
        return False
    if moves.arrivals:
        return len(moves.arrivals) == 1 and not moves.rows and moves.end is None
    if moves.end is not None:
        further = moves.end.after_failure or moves.end.clears or moves.end.is_announced
        return not moves.rows and moves.end.parent_id is None and not further
    return len(moves.rows) == 1 and moves.rows[0].get("open") is None


def end_step(
    db: Connection, row_id: str, to: Status, moves: Moves, *, run_id: str, actor: str, fence: int, **changes: Any
) -> tuple[bool, list[str] | None]:
    """End an attempt at a step; write how its run goes on.

    Returns whether the attempt was still under way, and what ``go_on`` returns.
    """
    guard = "step is running"
    if not in_one_statement(db.dialect.name, moves):
        moved = transitions.transition(db, row_id, to, actor=actor, fence=fence, guard=guard, **changes)
        return moved is not None, None if moved is None else go_on(db, run_id, moved.run_status, moves, actor)
    if moves.end is not None:
        error, output = transitions.dump(moves.end.error), transitions.dump(moves.end.output)
        run = {"id": run_id, "status": moves.end.status, "error": error, "output": output}
        moved = combined.move_and_end(db, row_id, to, run, actor=actor, fence=fence, guard=guard, **changes)
    elif moves.arrivals:
        ((container, failed),) = moves.arrivals
        arrival = {"container": container, "failed": int(failed), "soon": now_ms() + ATTENTION}
        moved = combined.move_and_arrive(db, row_id, to, arrival, actor=actor, fence=fence, guard=guard, **changes)
        if moved is not None and (moved.open == 0 or moved.type_ == "for_each"):
            return True, [container]
    else:
        _begin_now(moves.rows)
        next_row, changes = moves.rows[0], {**changes, "completed_at": moves.rows[0]["created_at"]}
        moved = combined.move_and_add(db, row_id, to, next_row, actor=actor, fence=fence, guard=guard, **changes)
        if moved is not None and moved.run_status == Status.PAUSED:
            _hold_back(moves)
    return moved is not None, [] if moved is not None and moved.run_status in LIVE else None


def begin_run(db: Connection, run_id: str, moves: Moves, *, actor: str, deadline: int) -> tuple[bool, list[str] | None]:
    """Begin a pending run; returns the same two values as ``end_step``."""
    now, guard = now_ms(), "run has not begun"
    changes: dict[str, Any] = {"started_at": now, "due_at": min(deadline, now + PATROL)}
    if moves.end is None and not moves.arrivals and in_one_statement(db.dialect.name, moves):
        _begin_now(moves.rows)
        first = moves.rows[0]
        begun = combined.move_and_add(
            db, run_id, Status.RUNNING, first, actor=actor, fence=None, guard=guard, **changes
        )
        return begun is not None, []
    begun = transitions.transition(db, run_id, Status.RUNNING, actor=actor, guard=guard, **changes)
    return begun is not None, None if begun is None else go_on(db, run_id, Status.RUNNING, moves, actor)


def go_on(db: Connection, run_id: str, run_status: str | None, moves: Moves, actor: str) -> list[str] | None:
    """Write how the run goes on; returns the containers to handle now.

    None when the run is over. A run that an operator has paused goes on to what would be next, but nothing of it
    begins.
    """
    apart = [run for run in moves.runs if run["parent_id"] is None]
    if apart:
        transitions.add(db, apart, actor)
    if run_status not in LIVE:
        return None
    runs = [run for run in moves.runs if run["parent_id"] is not None]
    if run_status == Status.PAUSED:
        _hold_back(moves)
        held: NewRow = {"status": Status.PAUSED, "waiting_for": WaitingFor.OPERATOR}
        runs = [{**run, **held, "due_at": run["expires_at"]} for run in runs]
    for rows in (moves.rows, runs):
        if rows:
            _begin_now(rows)
            transitions.add(db, rows, actor)
    waiting = [row["id"] for row in moves.rows if row.get("open") == 0 and row["status"] == Status.RUNNING]
    waiting += [container for container, failed in moves.arrivals if count_finished(db, container, failed=failed)]
    if moves.failing is not None:
        _fail_later.run(db, {"id_": run_id, "error_": transitions.dump(moves.failing)})
    if moves.end is not None:
        end_run(db, run_id, moves.end, actor)
    return waiting


def _begin_now(rows: list[NewRow]) -> None:
    """Move the times of planned rows to now.

    They were planned a moment ago, or long ago where the database was away: a successor never begins before its
    predecessor ends.
    """
    now = now_ms()
    for row in rows:
        late = now - row["created_at"]
        moved: Any = {name: at + late for name in _TIMES if (at := row.get(name)) is not None}
        row.update(moved)


_TIMES: tuple[Literal["created_at", "started_at", "completed_at", "due_at", "expires_at", "renewed_at"], ...] = (
    "created_at",
    "started_at",
    "completed_at",
    "due_at",
    "expires_at",
    "renewed_at",
)


def _hold_back(moves: Moves) -> None:
    for row in moves.rows:
        if row["status"] == Status.RUNNING and row["type"] == "action":
            row.update(NOT_BEGUN)


_id = _table.id == sa.bindparam("id_")
_running = _table.status == sa.literal_column(quoted(Status.RUNNING))

_fail_later = Prepared(
    sa.update(transitions.executions).where(_id, _table.error.is_(None)).values(error=sa.bindparam("error_"))
)


def count_finished(db: Connection, container: str, *, failed: bool) -> bool:
    """Count an ended branch or iteration; whether ``container`` needs attention now."""
    row = _arriving.first(db, {"id_": container, "failed_": int(failed), "soon_": now_ms() + ATTENTION})
    return row is not None and (row.open == 0 or row.type == "for_each")


_needs_attention = sa.or_(_table.open <= 1, _table.type == sa.literal_column("'for_each'"))
_arriving = Prepared(
    sa.update(transitions.executions)
    .where(_id, _running)
    .values(
        open=_table.open - 1,
        failures=_table.failures + sa.bindparam("failed_", type_=sa.Integer),
        due_at=sa.case((_needs_attention, sa.bindparam("soon_", type_=sa.BigInteger)), else_=_table.due_at),
    )
    .returning(_table.open, _table.type)
)


def end_run(db: Connection, run_id: str, end: End, actor: str) -> bool:
    """End a run, unless it has ended.

    A run that failed before its exception step fails now, whatever that step brought.
    """
    status, error = end.status, transitions.dump(end.error)
    before = _run_error.first(db, {"id_": run_id}) if end.after_failure else None
    if before is not None and before.error is not None:
        status, error = Status.FAILED, before.error
    output = transitions.dump(end.output)
    changes = {"error": error, "output": output, "owner": None, **(ending.mark() if end.clears else {})}
    ended = transitions.transition(db, run_id, status, actor=actor, **changes)
    if ended is not None and end.parent_id is not None:
        _wake.run(db, {"id_": end.parent_id, "soon_": now_ms()})
    if ended is not None and _event(status) in end.announces:
        announcements.add(db, ended.workspace_id, _event(status), run_id)
    return ended is not None


def _event(status: Status) -> str:
    """The event of a run's end."""
    return f"playbook.{status}"


_run_error = Prepared(sa.select(_table.error).where(_id))
_wake = Prepared(
    sa.update(transitions.executions)
    .where(_id, _running)
    .values(open=0, due_at=sa.bindparam("soon_", type_=sa.BigInteger))
)


def count_started(db: Connection, container: str, *, cursor: int, count: int, due_at: int | None) -> str | None:
    """Count ``count`` further iterations of a container after ``cursor``.

    Returns the status of its run, None when another worker was faster.
    """
    values = {"id_": container, "cursor_": cursor, "count_": count, "due_": due_at}
    row = _launching.first(db, values)
    return None if row is None else str(row.run_status)


_count = sa.bindparam("count_", type_=sa.Integer)
_launching = Prepared(
    sa.update(transitions.executions)
    .where(_id, _running, _table.cursor == sa.bindparam("cursor_", type_=sa.Integer))
    .values(
        cursor=_table.cursor + _count,
        open=_table.open + _count,
        due_at=sa.bindparam("due_", type_=sa.BigInteger),
        waiting_for=sa.null(),
    )
    .returning(transitions.run_status.label("run_status"))
)


def pause_loop(db: Connection, container: str, *, cursor: int, until: int) -> None:
    """Make a loop pause before its next iteration.

    Nothing changes if it pauses already or has gone on.
    """
    _resting.run(db, {"id_": container, "cursor_": cursor, "until_": until})


_resting = Prepared(
    sa.update(transitions.executions)
    .where(_id, _running, _table.cursor == sa.bindparam("cursor_", type_=sa.Integer), _table.waiting_for.is_(None))
    .values(waiting_for=WaitingFor.INTERVAL, due_at=sa.bindparam("until_", type_=sa.BigInteger))
)


def end_pause(db: Connection, container: str) -> None:
    """End the pause of a loop."""
    mine = sa.and_(_table.id == container, _table.waiting_for == WaitingFor.INTERVAL)
    db.execute(sa.update(transitions.executions).where(mine).values(waiting_for=WaitingFor.RESTED))


def results(db: Connection, ids: Iterable[str]) -> list[Row]:
    """The results of the steps with these ids that have begun."""
    wanted = list(ids)
    if not wanted:
        return []
    places = 1 << (len(wanted) - 1).bit_length()
    if places > _MOST_PLACES:
        return list(db.execute(_results.where(_table.id.in_(wanted))))
    wanted += wanted[-1:] * (places - len(wanted))
    rows, _ = _results_of(places).run(db, {f"id_{place}": name for place, name in enumerate(wanted)})
    return rows


def latest(db: Connection, run_id: str, step_ids: Iterable[str]) -> list[Row]:
    """The results of these steps in every iteration around them."""
    return list(db.execute(_results.where(_table.run_id == run_id, _table.step_id.in_(list(step_ids)))))


_results = sa.select(
    _table.id,
    _table.step_id,
    _table.iteration,
    _table.type,
    _table.status,
    _table.input,
    _table.output,
    _table.error,
    _table.vars,
    _table.completed_at,
)


#: the most steps in a prepared statement; there is one for each power of two
_MOST_PLACES = 64


@functools.cache
def _results_of(places: int) -> Prepared:
    ids = [sa.bindparam(f"id_{place}", type_=sa.Text) for place in range(places)]
    return Prepared(_results.where(_table.id.in_(ids)))


def get(db: Connection, step_row_id: str) -> Row | None:
    """A step's whole row."""
    row: Row | None = _one.first(db, {"id_": step_row_id})
    return row


_one = Prepared(sa.select(transitions.executions).where(_id, _table.kind == Kind.STEP))


def of_run(db: Connection, run_id: str) -> list[Row]:
    """Every step of a run that has begun, in order of time."""
    query = sa.select(transitions.executions).where(_table.run_id == run_id, _table.kind == Kind.STEP)
    return list(db.execute(query.order_by(_table.created_at, _table.id)))


def to_follow(db: Connection, row_id: str, run_id: str) -> str | None:
    """Clear ``waiting_for='follow'`` from a step whose successors are now planned.

    Returns the status of its run, which stays as it is until this transaction ends: a cancel that comes now finds
    what follows. None when another worker was faster.
    """
    if _following.first(db, {"id_": row_id}) is None:
        return None
    run = _standing.first(db, {"id_": run_id})
    return None if run is None else str(run.status)


_standing = Prepared(sa.select(_table.status).where(_id).with_for_update(read=True))


_following = Prepared(
    sa.update(transitions.executions)
    .where(
        _id,
        _table.waiting_for == sa.literal_column(quoted(WaitingFor.FOLLOW)),
        _table.status.in_(words(tuple(sorted(TERMINAL)))),
    )
    .values(waiting_for=sa.null(), due_at=sa.null())
    .returning(_table.id)
)


def note_gate(db: Connection, row_id: str, attempt: int, gate: str) -> bool:
    """Write the gate's account of an attempt that is under way; false if it was taken."""
    return _noting.run(db, {"id_": row_id, "attempt_": attempt, "gate_": gate})[1] == 1


_noting = Prepared(
    sa.update(transitions.executions)
    .where(_id, _running, _table.attempt == sa.bindparam("attempt_", type_=sa.Integer))
    .values(gate=sa.bindparam("gate_"))
)


def follow_mark() -> NewRow:
    """Columns of a step whose successors a worker plans on a message."""
    return {"waiting_for": WaitingFor.FOLLOW, "due_at": now_ms() + FOLLOW}


def held(db: Connection, run_ids: Iterable[str]) -> int:
    """How many steps of these ended runs a worker still holds."""
    mine = sa.and_(_table.run_id.in_(list(run_ids)), _table.owner.is_not(None))
    return db.execute(sa.select(sa.func.count()).select_from(transitions.executions).where(mine)).scalar_one()
