"""Completions: executions of triggered actions whose end playbooks listen for.

The mark is written with the end of the execution (``waiting_for`` "announce", due soon), so that no end is lost; it is
cleared in the transaction that starts the playbooks, so that none starts twice.
"""

from typing import Any

import sqlalchemy as sa

from playbooks.states import Status, WaitingFor
from store.engine.db import Connection, Row, now_ms
from store.engine.prepared import words
from store.executions.transitions import executions

_table = executions.c

#: after this long without an announcement tick asks for it again, ms
PATIENCE = 5_000
#: the ends that playbooks may listen for
ANNOUNCED = (Status.COMPLETED, Status.FAILED, Status.TIMEOUT)


def mark() -> dict[str, Any]:
    """Columns of an execution whose end is to be announced."""
    return {"waiting_for": WaitingFor.ANNOUNCE, "due_at": now_ms() + PATIENCE}


def read(db: Connection, execution_id: str) -> Row | None:
    """The execution, while its end has yet to be announced."""
    return db.execute(sa.select(executions).where(_marked(execution_id))).first()


def take(db: Connection, execution_id: str) -> bool:
    """Clear the mark; false when another process was faster."""
    clear = sa.update(executions).where(_marked(execution_id)).values(waiting_for=None, due_at=None)
    return db.execute(clear).rowcount == 1


def _marked(execution_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        _table.id == execution_id, _table.status.in_(words(ANNOUNCED)), _table.waiting_for == WaitingFor.ANNOUNCE
    )
