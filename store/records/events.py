"""Events in lists, by their fingerprints, and with their history.

A list is read off an index that has its order, for each tenant by itself: that of the labels if one is asked for, else
that of the state, of the namespace, or of all. The other filters are applied to what that brings.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from store.access import workspaces
from store.audit import audit
from store.callers import reach
from store.callers.reach import Covering
from store.engine.db import Connection, Row
from store.executions.lists import walks
from store.gateway import events as rows
from store.gateway.events import event_labels, events
from store.paging import Condition, Found, Part, cut

_table = events.c
#: filter → column
_COLUMNS = {"status": _table.state, "namespace": _table.namespace}


def search(db: Connection, grants: Sequence[Covering], filters: Mapping[str, Any], part: Part) -> Found:
    """A part of the events that grants cover, the newest first.

    ``filters``: ``status`` (the state), ``namespace``, ``tenant``, ``labels`` (pairs of name and value).
    """
    labels = list(filters.get("labels", ()))
    source = event_labels if labels else events
    mine = [_covered(grants), *(_has(*label) for label in labels[1:])]
    branches = [_walk(tenant, labels, filters, mine) for tenant in _tenants(db, grants, filters.get("tenant"))]
    if not branches:
        return Found([], None, None)
    shown, after = cut(walks.newest(db, branches, (source.c.created_at, source.c.id), part), part, ("created_at", "id"))
    page = sa.select(events).where(_table.id.in_([key.id for key in shown]))
    found = db.execute(page.order_by(_table.created_at.desc(), _table.id.desc())).all()
    return Found(list(found), after, None)


def _tenants(db: Connection, grants: Sequence[Covering], named: str | None) -> Sequence[str]:
    if named is not None:
        return [named]
    if len(grants) == 1 and grants[0].exact:
        return grants[0].tenants
    return db.execute(sa.select(workspaces.c.id).where(reach.where(grants, tenant=workspaces.c.id))).scalars().all()


def _walk(
    tenant: str, labels: Sequence[tuple[str, str]], filters: Mapping[str, Any], mine: Sequence[Condition]
) -> sa.Select[Any]:
    """Time and id of a tenant's events in their order, by the index that fits the filters best."""
    if labels:
        table = event_labels.c
        first = [table.workspace_id == tenant, table.label == rows.label_digest(*labels[0])]
        if conditions := [*mine, *_wanted(filters)]:
            # the limit keeps PostgreSQL from reading all events to join them
            event = sa.select(_table.id).where(_table.id == table.id, *conditions).limit(sa.literal_column("1"))
            first.append(event.correlate(event_labels).scalar_subquery().is_not(None))
        return sa.select(table.created_at, table.id).where(*first)
    leading = next((name for name in ("status", "namespace") if name in filters), None)
    others = {name: value for name, value in filters.items() if name != leading}
    first = [_table.workspace_id == tenant]
    if leading is not None:
        first.append(_COLUMNS[leading] == filters[leading])
    return sa.select(_table.created_at, _table.id).where(*first, *mine, *_wanted(others))


def _has(name: str, value: str) -> Condition:
    other = event_labels.alias()
    return sa.exists().where(other.c.id == _table.id, other.c.label == rows.label_digest(name, value))


def _covered(grants: Sequence[Covering]) -> Condition:
    columns = {"namespace": _table.namespace, "provider": _table.provider, "action": _table.action_type}
    return reach.where(grants, tenant=_table.workspace_id, **columns)


def _wanted(filters: Mapping[str, Any]) -> list[Condition]:
    return [walks.unindexed(column) == filters[name] for name, column in _COLUMNS.items() if name in filters]


def named(
    db: Connection, grants: Sequence[Covering], fingerprint: str, namespace: str | None, tenant: str | None
) -> list[Row]:
    """The events with a fingerprint that grants cover, two at most."""
    where = [_table.digest == rows.digest(fingerprint), _table.fingerprint == fingerprint, _covered(grants)]
    if namespace is not None:
        where.append(_table.namespace == namespace)
    if tenant is not None:
        where.append(_table.workspace_id == tenant)
    return list(db.execute(sa.select(events).where(*where).limit(2)))


def history(db: Connection, row: Any, *, before: int | None, limit: int) -> list[tuple[int, Row]]:
    """The rows of the trail that tell what became of an event, numbered from 1, the newest first."""
    last = row.moves if before is None else min(row.moves, before - 1)
    numbers = {rows.subject(row, number): number for number in range(max(1, last - limit + 1), last + 1)}
    mine = (audit.c.workspace_id == row.workspace_id, audit.c.subject.in_(numbers))
    found = db.execute(sa.select(audit).where(*mine).order_by(audit.c.id.desc())) if numbers else ()
    return [(numbers[one.subject], one) for one in found]
