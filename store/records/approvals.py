"""Approvals with their executions: in lists, and locked for a decision."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from playbooks.states import Kind, Status, WaitingFor
from store import paging
from store.callers import reach
from store.callers.reach import Covering
from store.engine.db import Connection, Row, now_ms
from store.engine.prepared import Prepared, words
from store.executions.lists import walks
from store.executions.transitions import executions
from store.gateway.approvals import CANCELLED, PENDING, RULE, approvals, is_pending
from store.paging import Condition, Found, Part, Total

_table = approvals.c
_ORDER = (_table.created_at, _table.id)
#: approvals that are counted at most
_MOST = 10_000

_read = Prepared(sa.select(executions).where(executions.c.id == sa.bindparam("wanted")))

#: whether the execution of an approval waits for it still; the limit keeps PostgreSQL from looking for all that wait
_waits: sa.ColumnElement[bool] = (
    sa.select(executions.c.id)
    .where(
        executions.c.id == _table.execution_id,
        executions.c.status == Status.WAITING,
        executions.c.waiting_for.in_(words((WaitingFor.APPROVAL, WaitingFor.GATE))),
    )
    .correlate(approvals)
    .limit(sa.literal_column("1"))
    .scalar_subquery()
    .is_not(None)
)
_status = sa.case((_table.status != PENDING, _table.status), (_waits, PENDING), else_=CANCELLED).label("shown_status")


def execution(db: Connection, execution_id: str) -> Row | None:
    """The execution of an approval, whatever its workspace."""
    found: Row | None = _read.first(db, {"wanted": execution_id})
    return found


def locked_execution(db: Connection, execution_id: str) -> Row | None:
    """The same; no other transaction changes it until this one ends."""
    return db.execute(sa.select(executions).where(executions.c.id == execution_id).with_for_update()).first()


def search(db: Connection, grants: Sequence[Covering], filters: Mapping[str, Any], part: Part) -> Found:
    """A part of the approvals that grants cover, the newest first.

    ``filters``: ``status`` (a list), ``namespace``, ``tenant``. Each row has ``shown_status``. Each status is a walk of
    its own, so that a rare one does not walk through all of a tenant.
    """
    where = [_covered(grants), *_wanted(filters)]
    ways = [way for status in dict.fromkeys(filters["status"]) for way in _as(status)]
    branches = [sa.select(*_ORDER).where(way, *where) for way in ways]
    total = None
    if part.counted:
        number = paging.counted(db, branches, _MOST)
        total = Total(min(number, _MOST), is_estimate=number > _MOST)
    shown, after = paging.cut(walks.newest(db, branches, _ORDER, part), part, ("created_at", "id"))
    query = sa.select(approvals, _status).where(_table.id.in_([one.id for one in shown]))
    rows = db.execute(query.order_by(_table.created_at.desc(), _table.id.desc())).all() if shown else []
    return Found(list(rows), after, total)


def get(db: Connection, grants: Sequence[Covering], approval_id: str) -> Row | None:
    """One approval that grants cover, with ``shown_status``; None where there is none."""
    query = sa.select(approvals, _status).where(_table.id == approval_id, _covered(grants))
    return db.execute(query).first()


def _covered(grants: Sequence[Covering]) -> Condition:
    columns = {"namespace": _table.namespace, "provider": _table.provider, "action": _table.action_type}
    return reach.where(grants, tenant=_table.workspace_id, **columns)


def _wanted(filters: Mapping[str, Any]) -> list[Condition]:
    found: list[Condition] = []
    if "namespace" in filters:
        found.append(_table.namespace == filters["namespace"])
    if "tenant" in filters:
        found.append(_table.workspace_id == filters["tenant"])
    return found


def _as(status: str) -> list[Condition]:
    """Where an approval has a status, as lists show it: conditions, of which none meets two."""
    if status == PENDING:
        return [sa.and_(is_pending, _waits)]
    if status == CANCELLED:
        return [_table.status == CANCELLED, sa.and_(is_pending, ~_waits)]
    return [_table.status == status]


def waiting(db: Connection) -> int:
    """How many dispatches wait for an approval, up to a bound."""
    row = _waiting.first(db, {})
    return int(row.number)


_waiting = Prepared(
    sa.select(sa.func.count().label("number")).select_from(
        sa.select(_table.id)
        .join(executions, executions.c.id == _table.execution_id)
        .where(
            is_pending,
            _table.origin == sa.literal_column(f"'{RULE}'"),
            executions.c.kind == sa.literal_column(f"'{Kind.DISPATCH}'"),
            executions.c.waiting_for == sa.literal_column(f"'{WaitingFor.GATE}'"),
        )
        .limit(_MOST)
        .subquery()
    )
)


def settle_left(db: Connection, *, before: int, limit: int = 500) -> int:
    """Note as cancelled what was asked before (ms) and waits no more; returns how many."""
    left = sa.select(_table.id).where(is_pending, ~_waits, _table.created_at < before).limit(limit)
    ended = {"status": CANCELLED, "decided_at": now_ms(), "decided_by": "system", "notify_at": None}
    change = sa.update(approvals).where(_table.id.in_(left), _table.status == PENDING).values(ended)
    return db.execute(change).rowcount
