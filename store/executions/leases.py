"""Leases: how a worker process keeps the executions that it has claimed.

A claim gives a row a lease. The heartbeat extends the leases of all rows of a process in one statement; ``still_held``
tells which of them are still its own. An attempt that the process gives up by itself it hands back, for others to claim
at once. Of a row that was taken away the process records when it has released it.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from playbooks.states import Status
from store.engine.db import Connection, Row, now_ms
from store.executions.rows import TIMEOUT_GRACE
from store.executions.transitions import LIVE, executions, transition

_run = executions.alias("run")
#: whether nothing around a row has ended: it is no step, or its run is live
_goes_on = sa.or_(
    executions.c.run_id.is_(None), sa.exists().where(_run.c.id == executions.c.run_id, _run.c.status.in_(LIVE))
)


def extend(db: Connection, owner: str, execution_ids: list[str], lease_ms: int) -> None:
    """Renew the lease of every running row of one process (the heartbeat).

    A lease ends at the latest with its attempt's time. The rows are locked in the order of their ids, as a cancel does
    (``store.executions.steps``): so they never deadlock.
    """
    table, now = executions.c, now_ms()
    end = table.expires_at + TIMEOUT_GRACE
    mine = sa.and_(table.id.in_(execution_ids), table.owner == owner, table.status == Status.RUNNING)
    in_order = sa.select(table.id).where(mine).order_by(table.id).with_for_update()
    db.execute(
        sa.update(executions)
        .where(table.id.in_(in_order), mine)
        .values(renewed_at=now, due_at=sa.case((end < now + lease_ms, end), else_=now + lease_ms))
    )


def still_held(db: Connection, owner: str, execution_ids: list[str]) -> set[tuple[str, int]]:
    """The executions among these that still run for this owner.

    Each comes with its attempt. No step of a run that has ended is held.
    """
    table = executions.c
    mine = sa.and_(table.id.in_(execution_ids), table.owner == owner, table.status == Status.RUNNING)
    return {(row.id, row.attempt) for row in db.execute(sa.select(table.id, table.attempt).where(mine, _goes_on))}


def hand_back(db: Connection, execution_id: str, owner: str, attempt: int, *, begun: bool) -> bool:
    """Hand an attempt back: pending, due at once, no lapse counted.

    ``begun`` says that its effect may have begun. False when it was taken away, or belongs to a run that has ended.
    """
    moved = transition(
        db,
        execution_id,
        Status.PENDING,
        actor=owner,
        fence=attempt,
        guard="may be handed back",
        in_doubt=begun,
        owner=None,
        publishes=0,
        due_at=now_ms(),
    )
    return moved is not None


def lapse(db: Connection, execution_id: str, attempt: int) -> None:
    """End the lease of an attempt whose process ends; tick recovers it."""
    table = executions.c
    mine = sa.and_(table.id == execution_id, table.attempt == attempt, table.status == Status.RUNNING)
    db.execute(sa.update(executions).where(mine).values(due_at=now_ms(), renewed_at=0))


def held_by(db: Connection, owners: Iterable[str]) -> list[Row]:
    """The rows that run for owners whose names begin so."""
    table = executions.c
    theirs = sa.or_(*(table.owner.startswith(owner, autoescape=True) for owner in owners))
    running = sa.and_(table.due_at.is_not(None), table.status == Status.RUNNING, theirs)
    return list(
        db.execute(sa.select(table.id, table.attempt, table.idempotent, table.owner, table.renewed_at).where(running))
    )


def release(db: Connection, execution_id: str, owner: str, attempt: int) -> None:
    """Record that this process has released a row taken from it.

    A cancel waits for that. A step of a run that has ended may be released before it is ended itself: the end of the
    run came first.
    """
    table = executions.c
    mine = sa.and_(table.id == execution_id, table.owner == owner, table.attempt == attempt)
    taken = sa.or_(table.status != Status.RUNNING, sa.not_(_goes_on))
    db.execute(sa.update(executions).where(mine, taken).values(owner=None))
