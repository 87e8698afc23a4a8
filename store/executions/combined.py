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
from store.engine.prepared import Prepared, quoted, words
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

    ``run`` has id, status, error and output. Returns the changed row, None when its status did not allow the change;
    then nothing is ended.
    """
    changes = with_end(to, changes)
    ending = {f"run_{name}": run[name] for name in ("error", "output")} | {"run_id_": run["id"]}
    parameters = {**_audited(row_id, to, actor, fence, changes), **ending, "run_completed_at": now_ms()}
    parameters |= {"then_at_": now_ms(), "then_actor_": actor, "then_event_": f"execution.{run['status']}"}
    return _ending(to, guard, tuple(changes), run["status"], kept_keys.fate(to, changes)).first(db, parameters)


def move_and_arrive(
    db: Connection,
    row_id: str,
    to: Status,
    arrival: Mapping[str, Any],
    *,
    actor: str,
    fence: int,
    guard: str,
    **changes: Any,
) -> Any:
    """Change a step's status and count it down in its container, unless the run is over.

    ``arrival`` has the container, whether the step ``failed`` (0 or 1), and ``soon``, when tick handles the container
    if it needs attention. Returns the changed row with ``open`` and ``type_`` of the container as they are then, None
    when its status did not allow the change. Of several that are made at once only one learns of the container.
    """
    changes = with_end(to, changes)
    counted = {f"{name}_": arrival[name] for name in ("container", "failed", "soon")}
    parameters = {**_audited(row_id, to, actor, fence, changes), **counted}
    return _arriving(to, guard, tuple(changes), kept_keys.fate(to, changes)).first(db, parameters)


def _audited(row_id: str, to: Status, actor: str, fence: int | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    noted = {"at_": now_ms(), "actor_": actor, "event_": f"execution.{to}"}
    return {"id_": row_id, "fence_": fence, **changes, **noted, **end_record.given(to, changes)}


@functools.cache
def _adding(to: Status, guard: str, changed: tuple[str, ...], fenced: bool, begun: bool, keys: Fate) -> Prepared:
    moved = moving(to, guard, changed, fenced, keys=keys).cte("moved")
    noted = end_record.noting(moved, attempt_of(moved)).cte("noted")
    columns = {name: sa.bindparam(f"new_{name}", type_=column.type) for name, column in _table.c.items()}
    is_its_own = moved.c.id == sa.bindparam("id_", type_=sa.Text)
    row = sa.select(*columns.values()).select_from(moved).where(is_its_own)
    if "run_status" in moved.c:
        paused = moved.c.run_status == Status.PAUSED  # a delay or an approval is not held back
        held = {name: sa.case((paused, value), else_=columns[name]) for name, value in NOT_BEGUN.items()}
        begins = {**columns, **held} if begun else columns
        row = sa.select(*begins.values()).select_from(moved).where(is_its_own, moved.c.run_status.in_(words(LIVE)))
    inserting = sa.insert(_table).from_select(list(columns), row)
    added = inserting.returning(_table.c.id, _table.c.workspace_id, _table.c.action_id, _table.c.status).cte("added")
    as_wished = sa.bindparam("then_event_", type_=sa.Text)
    held_back = sa.case((added.c.status == Status.PENDING, entered(Status.PENDING)), else_=as_wished)
    then_noted = audit.noting(added, details=action_of(added), prefix="then_", event=held_back, of="new_id").cte(
        "then_noted"
    )
    statement = sa.select(*end_record.others(moved)).add_cte(noted, then_noted, *kept_keys.changing(keys, moved))
    return Prepared(statement, keys=("id_", "new_id"))


@functools.cache
def _ending(to: Status, guard: str, changed: tuple[str, ...], run_to: Status, keys: Fate) -> Prepared:
    moved = moving(to, guard, changed, fenced=True, keys=keys).cte("moved")
    noted = end_record.noting(moved, attempt_of(moved)).cte("noted")
    run: Any = _table.alias("ending")
    over = (
        sa.update(run)
        .where(
            run.c.id == sa.bindparam("run_id_", type_=sa.Text),
            run.c.id == moved.c.run_id,
            run.c.status.in_(words(SOURCES[run_to])),
        )
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
    then_noted = audit.noting(over, details=attempt_of(over), prefix="then_", of="run_id_").cte("then_noted")
    keys_change = kept_keys.changing(keys, moved)  # those of the run are kept: it has begun
    statement = sa.select(*end_record.others(moved)).add_cte(noted, then_noted, *keys_change)
    return Prepared(statement, keys=("id_", "run_id_"))


@functools.cache
def _arriving(to: Status, guard: str, changed: tuple[str, ...], keys: Fate) -> Prepared:
    """Those that are made at once arrive at one container, which is changed once for all of them."""
    moved = moving(to, guard, changed, fenced=True, keys=keys).cte("moved")
    noted = end_record.noting(moved, attempt_of(moved)).cte("noted")
    coming = (
        sa.select(
            sa.bindparam("container_", type_=sa.Text).label("id"),
            sa.func.count().label("number"),
            sa.func.sum(sa.bindparam("failed_", type_=sa.Integer)).label("failed"),
            sa.func.max(sa.bindparam("soon_", type_=sa.BigInteger)).label("soon"),
        )
        .select_from(moved)
        .where(moved.c.id == sa.bindparam("id_", type_=sa.Text), moved.c.run_status.in_(words(LIVE)))
        .group_by(sa.text("1"))
        .cte("coming")
    )
    container: Any = _table.alias("container")
    left = container.c.open - coming.c.number
    needs_attention = sa.or_(left <= 0, container.c.type == sa.literal_column("'for_each'"))
    arrived = (
        sa.update(container)
        .where(container.c.id == coming.c.id, container.c.status == sa.literal_column(quoted(Status.RUNNING)))
        .values(
            open=left,
            failures=container.c.failures + coming.c.failed,
            due_at=sa.case((needs_attention, coming.c.soon), else_=container.c.due_at),
        )
        .returning(container.c.open, container.c.type.label("type_"))
        .cte("arrived")
    )
    is_last = sa.func.row_number().over(order_by=moved.c.id.desc()) == sa.literal_column("1")
    told = [sa.case((is_last, sa.select(column).scalar_subquery())).label(column.name) for column in arrived.c]
    shown = sa.select(*end_record.others(moved), *told)
    return Prepared(shown.add_cte(noted, *kept_keys.changing(keys, moved)), keys=("id_",))
