"""The firings of recurring actions: one row for each time of a schedule that was decided about.

The primary key is the action and the time, so that no time can count twice, whether tick brings it or a backfill. A
time that was missed stands for all after it up to ``missed_to``.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, Row, metadata
from store.engine.prepared import Prepared

firings = sa.Table(
    "recurring_firings",
    metadata,
    sa.Column("recurring_id", sa.Text, primary_key=True),
    #: the time of the schedule
    sa.Column("due_at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("fired_at", sa.BigInteger, nullable=False),
    #: accepted, or what the rules made of it at once; else skipped, missed, refused
    sa.Column("outcome", sa.Text, nullable=False),
    #: the execution, the run, or the name of the record; NULL where nothing was accepted
    sa.Column("execution_id", sa.Text),
    #: JSON: why nothing was accepted
    sa.Column("reason", sa.Text),
    #: of those that were missed: the last one
    sa.Column("missed_to", sa.BigInteger),
    #: who has asked for it; NULL: its time had come
    sa.Column("backfilled_by", sa.Text),
    sa.Index("ix_recurring_firings_fired_at", "fired_at"),
)
ACCEPTED, SKIPPED, MISSED, REFUSED = "accepted", "skipped", "missed", "refused"

_table = firings.c
_NAMES = tuple(column.name for column in firings.columns)
_adding = Prepared(
    sa.text(
        "INSERT INTO recurring_firings"
        " (recurring_id, due_at, fired_at, outcome, execution_id, reason, missed_to, backfilled_by) VALUES"
        " (:recurring_id, :due_at, :fired_at, :outcome, :execution_id, :reason, :missed_to, :backfilled_by)"
        " ON CONFLICT (recurring_id, due_at) DO UPDATE SET fired_at = excluded.fired_at, outcome = excluded.outcome,"
        " execution_id = excluded.execution_id, reason = excluded.reason, missed_to = excluded.missed_to,"
        " backfilled_by = excluded.backfilled_by"
    )
)
_EMPTY = dict.fromkeys(_NAMES)


def put(db: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what became of some times; the caller has locked their recurring actions, and asked ``accepted``."""
    filled = [{**_EMPTY, **row} for row in rows]
    if filled:
        _adding.many(db, filled) if len(filled) > 1 else _adding.run(db, filled[0])


def accepted(db: Connection, times: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """What was accepted before at times of recurring actions; the caller has locked these."""
    if not times:
        return {}
    ids, moments = sorted({one for one, _ in times}), sorted({at for _, at in times})
    # both lists go into the primary key, where SQLite scans for a list of pairs
    some = (_table.recurring_id.in_(ids), _table.due_at.in_(moments), _table.execution_id.is_not(None))
    found = db.execute(sa.select(_table.recurring_id, _table.due_at, _table.execution_id).where(*some))
    wanted = set(times)
    return {key: row.execution_id for row in found if (key := (row.recurring_id, row.due_at)) in wanted}


def known(db: Connection, recurring_id: str, times: Collection[int]) -> frozenset[int]:
    """Those of some times of a recurring action of which something is written."""
    mine = (_table.recurring_id == recurring_id, _table.due_at.in_(sorted(times)))
    return frozenset(db.scalars(sa.select(_table.due_at).where(*mine)))


def missed(db: Connection, recurring_id: str, times: Collection[int]) -> list[Row]:
    """The rows of missed times that begin at some times of a recurring action."""
    mine = (_table.recurring_id == recurring_id, _table.due_at.in_(sorted(times)), _table.outcome == MISSED)
    return list(db.execute(sa.select(firings).where(*mine).order_by(_table.due_at)))


def forget(db: Connection, *, before: int, limit: int = 500) -> int:
    """Delete firings before ``before`` (ms), the oldest first; returns how many.

    At most ``limit`` a call, so that the lock is held briefly.
    """
    is_sqlite = db.dialect.name == "sqlite"
    place: sa.ColumnElement[Any] = sa.literal_column("rowid" if is_sqlite else "ctid")  # found again without a search
    some = sa.select(place).select_from(firings).where(_table.fired_at < before).order_by(_table.fired_at)
    bite = some.limit(limit).scalar_subquery()
    mine = place.in_(bite) if is_sqlite else place == sa.any_(sa.func.array(bite))
    return db.execute(sa.delete(firings).where(mine)).rowcount
