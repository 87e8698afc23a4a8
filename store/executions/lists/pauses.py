"""Why runs are shown as paused: by an operator, for an approval, or for a delay."""

from collections.abc import Collection

import sqlalchemy as sa

from playbooks.states import Status, WaitingFor
from store.engine.db import Connection
from store.executions import transitions

_table = transitions.executions.c
_WAITS = (WaitingFor.APPROVAL, WaitingFor.GATE, WaitingFor.DELAY)


def paused_by(db: Connection, run_ids: Collection[str]) -> dict[str, str]:
    """Run id → operator, approval, delay or gate, for runs that are shown as paused.

    The operator comes first, then the others in that order. The query reads the runs by their ids, and the steps of
    those that no operator has paused.
    """
    if not run_ids:
        return {}
    paused = sa.select(_table.id).where(_table.id.in_(run_ids), _table.status == Status.PAUSED)
    found = {row.id: str(WaitingFor.OPERATOR) for row in db.execute(paused)}
    others = [run_id for run_id in run_ids if run_id not in found]
    waiting = sa.select(_table.run_id, sa.func.min(_table.waiting_for).label("first")).where(
        _table.run_id.in_(others), _table.status == Status.WAITING, _table.waiting_for.in_(_WAITS)
    )
    found.update({row.run_id: row.first for row in db.execute(waiting.group_by(_table.run_id))})
    # read a moment later than the list: the rest may just have been paused
    return {run_id: found.get(run_id, str(WaitingFor.OPERATOR)) for run_id in run_ids}
