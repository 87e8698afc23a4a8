"""Silences in lists; and what they have kept from going out, summed up from the records."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from store import paging
from store.access import workspaces
from store.audit import USUAL, audit
from store.callers import reach
from store.callers.reach import Covering
from store.engine.db import Connection, Row, now_ms
from store.executions.lists.listing import small
from store.executions.lists.walks import unindexed
from store.executions.transitions import executions
from store.gateway.silences import silences
from store.paging import Condition, Found, Order, Part, Total

ACTIVE, PENDING, ENDED = "active", "pending", "ended"
STATUSES = (ACTIVE, PENDING, ENDED)
#: silences that are counted, and records that are looked at for a summary, at most
_MOST, MOST_SUMMED = 10_000, 10_000
#: the outcome of what a silence keeps back
SILENCED = "silenced"

_table = silences.c
_ORDER = Order((_table.created_at, _table.id), (True, True))
_record = audit.c
_is_record: Condition = sa.literal_column("audit.outcome IS NOT NULL")
#: the outcomes of what went out, or was to
_WENT_OUT = (USUAL, "rerouted", "failed", "circuit_open")
#: exactly as the index has it
_is_unusual: Condition = sa.literal_column(f"audit.outcome <> '{USUAL}'")


def search(db: Connection, grants: Sequence[Covering], filters: Mapping[str, Any], part: Part) -> Found:
    """A part of the silences of the tenants that grants cover, the newest first.

    ``filters``: ``status`` (a list), ``tenant``.
    """
    where = [covered(grants), _is_one_of(filters["status"])]
    if "tenant" in filters:
        where.append(_table.workspace_id == filters["tenant"])
    total = None
    if part.counted:
        some = sa.select(_table.created_at).where(*where).limit(_MOST).subquery()
        number = db.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
        total = Total(number, is_estimate=number == _MOST)
    return Found(*paging.read(db, sa.select(silences).where(*where), _ORDER, part, ("created_at", "id")), total)


def get(db: Connection, grants: Sequence[Covering], silence_id: str) -> Row | None:
    """One silence of a tenant that grants cover; None where there is none."""
    return db.execute(sa.select(silences).where(_table.id == silence_id, covered(grants))).first()


def covered(grants: Sequence[Covering]) -> Condition:
    """Whether the tenant of a silence is covered: by its name, whether there is such a workspace yet or not."""
    found: list[Condition] = []
    for grant in grants:
        if "*" in grant.tenants:
            return sa.true()
        found.append(_table.workspace_id.in_(grant.tenants))
        if not grant.exact:
            found += [sa.func.substr(_table.workspace_id, 1, len(one) + 1) == f"{one}." for one in grant.tenants]
    return sa.or_(sa.false(), *found)


def status_of(row: Any, now: int) -> str:
    """Where a silence stands at a time (ms)."""
    if row.ended_at is not None or (row.ends_at is not None and row.ends_at <= now):
        return ENDED
    return PENDING if row.starts_at > now else ACTIVE


def _is_one_of(statuses: Sequence[str]) -> Condition:
    now = now_ms()
    over = sa.or_(_table.ended_at.is_not(None), sa.and_(_table.ends_at.is_not(None), _table.ends_at <= now))
    ways: dict[str, Condition] = {
        ENDED: over,
        PENDING: sa.and_(~over, _table.starts_at > now),
        ACTIVE: sa.and_(~over, _table.starts_at <= now),
    }
    return sa.true() if set(statuses) >= set(STATUSES) else sa.or_(*(ways[status] for status in statuses))


def kept_back(
    db: Connection, silence_id: str, grants: Sequence[Covering], since: int, until: int
) -> tuple[Counter[tuple[str, str]], bool]:
    """How many a silence has kept back in a period (ms), by provider and action type; whether all were counted."""
    found, looked_at = Counter[tuple[str, str]](), 0
    for row in _silenced(db, grants, since, until):
        looked_at += 1
        if _silence_of(row) == silence_id:
            found[row.provider or "", row.action_type or ""] += 1
    return found, looked_at < MOST_SUMMED


def _silenced(db: Connection, grants: Sequence[Covering], since: int, until: int) -> Iterator[Any]:
    joined = audit.outerjoin(
        executions, sa.and_(executions.c.id == _record.subject, executions.c.workspace_id == _record.workspace_id)
    )
    columns = (_record.provider, _record.action_type, _record.details, executions.c.gate)
    left = MOST_SUMMED
    for tenant in tenants(db, grants):
        where = (_record.workspace_id == tenant, _is_unusual, _record.outcome == SILENCED)
        period = (_record.at >= since, _record.at < until)
        query = sa.select(*columns).select_from(joined).where(*where, *period).order_by(_record.at, _record.id)
        rows = db.execute(query.limit(left)).all()
        yield from rows
        left -= len(rows)
        if left <= 0:
            return


def went_out(db: Connection, grants: Sequence[Covering], since: int, most: int) -> list[Any]:
    """The newest records since a time (ms) of what went out in earnest, at most about ``most``."""
    joined = audit.outerjoin(
        executions, sa.and_(executions.c.id == _record.subject, executions.c.workspace_id == _record.workspace_id)
    )
    record = (_record.workspace_id, _record.origin, _record.namespace, _record.provider, _record.action_type)
    more = (_record.given_id, _record.caller, _record.at, _record.began_at, executions.c.gate, executions.c.target)
    columns = (*record, *more, small(db, executions.c.input))
    found: list[Any] = []
    for tenant in tenants(db, grants):
        where = (_record.workspace_id == tenant, _is_record, unindexed(_record.outcome).in_(_WENT_OUT))
        newest = sa.select(*columns).select_from(joined).where(*where, _record.at >= since)
        found += db.execute(newest.order_by(_record.at.desc(), _record.id.desc()).limit(most - len(found))).all()
        if len(found) >= most:
            break
    return found


def tenants(db: Connection, grants: Sequence[Covering]) -> Sequence[str]:
    """The workspaces that grants cover."""
    return list(db.scalars(sa.select(workspaces.c.id).where(reach.where(grants, tenant=workspaces.c.id))))


def _silence_of(row: Any) -> str | None:
    """The silence that a record names, in its details or in the account of its execution."""
    for text in (row.details, row.gate):
        said = json.loads(text) if text else {}
        silence = said.get("silence") if isinstance(said, dict) else None
        if silence:
            return str(silence.get("id"))
    return None
