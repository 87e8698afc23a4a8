"""Leases: how a worker process keeps what it has claimed.

A claim gives a row a lease; the heartbeat extends those of all rows a process holds in one statement; a look tells
which of them are still its own. Of a row that was taken away the process says when it has let go.
"""

import sqlalchemy as sa

from store.db import Connection, now_ms
from store.executions import LIVE, TIMEOUT_GRACE, executions

_run = executions.alias("run")


def extend(db: Connection, owner: str, execution_ids: list[str], lease_ms: int) -> None:
    """The heartbeat: every running row of one process gets a fresh lease, up to the end of its attempt's time."""
    table, now = executions.c, now_ms()
    end = table.expires_at + TIMEOUT_GRACE
    mine = sa.and_(table.id.in_(execution_ids), table.owner == owner, table.status == "running")
    db.execute(
        sa.update(executions)
        .where(mine)
        .values(renewed_at=now, due_at=sa.case((end < now + lease_ms, end), else_=now + lease_ms))
    )


def still_held(db: Connection, owner: str, execution_ids: list[str]) -> set[tuple[str, int]]:
    """Which of these are running for this owner still, each with its attempt; no step is held of a run that ended."""
    table = executions.c
    mine = sa.and_(table.id.in_(execution_ids), table.owner == owner, table.status == "running")
    goes_on = sa.or_(table.run_id.is_(None), sa.exists().where(_run.c.id == table.run_id, _run.c.status.in_(LIVE)))
    return {(row.id, row.attempt) for row in db.execute(sa.select(table.id, table.attempt).where(mine, goes_on))}


def let_go(db: Connection, execution_id: str, owner: str, attempt: int) -> None:
    """Say that this process does nothing more for a row that was taken from it (what a cancel waits for)."""
    table = executions.c
    mine = sa.and_(table.id == execution_id, table.owner == owner, table.attempt == attempt)
    db.execute(sa.update(executions).where(mine, table.status != "running").values(owner=None))
