"""Runs: the executions of kind ``playbook``. Their steps are in ``store.executions.steps``."""

import sqlalchemy as sa

from config.errors import NotFound
from playbooks.states import Kind, Status
from store.engine.db import Connection, Row
from store.engine.prepared import Prepared
from store.executions import transitions
from store.executions.indexes import RUNNING
from store.executions.transitions import LIVE

_table = transitions.executions.c

#: how often tick checks a live run that nothing else makes due, ms
PATROL = 600_000

_one = Prepared(sa.select(transitions.executions).where(_table.id == sa.bindparam("id_"), _table.kind == Kind.PLAYBOOK))


def read(db: Connection, run_id: str) -> Row | None:
    """A run's row in any workspace: for workers."""
    row: Row | None = _one.first(db, {"id_": run_id})
    return row


def get(db: Connection, workspace_id: str, run_id: str) -> Row:
    """A run's row.

    Raises:
        NotFound: this workspace has no run of that id.
    """
    row = read(db, run_id)
    if row is None or row.workspace_id != workspace_id:
        raise NotFound(f"There is no playbook execution {run_id!r}.")
    return row


def running(db: Connection, workspace_id: str, playbook_id: str, target: str) -> str | None:
    """The run that keeps a playbook from being started for an asset once more."""
    mine = (_table.workspace_id == workspace_id, _table.action_id == playbook_id, _table.target == target)
    found: str | None = db.execute(sa.select(_table.id).where(*mine, sa.text(RUNNING))).scalar()
    return found


def descendants(db: Connection, run_id: str) -> int:
    """How many runs a run has started, directly and through others."""
    return db.execute(sa.select(sa.func.count()).where(_table.root_id == run_id)).scalar_one()


def rows(db: Connection, root_id: str) -> int:
    """How many rows of steps a family of runs has.

    The family is a run and those that it started, directly and through others.
    """
    family = sa.select(_table.id).where(sa.or_(_table.id == root_id, _table.root_id == root_id))
    counted = sa.select(sa.func.count()).select_from(transitions.executions).where(_table.run_id.in_(family))
    return db.execute(counted).scalar_one()


def below(db: Connection, root_id: str) -> list[Row]:
    """Playbook and pins of every run below a run."""
    columns = (_table.action_id, _table.revision_id, _table.context)
    return list(db.execute(sa.select(*columns).where(_table.root_id == root_id).order_by(_table.created_at)))


def children(db: Connection, run_id: str) -> list[Row]:
    """The live runs that a run has started."""
    steps = sa.select(_table.id).where(_table.run_id == run_id, _table.type == "playbook")
    mine = sa.and_(_table.kind == Kind.PLAYBOOK, _table.parent_id.in_(steps.scalar_subquery()), _table.status.in_(LIVE))
    return list(db.execute(sa.select(transitions.executions).where(mine)))


def look_again(db: Connection, run_id: str, *, at: int) -> None:
    """Make a live run due at ``at``."""
    db.execute(sa.update(transitions.executions).where(_table.id == run_id, _table.status.in_(LIVE)).values(due_at=at))


def has_living_steps(db: Connection, run_id: str) -> bool:
    """Whether any step of the run is live, or its successors unplanned."""
    query = sa.select(_table.id).where(_table.run_id == run_id, _table.due_at.is_not(None)).limit(1)
    return db.execute(query).first() is not None


def consume_retry(db: Connection, run_id: str, step_row_id: str, attempt: int, *, most: int) -> bool:
    """Count one of at most ``most`` retries; whether one was left.

    Nothing is counted where the attempt at the step is not under way any more.
    """
    paid = {"id_": run_id, "most_": most, "step_": step_row_id, "attempt_": attempt}
    return _paying.run(db, paid)[1] == 1


_step = transitions.executions.alias("step")
_under_way = sa.exists().where(
    _step.c.id == sa.bindparam("step_"),
    _step.c.attempt == sa.bindparam("attempt_", type_=sa.Integer),
    _step.c.status == Status.RUNNING,
)
_paying = Prepared(
    sa.update(transitions.executions)
    .where(_table.id == sa.bindparam("id_"), _table.failures < sa.bindparam("most_", type_=sa.Integer), _under_way)
    .values(failures=_table.failures + 1)
)
