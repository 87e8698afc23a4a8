"""Changes of executions in the order of the audit trail, for monitors.

A reader asks for what came after the last row that it knows. Ids are given before a transaction commits, so on
PostgreSQL a row can appear below one that was read already: the reader asks for the ids that were missing again
(``tasks.clock.monitors``).
"""

import functools
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from store.audit import audit
from store.engine.db import Connection
from store.engine.prepared import Prepared
from store.executions.transitions import executions

_table = executions.c


def _changes(trail: sa.FromClause) -> sa.Select[Any]:
    """Audit rows, each with its execution."""
    return sa.select(
        trail.c.id,
        trail.c.at,
        trail.c.actor,
        trail.c.event,
        trail.c.details,
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
    ).select_from(trail.outerjoin(executions, _table.id == trail.c.subject))


def after(db: Connection, audit_id: int, limit: int) -> list[Any]:
    """The audit rows after one, oldest first, each with its execution.

    The columns of the execution are NULL for a row about something else, and for an execution that was deleted.
    """
    return _after(limit).run(db, {"after_": audit_id})[0]


@functools.cache
def _after(limit: int) -> Prepared:
    """The limit comes first and is a constant: however the server plans, it looks up that many executions at most."""
    newer = sa.select(audit).where(audit.c.id > sa.bindparam("after_", type_=sa.BigInteger)).order_by(audit.c.id)
    page = newer.limit(sa.literal_column(str(limit))).subquery("page")
    return Prepared(_changes(page).order_by(page.c.id))


def at(db: Connection, audit_ids: Collection[int]) -> list[Any]:
    """The audit rows with these ids, as far as they are there by now."""
    return list(db.execute(_changes(audit).where(audit.c.id.in_(sorted(audit_ids))).order_by(audit.c.id)))


def latest(db: Connection) -> int:
    """The id of the newest audit row; 0 if there is none."""
    return _latest.first(db, {}).id or 0


_latest = Prepared(sa.select(sa.func.max(audit.c.id).label("id")))
