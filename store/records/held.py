"""The executions that silences hold: moved when a silence ends early or late, and forgotten once they go out."""

from typing import Any

import sqlalchemy as sa

from playbooks.states import Status, WaitingFor
from store.engine.db import Connection
from store.executions.transitions import executions
from store.gateway.silences import silence_holds, silenced_alerts

_row, _hold = executions.c, silence_holds.c
#: how far the time of a step lies from that of its place at most, ms
_NEAR = 5_000

_delayed = sa.and_(_row.status == Status.WAITING, _row.waiting_for == WaitingFor.DELAY)
#: a run that begins later
_later = sa.and_(_row.status == Status.PENDING, _row.publishes == 0, _row.started_at.is_(None))
_waits = sa.or_(_delayed, _later)


def move(db: Connection, silence_id: str, until: int) -> int:
    """Let what a silence holds go out from ``until`` (ms) on, in its order; returns how many wait.

    What waits for something else by now stays. A step that is just being held does not wait yet: tick asks again.
    """
    mine = sa.and_(_hold.silence_id == silence_id, _hold.execution_id == _row.id)
    of_it = [
        sa.select(column).where(mine).correlate(executions).scalar_subquery() for column in (_hold.due_at, _hold.seq)
    ]
    ids = sa.select(_hold.execution_id).where(_hold.silence_id == silence_id)
    near = _row.due_at.between(of_it[0] - _NEAR, of_it[0] + _NEAR)
    at = sa.literal(until, sa.BigInteger) + sa.cast(of_it[1], sa.BigInteger)
    moved = db.execute(sa.update(executions).where(_row.id.in_(ids), _waits, near).values(due_at=at)).rowcount
    db.execute(
        sa.update(silence_holds)
        .where(_hold.silence_id == silence_id)
        .values(due_at=sa.literal(until, sa.BigInteger) + sa.cast(_hold.seq, sa.BigInteger))
    )
    return moved


def of_alert(db: Connection, workspace_id: str, alert: str) -> list[Any]:
    """The executions about an alert that silences hold: ``id`` and ``gate``, locked until the transaction ends."""
    noted = sa.and_(silenced_alerts.c.workspace_id == workspace_id, silenced_alerts.c.alert == alert)
    theirs = sa.select(_hold.execution_id).where(
        _hold.silence_id.in_(sa.select(silenced_alerts.c.silence_id).where(noted)), _hold.alert == alert
    )
    held = sa.select(_row.id, _row.gate).where(_row.id.in_(theirs), _row.workspace_id == workspace_id, _delayed)
    return list(db.execute(held.order_by(_row.id).with_for_update(of=executions)))


def forget_released(db: Connection, silence_id: str) -> int:
    """Forget those that wait no more; returns how many wait still, or are about to."""
    mine = _hold.silence_id == silence_id
    left = sa.select(_row.id).where(_row.id == _hold.execution_id, sa.or_(_waits, _row.status == Status.RUNNING))
    db.execute(sa.delete(silence_holds).where(mine, ~left.correlate(silence_holds).exists()))
    return int(db.execute(sa.select(sa.func.count()).select_from(silence_holds).where(mine)).scalar_one())
