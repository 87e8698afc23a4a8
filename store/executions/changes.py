"""Changes of executions in the order of the audit trail, for monitors.

A reader asks for what came after the last row that it knows. Ids are given before a transaction commits, so on
PostgreSQL a row can appear below one that was read already: the reader asks for the ids that were missing again
(``tasks.clock.monitors``).
"""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from store.audit import audit
from store.engine.db import Connection
from store.engine.prepared import Prepared
from store.executions.transitions import executions

_trail, _table = audit.c, executions.c

_change = sa.select(
    _trail.id,
    _trail.at,
    _trail.actor,
    _trail.event,
    _trail.details,
    _table.id.label("execution_id"),
    _table.kind,
    _table.action_id,
    _table.type,
    _table.run_id,
    _table.parent_id,
    _table.root_id,
    _table.queue,
    _table.status,
    _table.attempt,
    _table.waiting_for,
    _table.error,
    _table.started_at,
    _table.completed_at,
).select_from(audit.outerjoin(executions, _table.id == _trail.subject))

_page = Prepared(
    _change.where(_trail.id > sa.bindparam("after_", type_=sa.BigInteger))
    .order_by(_trail.id)
    .limit(sa.bindparam("limit_", type_=sa.Integer))
)
_latest = Prepared(sa.select(sa.func.max(_trail.id).label("id")))


def after(db: Connection, audit_id: int, limit: int) -> list[Any]:
    """The audit rows after one, oldest first, each with its execution.

    The columns of the execution are NULL for a row about something else, and for an execution that was deleted.
    """
    return _page.run(db, {"after_": audit_id, "limit_": limit})[0]


def at(db: Connection, audit_ids: Collection[int]) -> list[Any]:
    """The audit rows with these ids, as far as they are there by now."""
    return list(db.execute(_change.where(_trail.id.in_(sorted(audit_ids))).order_by(_trail.id)))


def latest(db: Connection) -> int:
    """The id of the newest audit row; 0 if there is none."""
    return _latest.first(db, {}).id or 0
