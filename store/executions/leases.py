"""Leases: how a worker process keeps what it has claimed.

A claim gives a row a lease; the heartbeat extends those of all rows a process holds in one statement; a look tells
which of them are still its own. What it gives up of its own accord it hands back, for others to claim at once. Of a row
that was taken away the process says when it has let go.
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
    """The heartbeat: every running row of one process gets a fresh lease, up to the end of its attempt's time.

    They are locked in the order of their ids, as a cancel does (``store.executions.steps``): so they never deadlock.
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
    """Which of these are running for this owner still, each with its attempt; no step is held of a run that ended."""
    table = executions.c
    mine = sa.and_(table.id.in_(execution_ids), table.owner == owner, table.status == Status.RUNNING)
    return {(row.id, row.attempt) for row in db.execute(sa.select(table.id, table.attempt).where(mine, _goes_on))}


def hand_back(db: Connection, execution_id: str, owner: str, attempt: int) -> bool:
    """Give an attempt up that is still this owner's: the row is pending and due at once, and no lapse is counted.

    False when it was taken away, or belongs to a run that has ended.
    """
    moved = transition(
        db,
        execution_id,
        Status.PENDING,
        actor=owner,
        fence=attempt,
        guard="may be handed back",
        owner=None,
        publishes=0,
        due_at=now_ms(),
    )
    return moved is not None


def lapse(db: Connection, execution_id: str, attempt: int) -> None:
    """End the lease of an attempt whose process ends: tick looks at it at once."""
    table = executions.c
    mine = sa.and_(table.id == execution_id, table.attempt == attempt, table.status == Status.RUNNING)
    db.execute(sa.update(executions).where(mine).values(due_at=now_ms(), renewed_at=0))


def held_by(db: Connection, owners: Iterable[str]) -> list[Row]:
    """What runs for the owners whose names begin so."""
    table = executions.c
    theirs = sa.or_(*(table.owner.startswith(owner, autoescape=True) for owner in owners))
    running = sa.and_(table.due_at.is_not(None), table.status == Status.RUNNING, theirs)
    return list(
        db.execute(sa.select(table.id, table.attempt, table.idempotent, table.owner, table.renewed_at).where(running))
    )


def release(db: Connection, execution_id: str, owner: str, attempt: int) -> None:
    """Say that this process does nothing more for a row that was taken from it (what a cancel waits for).

    A step of a run that has ended may be let go before it is ended itself: the end of the run came first.
    """
    table = executions.c
    mine = sa.and_(table.id == execution_id, table.owner == owner, table.attempt == attempt)
    taken = sa.or_(table.status != Status.RUNNING, sa.not_(_goes_on))
    db.execute(sa.update(executions).where(mine, taken).values(owner=None))
