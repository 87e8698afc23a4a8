"""The records of the trail, in lists and by id, and counted for the conditions of rules.

In order of time a list is read so: of the filters that have an index the rarest leads; its index is walked from the
newest record of each tenant, the other filters are applied to what it brings, and the walks are merged. The rows
themselves, with what was carried, are read last, only those of the part.
"""

import functools
from collections.abc import Mapping, Sequence
from heapq import nlargest
from typing import Any, NamedTuple

import sqlalchemy as sa

from playbooks.states import Kind
from store import paging
from store.access import workspaces
from store.audit import USUAL, audit
from store.callers import reach
from store.callers.reach import Covering
from store.engine import texts
from store.engine.db import Connection, Row
from store.executions.lists import walks
from store.executions.lists.listing import small
from store.executions.lists.walks import Filter, Walk, is_one_of, unindexed
from store.executions.transitions import executions
from store.gateway.payloads import payloads
from store.paging import Condition, Found, Part, cut

_table = audit.c
#: tenants that are looked up, and that are counted, together
_AT_ONCE, _COUNTED = 200, 1_000
#: a period that moves on by less than this has the same total, ms
_MINUTE = 60_000

_is_record: Condition = sa.literal_column("audit.outcome IS NOT NULL")
#: exactly as the index has it, which is how SQLite recognises that the index fits
_is_unusual: Condition = sa.literal_column(f"audit.outcome <> '{USUAL}'")


class Scope(NamedTuple):
    """The records that a caller may read: of these tenants, and ``covered`` by the rest of the grants."""

    tenants: Sequence[str]
    covered: Sequence[Condition] = ()


def scope(db: Connection, grants: Sequence[Covering], named: str | None = None) -> Scope:
    """What the grants cover; of one tenant if it is ``named``, which they must cover."""
    covered: list[Condition] = []
    if not all("*" in part for grant in grants for part in (grant.namespaces, grant.providers, grant.actions)):
        columns = {"namespace": _table.namespace, "provider": _table.provider, "action": _table.action_type}
        covered.append(reach.where(grants, tenant=_table.workspace_id, **columns))
    if named is not None:
        return Scope([named], covered)
    if len(grants) == 1 and grants[0].exact:
        return Scope(grants[0].tenants, covered)
    mine = reach.where(grants, tenant=workspaces.c.id)
    return Scope(db.execute(sa.select(workspaces.c.id).where(mine)).scalars().all(), covered)


def search(db: Connection, within: Scope, filters: Mapping[str, Any], part: Part) -> Found:
    """A part of the records of a scope, newest first.

    ``filters``: ``namespace``, ``provider``, ``action_type``, ``outcome``, ``verdict``, ``matched_rule``,
    ``caller_id``, ``chain_id``, ``since`` and ``until`` (ms). A payload over ``listing.MOST_LISTED`` is NULL;
    ``has_payload`` says whether there is one all the same.
    """
    together, leading = _together(db, within, filters)
    all_of_them = [branch for one in together for branch in one.led_by(leading)]
    total = paging.totals.of(db, _key(within, filters), all_of_them) if part.counted else None
    ids = walks.newest(db, _walks(within, filters, leading), (_table.at, _table.id), part)
    if not ids:
        return Found([], None, total)
    shown, after = cut(ids, part, ("at", "id"))
    columns = [*_SHOWN, small(db, executions.c.input), small(db, payloads.c.body), _has_payload]
    page = sa.select(*columns).select_from(_joined).where(_table.id.in_([key.id for key in shown]))
    rows = texts.read(db, lambda: db.execute(page.order_by(_table.at.desc(), _table.id.desc())).all())
    return Found(list(rows), after, total)


def oldest(db: Connection, within: Scope, filters: Mapping[str, Any], part: Part) -> Found:
    """Time and id of a part of the records that match, oldest first; ``filters`` are those of ``search``."""
    leading = _together(db, within, filters)[1]
    ids = walks.oldest(db, _walks(within, filters, leading), (_table.at, _table.id), part)
    return Found(*cut(ids, part, ("at", "id")), None)


def newest(db: Connection, within: Scope, filters: Mapping[str, Any], part: Part) -> Found:
    """Time and id of a part of the records that match, newest first; ``filters`` are those of ``search``."""
    leading = _together(db, within, filters)[1]
    ids = walks.newest(db, _walks(within, filters, leading), (_table.at, _table.id), part)
    return Found(*cut(ids, part, ("at", "id")), None)


def to_replay(db: Connection, ids: Sequence[int]) -> list[Row]:
    """These records, oldest first, with all that is kept of what they carried: few at once, bodies are large."""
    query = sa.select(*_SHOWN, *_CARRIED).select_from(_joined).where(_table.id.in_(ids))
    return list(db.execute(query.order_by(_table.at, _table.id)))


def of(db: Connection, within: Scope, action_id: str, *, limit: int) -> list[Row]:
    """The newest records of one action id: the one that a dispatch was given, or that of what was carried out."""
    columns = [*_SHOWN, executions.c.input, payloads.c.body, _has_payload]
    found: dict[int, Row] = {}
    for mine in (_table.given_id == action_id, _table.subject == action_id):
        for first in range(0, len(within.tenants), _AT_ONCE):
            of_tenants = _table.workspace_id.in_(within.tenants[first : first + _AT_ONCE])
            query = sa.select(*columns).select_from(_joined).where(of_tenants, mine, _is_record, *within.covered)
            newest = query.order_by(_table.id.desc()).limit(limit)
            found |= {row.id: row for row in texts.read(db, functools.partial(_all, db, newest))}
    return nlargest(limit, found.values(), key=lambda row: (row.at, row.id))


def _all(db: Connection, query: sa.Select[Any]) -> list[Row]:
    return list(db.execute(query))


def count(db: Connection, tenant: str, filters: Mapping[str, Any], most: int) -> int:
    """How many records of a tenant match, counted up to ``most``; ``filters`` are those of ``search``."""
    return min(most, paging.counted(db, _list([tenant], (), filters).branches(db), most))


_joined = audit.outerjoin(
    executions, sa.and_(executions.c.id == _table.subject, executions.c.workspace_id == _table.workspace_id)
).outerjoin(payloads, payloads.c.subject == _table.subject)
_has_payload = sa.or_(executions.c.input.is_not(None), payloads.c.body.is_not(None)).label("has_payload")
_SHOWN = (
    *(column for column in audit.c if column.name != "xid"),
    executions.c.id.label("execution_id"),
    executions.c.kind,
    executions.c.run_id,
    executions.c.gate,
    executions.c.error,
)


#: what a replay is made of
_CARRIED = (
    executions.c.input,
    executions.c.sealed,
    executions.c.target,
    executions.c.revision_id,
    executions.c.action_id,
    payloads.c.body,
    payloads.c.members,
)


def _together(db: Connection, within: Scope, filters: Mapping[str, Any]) -> tuple[list[Walk], int]:
    """The records that match, of several tenants at once for counting, and the number of the filter that leads."""
    groups = [within.tenants[first : first + _COUNTED] for first in range(0, len(within.tenants), _COUNTED)]
    together = [_list(group, within.covered, filters) for group in groups]
    return together, walks.rarest(db, together)


def _walks(within: Scope, filters: Mapping[str, Any], leading: int) -> list[sa.Select[Any]]:
    """The walks of each tenant, in the order of an index."""
    each = [_list([tenant], within.covered, filters) for tenant in within.tenants]
    return [branch for one in each for branch in one.led_by(leading)]


def _list(tenants: Sequence[str], covered: Sequence[Condition], filters: Mapping[str, Any]) -> Walk:
    """The records of tenants that match: of one in the order of an index, of several for counting."""
    of_tenants = _table.workspace_id == tenants[0] if len(tenants) == 1 else _table.workspace_id.in_(tenants)
    mine = [of_tenants, _is_record, *covered, *_period(filters)]
    mine += [_table[name] == filters[given] for given, name in _PLAIN.items() if filters.get(given)]
    if filters.get("outcome") == USUAL:
        mine.append(_table.outcome == USUAL)
    verdict, chain = filters.get("verdict"), filters.get("chain_id")
    if verdict == "allow":  # of what no rule concerns, and of what one lets through
        mine.append(_table.verdict.is_(None))
    first = [is_one_of(_table[name], [filters[given]]) for given, name in _INDEXED.items() if filters.get(given)]
    if verdict and verdict != "allow":
        first.append(is_one_of(_table.verdict, [verdict]))
    if filters.get("outcome") and filters["outcome"] != USUAL:
        first.append(Filter([sa.and_(_is_unusual, _table.outcome == filters["outcome"])], _outcome(filters["outcome"])))
    if chain:  # its steps are few; by the index of the tenant's records, which this leaves out, all would be read
        mine = [condition for condition in mine if condition is not _is_record]
        mine += [unindexed(_table.outcome).is_not(None), *(each.otherwise for each in first)]
        first = [_of_run(chain)]
    return Walk(table=audit, mine=mine, first=first, time="at")


#: filter → column; those without an index of their own, and those with one
_PLAIN = {"namespace": "namespace", "caller_id": "caller"}
_INDEXED = {"matched_rule": "rule", "action_type": "action_type", "provider": "provider"}


def _outcome(wanted: str) -> Condition:
    return unindexed(_table.outcome) == wanted


def _of_run(run_id: str) -> Filter:
    """The records of the steps of a run."""
    steps = sa.select(executions.c.id).where(executions.c.run_id == run_id, executions.c.kind == Kind.STEP)
    return Filter([_table.subject.in_(steps)], unindexed(_table.subject).in_(steps))


def _period(filters: Mapping[str, Any]) -> list[Condition]:
    since, until = filters.get("since"), filters.get("until")
    where = [_table.at >= since] if since is not None else []
    return where + ([_table.at < until] if until is not None else [])


def _key(within: Scope, filters: Mapping[str, Any]) -> Any:
    """What a list's total is remembered by."""
    period = tuple(filters[name] // _MINUTE if filters.get(name) is not None else None for name in ("since", "until"))
    named = sorted((name, str(value)) for name, value in filters.items() if name not in ("since", "until"))
    limits = tuple(str(one.compile(compile_kwargs={"literal_binds": True})) for one in within.covered)
    return "records", tuple(within.tenants), limits, tuple(named), period
