"""Recurring actions as callers see them: in lists, by id, with their firings and what is going on of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from store import audit, paging
from store.callers import reach
from store.callers.reach import Covering
from store.engine.db import Connection, Row
from store.executions.transitions import TERMINAL, executions
from store.paging import Condition, Found, Order, Part
from store.recurring.firings import firings
from store.recurring.schedules import recurring

ACTIVE, PAUSED, COMPLETED = STATUSES = ("active", "paused", "completed")
#: firings among which is looked for what is going on
_MOST_LOOKED_AT = 100

_table, _firing = recurring.c, firings.c
_ORDER = Order((_table.created_at, _table.id), (True, True))
_OF_FIRINGS = Order((_firing.due_at,), (True,))
#: a page of a thousand may have a thousand payloads of a mebibyte
_LISTED = tuple(column for column in _table if column.name != "payload")


def search(db: Connection, grants: Sequence[Covering], filters: Mapping[str, Any], part: Part) -> Found:
    """A part of the recurring actions of a tenant in a namespace that grants cover, the newest first; no payloads.

    ``filters``: ``namespace``, ``tenant``, and where wanted ``status`` (a list), ``labels`` (pairs of name and value).
    """
    where = [_table.workspace_id == filters["tenant"], _table.namespace == filters["namespace"], _covered(grants)]
    if "status" in filters:
        where.append(sa.or_(sa.false(), *(_STATUS[one] for one in filters["status"])))
    where += [_has(db, name, value) for name, value in filters.get("labels", ())]
    return Found(*paging.read(db, sa.select(*_LISTED).where(*where), _ORDER, part, ("created_at", "id")), None)


def get(db: Connection, grants: Sequence[Covering], recurring_id: str, **scope: str) -> Row | None:
    """One that grants cover; None where there is none, or it is of another ``tenant`` or ``namespace``."""
    where = [_table.id == recurring_id, _covered(grants)]
    if "tenant" in scope:
        where.append(_table.workspace_id == scope["tenant"])
    if "namespace" in scope:
        where.append(_table.namespace == scope["namespace"])
    return db.execute(sa.select(recurring).where(*where)).first()


def status_of(row: Any) -> str:
    """Whether it fires on, is paused, or is over."""
    if not row.enabled:
        return PAUSED
    return COMPLETED if row.next_at is None else ACTIVE


_STATUS: Mapping[str, Condition] = {
    ACTIVE: sa.and_(_table.enabled.is_(True), _table.next_at.is_not(None)),
    PAUSED: _table.enabled.is_(False),
    COMPLETED: sa.and_(_table.enabled.is_(True), _table.next_at.is_(None)),
}


def _covered(grants: Sequence[Covering]) -> Condition:
    columns = {"namespace": _table.namespace, "provider": _table.provider, "action": _table.action_type}
    return reach.where(grants, tenant=_table.workspace_id, **columns)


def _has(db: Connection, name: str, value: str) -> Condition:
    """Whether a label has a value; a tenant has few recurring actions in a namespace."""
    if db.dialect.name == "postgresql":
        wanted = sa.literal(json.dumps({name: value}))
        return sa.cast(_table.labels, sa.dialects.postgresql.JSONB).op("@>")(
            sa.cast(wanted, sa.dialects.postgresql.JSONB)
        )
    label = sa.func.json_each(_table.labels).table_valued("key", "value", name="label")
    return sa.exists(sa.select(1).select_from(label).where(label.c.key == name, label.c.value == value))


def execution(db: Connection, execution_id: str | None) -> Any:
    """What a firing has made, its status and error; None where it made nothing or that is kept no more."""
    return db.execute(sa.select(*_SHOWN).where(executions.c.id == execution_id)).first() if execution_id else None


def end(db: Connection, workspace_id: str, execution_id: str) -> Any:
    """The end of what a firing has made, as the trail tells it when the execution is kept no more.

    ``event`` and ``outcome`` of its row; None where there was no end.
    """
    row = audit.audit.c
    mine = (row.workspace_id == workspace_id, row.subject == execution_id, row.event.in_(_ENDS))
    return db.execute(sa.select(row.event, row.outcome).where(*mine).order_by(row.id.desc()).limit(1)).first()


_ENDS = [f"execution.{status}" for status in sorted(TERMINAL)]
_SHOWN = (executions.c.id, executions.c.kind, executions.c.status, executions.c.error, executions.c.completed_at)
_JOINED = tuple(column.label(f"execution_{column.name}") for column in _SHOWN[1:])


def history(db: Connection, recurring_id: str, part: Part) -> Found:
    """A part of the firings of a recurring action, the newest first, each with what became of its execution."""
    joined = firings.outerjoin(executions, executions.c.id == _firing.execution_id)
    query = sa.select(firings, *_JOINED).select_from(joined).where(_firing.recurring_id == recurring_id)
    return Found(*paging.read(db, query, _OF_FIRINGS, part, ("due_at",)), None)


def going_on(db: Connection, recurring_id: str) -> list[Row]:
    """What has not ended of the executions that the newest firings have made."""
    made = (_firing.recurring_id == recurring_id, _firing.execution_id.is_not(None))
    newest = sa.select(_firing.execution_id).where(*made).order_by(_firing.due_at.desc()).limit(_MOST_LOOKED_AT)
    ids = list(db.scalars(newest))
    live = executions.c.status.not_in([str(status) for status in TERMINAL])
    wanted = sa.select(executions.c.id, executions.c.workspace_id, executions.c.kind, executions.c.action_id)
    return list(db.execute(wanted.where(executions.c.id.in_(ids), live))) if ids else []
