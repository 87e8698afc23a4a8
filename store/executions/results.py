"""What executions have come to, for those who asked for them."""

from collections.abc import Collection

import sqlalchemy as sa

from playbooks.states import Kind
from store.engine.db import Connection, Row
from store.engine.prepared import Prepared
from store.executions.transitions import executions

#: ids in one statement
_AT_ONCE = 500
_table = executions.c
_columns = sa.select(
    _table.id,
    _table.workspace_id,
    _table.status,
    _table.attempt,
    _table.output,
    _table.error,
    _table.gate,
    _table.input,
)
_one = Prepared(_columns.where(_table.id == sa.bindparam("wanted"), _table.kind == sa.bindparam("kind")))


def read(db: Connection, execution_ids: Collection[str], kind: Kind = Kind.DISPATCH) -> list[Row]:
    """The results so far of these dispatches, or of executions of another kind."""
    wanted = list(execution_ids)
    if len(wanted) == 1:
        row = _one.first(db, {"wanted": wanted[0], "kind": kind})
        return [] if row is None else [row]
    found: list[Row] = []
    for at in range(0, len(wanted), _AT_ONCE):
        these = _table.id.in_(wanted[at : at + _AT_ONCE])
        found += db.execute(_columns.where(these, _table.kind == kind))
    return found
