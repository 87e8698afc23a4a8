"""The rows of the audit trail that are about a run and its steps: first their places, then the rows of some."""

from collections.abc import Iterator, Sequence
from heapq import nlargest
from typing import Any, NamedTuple

import sqlalchemy as sa

from store import trail
from store.audit import audit
from store.engine import sets
from store.engine.db import Connection
from store.engine.prepared import Prepared
from store.executions.transitions import executions
from store.streams.sought import COLUMNS
from store.trail import Entry, Position

#: steps whose rows are looked for together
_AT_ONCE = 500


class Places(NamedTuple):
    """Where rows of a run are, in order; and whether those are all that were asked for."""

    places: list[Position]
    is_whole: bool


def settled(db: Connection, workspace_id: str, run_id: str, limit: int) -> Places:
    """Where the newest settled rows of a run are, at most ``limit``."""
    horizon = trail.horizon(db)  # before the rows: what was settled then is among them
    found, is_whole = list[Any](), True
    for some in _rows(db, workspace_id, run_id):
        found += some
        if len(found) > limit:
            found, is_whole = nlargest(limit, found, key=lambda row: row.id), False
    return Places([entry.position for entry in trail.in_order(db, found, horizon)], is_whole)


def behind(db: Connection, workspace_id: str, run_id: str, after: Position, limit: int) -> Places:
    """Where the first rows of a run behind a place are, settled or not, at most ``limit``."""
    found = list[Position]()
    for some in _rows(db, workspace_id, run_id):
        found += (entry.position for entry in trail.in_order(db, some, None) if entry.position > after)
        found = sorted(found)[: limit + 1]
    return Places(found[:limit], len(found) <= limit)


def last(db: Connection, workspace_id: str, run_id: str) -> Position:
    """Where the last row of a run is, settled or not."""
    ends = (trail.in_order(db, some, None)[-1:] for some in _rows(db, workspace_id, run_id))
    return max((entry.position for end in ends for entry in end), default=Position())


def _rows(db: Connection, workspace_id: str, run_id: str) -> Iterator[list[Any]]:
    """The rows about a run and its steps, id and transaction, some at a time."""
    steps = db.execute(sa.select(executions.c.id).where(executions.c.run_id == run_id)).scalars().all()
    subjects = [run_id, *steps]
    for first in range(0, len(subjects), _AT_ONCE):
        mine = audit.c.subject.in_(subjects[first : first + _AT_ONCE])
        query = sa.select(audit.c.id, audit.c.xid).where(audit.c.workspace_id == workspace_id, mine)
        yield [*db.execute(query)]


_some = {
    dialect: Prepared(sa.select(*(audit.c[name] for name in COLUMNS)).where(sets.is_among(dialect, audit.c.id, "ids")))
    for dialect in sets.DIALECTS
}


def rows(db: Connection, at: Sequence[Position]) -> list[Entry]:
    """The rows at these places, as far as they are still there."""
    dialect = db.dialect.name
    found, _ = _some[dialect].run(db, {"ids": sets.given(dialect, [place.id for place in at])})
    known = {row.id: row for row in found}
    return [Entry(place, known[place.id]) for place in at if place.id in known]
