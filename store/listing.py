"""Many executions at once: the pages of a list, and how many there are by status.

A list leaves out what only the whole record needs (logs, report, sealed values), and of the two JSON columns it shows
those values that are small: a hundred rows with everything in them may be a hundred megabytes.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from store.db import Connection, Row
from store.executions import executions

#: bytes; an input or output larger than this is not part of a list
MOST_LISTED = 16 * 1024
#: of how many of the newest ended executions it is counted how they ended
MOST_COUNTED = 10_000

_PLAIN = (
    executions.c.id,
    executions.c.action_id,
    executions.c.revision_id,
    executions.c.status,
    executions.c.mode,
    executions.c.target,
    executions.c.error,
    executions.c.created_at,
    executions.c.started_at,
    executions.c.completed_at,
)


def search(
    db: Connection, workspace_id: str, *, filters: Mapping[str, Any], limit: int, offset: int
) -> tuple[list[Row], int]:
    """One page of the workspace's executions, newest first, and how many match.

    ``filters``: ``action_id``, ``status`` (list), ``target``, ``since`` and ``until`` (milliseconds). An ``input`` or
    ``output`` over ``MOST_LISTED`` is NULL; ``has_output`` says whether there is an output all the same.
    """
    table = executions.c
    where = [table.workspace_id == workspace_id]
    where += [table[name] == filters[name] for name in ("action_id", "target") if filters.get(name)]
    if filters.get("status"):
        where.append(table.status.in_(filters["status"]))
    if filters.get("since") is not None:
        where.append(table.created_at >= filters["since"])
    if filters.get("until") is not None:
        where.append(table.created_at < filters["until"])
    total = db.execute(sa.select(sa.func.count()).select_from(executions).where(*where)).scalar_one()
    columns = (
        *_PLAIN,
        _small(db, table.input),
        _small(db, table.output),
        table.output.is_not(None).label("has_output"),
    )
    page = sa.select(*columns).where(*where).order_by(table.id.desc()).limit(limit).offset(offset)
    return list(db.execute(page)), total


def counts(db: Connection) -> dict[str, int]:
    """How many executions there are by status: all that have not ended, and the ``MOST_COUNTED`` newest that have.

    Counting the ended ones to the last would read the whole table, which only grows.
    """
    table = executions.c
    live = sa.select(table.status, sa.func.count()).where(table.due_at.is_not(None)).group_by(table.status)
    newest = sa.select(table.status).where(table.due_at.is_(None)).order_by(table.id.desc()).limit(MOST_COUNTED)
    ended = newest.subquery()
    counted = sa.select(ended.c.status, sa.func.count()).group_by(ended.c.status)
    return {row[0]: row[1] for query in (live, counted) for row in db.execute(query)}


def _small(db: Connection, column: sa.Column[str]) -> sa.Label[str]:
    """The column where it is small, else NULL; PostgreSQL knows the size of a value without reading it."""
    size = sa.func.octet_length if db.dialect.name == "postgresql" else sa.func.length
    return sa.case((size(column) <= MOST_LISTED, column)).label(column.name)
