"""Lists of executions: their pages, and counts by status.

These are executions of actions, triggered or as steps of a run. ``store.executions.lists.run_listing`` reads runs, and
the steps in which a run decides or waits.

A list leaves out what only the whole record needs (logs, report, sealed values), and of the two JSON columns it shows
those values that are small: a hundred rows with everything in them may be a hundred megabytes.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from playbooks.states import Kind, Status
from store.engine.db import Connection, Row
from store.engine.prepared import quoted
from store.executions.lists.indexes import FAILED, done_by_action, failed, of_runs, triggered
from store.executions.lists.walks import Filter, Walk, created_between, is_one_of, key_of, unindexed
from store.executions.rows import RECURRING, REPLAY
from store.executions.transitions import executions
from store.paging import Found, Part, cut

#: bytes; an input or output larger than this is not part of a list
MOST_LISTED = 16 * 1024
#: how many of the newest ended executions are counted by status
MOST_COUNTED = 1_000

#: what has an action carried out: a request for just that, a schedule, a replay of a record
API = "api"
TRIGGERS = (API, RECURRING, REPLAY)

_PLAIN = (
    executions.c.kind,
    executions.c.cause,
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
    executions.c.run_id,
    executions.c.step_id,
    executions.c.gate,
)
#: ids of what was triggered sort before this, ids of runs and of their steps after it
_BETWEEN = sa.literal_column("'pexec'", sa.Text)


def read(db: Connection, execution_id: str) -> Row | None:
    """The execution in full, of any workspace, also that of a dispatch, which no list has."""
    table = executions.c
    shown = sa.or_(done_by_action, table.kind == sa.literal_column(quoted(Kind.DISPATCH)))
    return db.execute(sa.select(executions).where(table.id == execution_id, shown)).first()


def search(db: Connection, workspace_id: str, *, filters: Mapping[str, Any], part: Part) -> Found:
    """A part of the workspace's executions, newest first.

    ``filters``: ``action_id``, ``status`` (list), ``target``, ``run_id``, ``standalone`` (true), ``trigger``, ``since``
    and ``until`` (milliseconds). An ``input`` or ``output`` over ``MOST_LISTED`` is NULL; ``has_output`` says whether
    there is an output all the same.
    """
    table = executions.c
    mine = [table.workspace_id == workspace_id, done_by_action, *created_between(table.created_at, filters)]
    walk = Walk(table=executions, mine=mine, first=_matching(filters))
    if filters.get("run_id"):
        walk = walk.among(table.run_id == filters["run_id"])
    ids, total = walk.part(db, key_of("done", workspace_id, filters), part)
    columns = (
        *_PLAIN,
        small(db, table.input),
        small(db, table.output),
        table.output.is_not(None).label("has_output"),
    )
    page = sa.select(*columns).where(table.id.in_(ids)).order_by(table.created_at.desc(), table.id.desc())
    return Found(*cut(db.execute(page).all(), part, ("created_at", "id")), total)


def _matching(filters: Mapping[str, Any]) -> list[Filter]:
    table = executions.c
    found = {name: is_one_of(table[name], [filters[name]]) for name in ("target", "action_id") if filters.get(name)}
    if statuses := filters.get("status"):
        found["status"] = is_one_of(table.status, statuses)
        if found.keys() == {"action_id", "status"} or ("action_id" in found and set(statuses) <= set(FAILED)):
            found["status"] = _of_action_with_status(filters["action_id"], statuses)
            del found["action_id"]
    if filters.get("trigger"):
        found["trigger"] = _has_cause(filters["trigger"])
    elif filters.get("standalone"):
        found["standalone"] = Filter([triggered], unindexed(table.kind) == Kind.ACTION)
    return list(found.values())


def _has_cause(trigger: str) -> Filter:
    """The filter on what has an action carried out; requests, of which there are most, leave no word of it."""
    table = executions.c
    if trigger == API:
        otherwise = sa.and_(unindexed(table.kind) == Kind.ACTION, table.cause.is_(None))
        return Filter([sa.and_(triggered, table.cause.is_(None))], otherwise)
    of_actions = sa.and_(triggered, table.cause == trigger)
    return Filter([of_actions], sa.and_(unindexed(table.kind) == Kind.ACTION, unindexed(table.cause) == trigger))


def _of_action_with_status(action_id: str, statuses: Iterable[str]) -> Filter:
    """The filter on both, for which the rarer of the two may still be many that do not match.

    What failed has an index of its own. Nearly all of an action is completed, and what goes on is little.
    """
    table = executions.c
    its, its_unindexed = table.action_id == action_id, unindexed(table.action_id) == action_id
    walks = []
    for status in dict.fromkeys(statuses):
        if status in FAILED:
            walks.append(sa.and_(its, table.status == status, failed))
        elif status == Status.COMPLETED:
            walks.append(sa.and_(its, unindexed(table.status) == status))
        else:
            walks.append(sa.and_(its_unindexed, table.status == status))
    return Filter(walks, sa.and_(its_unindexed, unindexed(table.status).in_(statuses)))


def counts(db: Connection) -> dict[str, int]:
    """Counts by status: all live executions, and the newest ended ones.

    Counting all the ended ones would read the whole table, which only grows. So the ``MOST_COUNTED`` newest of those
    that were triggered are counted, and as many of the steps of the newest runs.
    """
    table = executions.c
    live = sa.select(table.status, sa.func.count()).where(table.due_at.is_not(None), done_by_action)
    ended = sa.union_all(_newest(triggered, table.id < _BETWEEN), _newest(of_runs, table.id > _BETWEEN)).subquery()
    counted = sa.select(ended.c.status, sa.func.count()).group_by(ended.c.status)
    found: Counter[str] = Counter()
    for query in (live.group_by(table.status), counted):
        found.update({row[0]: row[1] for row in db.execute(query)})
    return dict(found)


def _newest(*which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The statuses of the newest ended executions."""
    table = executions.c
    ended = sa.select(table.status).where(table.due_at.is_(None), *which)
    return sa.select(ended.order_by(table.id.desc()).limit(MOST_COUNTED).subquery())


def small(db: Connection, column: sa.Column[str]) -> sa.Label[str]:
    """The column where it is small, else NULL.

    PostgreSQL knows the size of a value without reading it.
    """
    return small_in(db.dialect.name, column)


def small_in(dialect: str, column: sa.Column[str]) -> sa.Label[str]:
    """The same for a statement that is prepared for a kind of database."""
    size = sa.func.octet_length if dialect == "postgresql" else sa.func.length
    return sa.case((size(column) <= MOST_LISTED, column)).label(column.name)
