"""How often each rule has decided, counted in the index of records by rule.

One statement counts all rules: for each rule and each tenant it looks at the index, which begins with both, at most
``paging.EXACT`` records far. A process asks again after some seconds, later where counting takes longer.
"""

import json
import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from store.audit import audit
from store.callers.reach import Covering
from store.engine.db import Connection
from store.paging import EXACT
from store.records import listing

#: pairs of a rule and a tenant that are looked up; where there are more, nothing is counted
MOST_PAIRS = 50_000
#: how long an answer is used, seconds, or how many times as long as it took; and how many are remembered
REMEMBERED, SHARE, ANSWERS = 5.0, 20, 100

_table = audit.c
_remembered: dict[tuple[Any, ...], tuple[float, dict[str, int] | None]] = {}


def counted(db: Connection, grants: Sequence[Covering], rules: Sequence[str], since: int) -> dict[str, int] | None:
    """The number of records by rule since a time (ms), of those that the grants cover; ``EXACT`` means at least that.

    None where there are too many rules and tenants to count for.
    """
    within = listing.scope(db, grants)
    limits = tuple(str(one.compile(compile_kwargs={"literal_binds": True})) for one in within.covered)
    key, now = (str(db.engine.url), tuple(within.tenants), limits, tuple(rules)), time.monotonic()
    until, known = _remembered.get(key, (0.0, None))
    if now < until:
        return known
    known = _counted(db, within, rules, since) if len(within.tenants) * len(rules) <= MOST_PAIRS else None
    if len(_remembered) >= ANSWERS:
        _remembered.clear()
    done = time.monotonic()
    _remembered[key] = done + max(REMEMBERED, SHARE * (done - now)), known
    return known


def _counted(db: Connection, within: listing.Scope, rules: Sequence[str], since: int) -> dict[str, int]:
    if not rules or not within.tenants:
        return {}
    return {row.rule: min(EXACT, int(row.number)) for row in db.execute(statement(db, within, rules, since))}


def statement(db: Connection, within: listing.Scope, rules: Sequence[str], since: int) -> sa.Select[Any]:
    """The number of records of each rule, of each tenant no more than ``EXACT``."""
    rule, tenant = _each(db, rules, "rules"), _each(db, within.tenants, "tenants")
    mine = (_table.workspace_id == tenant, _table.rule == rule, _table.at >= since, *within.covered)
    some = sa.select(_table.id).where(*mine).limit(EXACT).correlate(rule.table, tenant.table).subquery()
    number = sa.select(sa.func.count()).select_from(some).scalar_subquery()
    pairs = sa.select(rule.label("rule"), number.label("number")).select_from(rule.table.join(tenant.table, sa.true()))
    found = pairs.subquery("found")
    return sa.select(found.c.rule, sa.func.sum(found.c.number).label("number")).group_by(found.c.rule)


def _each(db: Connection, values: Sequence[str], name: str) -> Any:
    """The column of a table that has these values."""
    given = sa.literal(json.dumps(list(values)), sa.Text)
    if db.dialect.name == "sqlite":
        return sa.func.json_each(given).table_valued("value", name=name).c.value
    return sa.func.jsonb_array_elements_text(sa.cast(given, JSONB)).table_valued("value", name=name).c.value
