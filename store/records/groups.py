"""Groups as they are shown and summarised: in lists, with their members, and counted for a summary."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from store import paging
from store.callers import reach
from store.callers.reach import Covering
from store.engine import sets
from store.engine.db import Connection, Row
from store.engine.prepared import Prepared
from store.gateway.groups import event_groups, group_events
from store.gateway.payloads import payloads
from store.paging import Condition, Found, Order, Part, Total

_table, _member = event_groups.c, group_events.c
_ORDER = Order((_table.created_at, _table.id), (True, True))
#: groups that are counted at most
_MOST = 10_000
#: the members of a group that are looked through for those that are not resolved
MOST_LOOKED_AT = 2_000

_with_body = group_events.outerjoin(payloads, payloads.c.subject == _member.subject)
_length = sa.func.length(payloads.c.body)


def search(db: Connection, grants: Sequence[Covering], filters: Mapping[str, Any], part: Part) -> Found:
    """A part of the groups that are not notified yet and that grants cover, the newest first.

    ``filters``: ``namespace``, ``tenant``, ``rule``.
    """
    names = {"tenant": "workspace_id", "namespace": "namespace", "rule": "rule"}
    where = [_covered(grants), _table.notified_at.is_(None)]
    where += [_table[column] == filters[name] for name, column in names.items() if name in filters]
    some = sa.select(_table.id).where(*where).limit(_MOST).subquery()
    number = db.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    query = sa.select(event_groups).where(*where)
    total = Total(number, is_estimate=number == _MOST)
    return Found(*paging.read(db, query, _ORDER, part, ("created_at", "id")), total)


def get(db: Connection, grants: Sequence[Covering], name: str) -> Row | None:
    """The window of this id, or the one of this key that is not notified, else the newest; None where there is none.

    Of several the oldest that is not notified comes first.
    """
    by_id = db.execute(sa.select(event_groups).where(_table.id == name, _covered(grants))).first()
    if by_id is not None:
        return by_id
    mine = sa.select(event_groups).where(_table.group_key == name, _covered(grants))
    waiting = mine.where(_table.notified_at.is_(None)).order_by(_table.created_at).limit(1)
    newest = mine.order_by(_table.created_at.desc()).limit(1)
    return db.execute(waiting).first() or db.execute(newest).first()


def _covered(grants: Sequence[Covering]) -> Condition:
    return reach.where(grants, tenant=_table.workspace_id, namespace=_table.namespace, provider=_table.provider)


def members(db: Connection, window: Row, grants: Sequence[Covering], *, after: int, limit: int, most: int) -> list[Row]:
    """Members of a window behind a place, in order, with their payloads; as many as ``most`` characters allow.

    Those that the grants do not cover, by their own provider and action type, are left out.
    """
    place = {"tenant": sa.literal(window.workspace_id), "namespace": sa.literal(window.namespace)}
    covered = reach.where(grants, **place, provider=_member.provider, action=_member.action_type)
    mine = (_member.group_id == window.id, _member.seq > after, covered)
    sizes = sa.select(_member.seq, _length.label("length")).select_from(_with_body).where(*mine)
    last, left = after, most
    for row in db.execute(sizes.order_by(_member.seq).limit(limit)):
        left -= row.length or 0
        if left < 0 and last > after:
            break
        last = row.seq
    columns = (group_events, payloads.c.body)
    query = sa.select(*columns).select_from(_with_body).where(*mine, _member.seq <= last)
    return list(db.execute(query.order_by(_member.seq)))


def counts(db: Connection, group_ids: Sequence[str]) -> list[Row]:
    """The members of windows counted: group_id, status, severity, resolved, number, first_at, last_at."""
    dialect = db.dialect.name
    return _counts[dialect].run(db, {"ids": sets.given(dialect, group_ids)})[0]


def first_members(db: Connection, group_ids: Sequence[str], *, number: int, most: int) -> list[Row]:
    """The first ``number`` members of each window, with payloads of up to ``most`` characters."""
    dialect = db.dialect.name
    return _first[dialect].run(db, {"ids": sets.given(dialect, group_ids), "number": number, "most": most})[0]


def newest(db: Connection, group_key: str) -> str | None:
    """The newest window of a group."""
    query = sa.select(_table.id).where(_table.group_key == group_key).order_by(_table.created_at.desc()).limit(1)
    found: str | None = db.execute(query).scalar()
    return found


def last_members(db: Connection, group_key: str, *, most: int) -> list[Row]:
    """The last members of all notified windows of a group, the newest first, with payloads as in ``first_members``."""
    joined = _with_body.join(event_groups, _table.id == _member.group_id)
    where = (_table.group_key == group_key, _table.notified_at.is_not(None))
    query = sa.select(group_events, _small(most)).select_from(joined).where(*where)
    return list(db.execute(query.order_by(_table.created_at.desc(), _member.seq.desc()).limit(MOST_LOOKED_AT)))


def _small(most: int | sa.BindParameter[int]) -> sa.Label[Any]:
    return sa.case((_length <= most, payloads.c.body)).label("body")


def _counting(dialect: str) -> Prepared:
    by = (_member.group_id, _member.status, _member.severity, _member.resolved)
    number, moments = sa.func.count().label("number"), (sa.func.min(_member.at), sa.func.max(_member.at))
    shown = (*by, number, moments[0].label("first_at"), moments[1].label("last_at"))
    return Prepared(sa.select(*shown).where(sets.is_among(dialect, _member.group_id, "ids")).group_by(*by))


def _showing(dialect: str) -> Prepared:
    number, most = (sa.bindparam(name, type_=sa.Integer) for name in ("number", "most"))
    mine = (sets.is_among(dialect, _member.group_id, "ids"), _member.seq <= number)
    query = sa.select(group_events, _small(most)).select_from(_with_body).where(*mine)
    return Prepared(query.order_by(_member.group_id, _member.seq))


_counts = {dialect: _counting(dialect) for dialect in sets.DIALECTS}
_first = {dialect: _showing(dialect) for dialect in sets.DIALECTS}
