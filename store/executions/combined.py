"""PostgreSQL: a transition and the one thing that follows, in one statement.

Most steps are followed by exactly one step, or by the end of their run. Written one after the other that takes a
transaction of four round trips; as one statement, with both audit rows, it takes one. Both ways write the same;
``store.executions.steps`` chooses.
"""

import functools
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from playbooks.states import Status
from store import audit
from store.engine.db import Connection, now_ms
from store.engine.prepared import Prepared, words
from store.executions import transitions
from store.executions.rows import NOT_BEGUN, NewRow
from store.executions.transitions import (
    LIVE,
    SOURCES,
    action_of,
    attempt_of,
    entered,
    moving,
    with_end,
)
from store.gateway import end_record, kept_keys
from store.gateway.kept_keys import Fate

_table = transitions.executions

_COLUMNS = tuple(column.name for column in _table.columns)


def move_and_add(
    db: Connection,
    row_id: str,
    to: Status,
    row: NewRow,
    *,
    actor: str,
    fence: int | None,
    guard: str,
    **changes: Any,
) -> Any:
    """Change an execution's status and add ``row``, unless the run is over.

    The change is that of ``store.executions.transitions.transition``. Returns the changed row, None when its status did
    not allow the change; then nothing is added.
    """
    changes = with_end(to, changes)
    new = {f"new_{name}": row.get(name) for name in _COLUMNS}
    parameters = {**_audited(row_id, to, actor, fence, changes), **new, "then_at_": row["created_at"]}
    parameters |= {"then_actor_": actor, "then_event_": entered(row["status"])}
    begun, keys = row["status"] == Status.RUNNING, kept_keys.fate(to, changes)
    return _adding(to, guard, tuple(changes), fence is not None, begun, keys).first(db, parameters)


def move_and_end(
    db: Connection,
    row_id: str,
    to: Status,
    run: Mapping[str, Any],
    *,
    actor: str,
    fence: int,
    guard: str,
    **changes: Any,
) -> Any:
    """Change a step's status and end its run, unless that is over.

    ``run`` has status, error and output. Returns the changed row, None when its status did not allow the change; then
    nothing is ended.
    """
    changes = with_end(to, changes)
    ending = {f"run_{name}": run[name] for name in ("error", "output")}
    parameters = {**_audited(row_id, to, actor, fence, changes), **ending, "run_completed_at": now_ms()}
    parameters |= {"then_at_": now_ms(), "then_actor_": actor, "then_event_": f"execution.{run['status']}"}
    return _ending(to, guard, tuple(changes), run["status"], kept_keys.fate(to, changes)).first(db, parameters)


def _audited(row_id: str, to: Status, actor: str, fence: int | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    noted = {"at_": now_ms(), "actor_": actor, "event_": f"execution.{to}"}
    return {"id_": row_id, "fence_": fence, **changes, **noted, **end_record.given(to, changes)}


@functools.cache
def _adding(to: Status, guard: str, changed: tuple[str, ...], fenced: bool, begun: bool, keys: Fate) -> Prepared:
    moved = moving(to, guard, changed, fenced, keys=keys).cte("moved")
    noted = end_record.noting(moved, attempt_of(moved)).cte("noted")
    columns = {name: sa.bindparam(f"new_{name}", type_=column.type) for name, column in _table.c.items()}
    row = sa.select(*columns.values()).select_from(moved)
    if "run_status" in moved.c:
        paused = moved.c.run_status == Status.PAUSED  # a delay or an approval is not held back
        held = {name: sa.case((paused, value), else_=columns[name]) for name, value in NOT_BEGUN.items()}
        begins = {**columns, **held} if begun else columns
        row = sa.select(*begins.values()).select_from(moved).where(moved.c.run_status.in_(words(LIVE)))
    inserting = sa.insert(_table).from_select(list(columns), row)
    added = inserting.returning(_table.c.id, _table.c.workspace_id, _table.c.action_id, _table.c.status).cte("added")
    as_wished = sa.bindparam("then_event_", type_=sa.Text)
    held_back = sa.case((added.c.status == Status.PENDING, entered(Status.PENDING)), else_=as_wished)
    then_noted = audit.noting(added, details=action_of(added), prefix="then_", event=held_back).cte("then_noted")
    return Prepared(sa.select(*end_record.others(moved)).add_cte(noted, then_noted, *kept_keys.changing(keys, moved)))


@functools.cache
def _ending(to: Status, guard: str, changed: tuple[str, ...], run_to: Status, keys: Fate) -> Prepared:
    moved = moving(to, guard, changed, fenced=True, keys=keys).cte("moved")
    noted = end_record.noting(moved, attempt_of(moved)).cte("noted")
    run: Any = _table.alias("ending")
    over = (
        sa.update(run)
        .where(run.c.id == sa.select(moved.c.run_id).scalar_subquery(), run.c.status.in_(words(SOURCES[run_to])))
        .values(
            status=run_to,
            due_at=sa.null(),
            waiting_for=sa.null(),
            owner=sa.null(),
            completed_at=sa.bindparam("run_completed_at", type_=sa.BigInteger),
            error=sa.bindparam("run_error", type_=sa.Text),
            output=sa.bindparam("run_output", type_=sa.Text),
        )
        .returning(run.c.id, run.c.workspace_id, run.c.attempt)
        .cte("ended")
    )
    then_noted = audit.noting(over, details=attempt_of(over), prefix="then_").cte("then_noted")
    keys_change = kept_keys.changing(keys, moved)  # those of the run are kept: it has begun
    return Prepared(sa.select(*end_record.others(moved)).add_cte(noted, then_noted, *keys_change))
