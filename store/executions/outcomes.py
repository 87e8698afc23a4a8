"""What is counted of executions that have ended."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from playbooks.states import Status
from store.engine.db import Connection, Row
from store.engine.prepared import words
from store.executions.transitions import TERMINAL, executions

_table = executions.c
_ENDS = words(tuple(sorted(TERMINAL)))
#: ids in one statement
_AT_ONCE = 500
_COLUMNS = (
    _table.id,
    _table.kind,
    _table.mode,
    _table.action_id,
    _table.attempt,
    _table.lapses,
    _table.created_at,
    _table.started_at,
    _table.completed_at,
    sa.case((_table.status.in_((Status.FAILED, Status.TIMEOUT)), _table.error)).label("error"),
)


def read(db: Connection, ids: Sequence[str]) -> dict[str, Row]:
    """The executions of these ids that are still there, by id."""
    found: dict[str, Row] = {}
    for start in range(0, len(ids), _AT_ONCE):
        query = sa.select(*_COLUMNS).where(_table.id.in_(ids[start : start + _AT_ONCE]))
        found |= {row.id: row for row in db.execute(query)}
    return found


def ended(db: Connection, execution_ids: Iterable[str]) -> list[str]:
    """Those of the executions that have ended."""
    query = sa.select(_table.id).where(_table.id.in_(list(execution_ids)), _table.status.in_(_ENDS))
    return [row.id for row in db.execute(query)]
