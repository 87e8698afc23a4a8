"""The rows of the audit trail that are about a run and its steps, in the order of the trail."""

from heapq import nlargest

import sqlalchemy as sa

from store import trail
from store.audit import audit
from store.engine.db import Connection, Row
from store.executions.transitions import executions
from store.trail import Entry

#: steps whose rows are read together
_AT_ONCE = 500
_SHOWN = tuple(column for column in audit.c if column.name not in ("actor", "caller", "began_at"))


def read(db: Connection, workspace_id: str, run_id: str, limit: int) -> tuple[list[Entry], bool]:
    """The newest settled rows of a run, at most ``limit``, and whether those are all."""
    horizon = trail.horizon(db)  # before the rows: what was settled then is among them
    steps = db.execute(sa.select(executions.c.id).where(executions.c.run_id == run_id)).scalars().all()
    subjects, rows, is_whole = [run_id, *steps], list[Row](), True
    for first in range(0, len(subjects), _AT_ONCE):
        mine = audit.c.subject.in_(subjects[first : first + _AT_ONCE])
        rows += db.execute(sa.select(*_SHOWN).where(audit.c.workspace_id == workspace_id, mine))
        if len(rows) > limit:
            rows, is_whole = nlargest(limit, rows, key=lambda row: row.id), False
    return trail.in_order(db, rows, horizon), is_whole
