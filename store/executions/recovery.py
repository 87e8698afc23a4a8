"""The queries of tick and maintenance: due rows and deletable rows."""

import sqlalchemy as sa

from playbooks.states import Kind, Status
from store.engine.db import Connection, Row, now_ms
from store.executions.transitions import executions

#: among this many rows the oldest that wait are looked for
MOST_LOOKED_AT = 5_000

_run = executions.alias("run")


def due(db: Connection, *, limit: int) -> list[Row]:
    """Due rows, locked for this transaction; other ticks skip them."""
    table = executions.c
    query = sa.select(
        table.id,
        table.workspace_id,
        table.action_id,
        table.status,
        table.queue,
        table.mode,
        table.idempotent,
        table.attempt,
        table.lapses,
        table.publishes,
        table.expires_at,
        table.renewed_at,
        table.timeout_ms,
        table.waiting_for,
        table.kind,
        table.type,
        table.run_id,
        table.open,
        table.parent_id,
        sa.select(_run.c.status).where(_run.c.id == table.run_id).scalar_subquery().label("run_status"),
    ).where(table.due_at <= now_ms())
    return list(db.execute(query.order_by(table.due_at).limit(limit).with_for_update(skip_locked=True, of=executions)))


def published(db: Connection, execution_id: str, *, again_at: int) -> None:
    """Record that a pending row is published; ``again_at`` is the next time."""
    table = executions.c
    mine = sa.and_(table.id == execution_id, table.status == Status.PENDING)
    db.execute(sa.update(executions).where(mine).values(publishes=table.publishes + 1, due_at=again_at))


def postpone(db: Connection, execution_id: str, *, at: int) -> None:
    """Make a row due at ``at``, if it is still to be handled."""
    table = executions.c
    db.execute(sa.update(executions).where(table.id == execution_id, table.due_at.is_not(None)).values(due_at=at))


def due_within(db: Connection, since: int, until: int, *, after: tuple[str, int], limit: int) -> list[Row]:
    """The rows that become due after ``since`` and by ``until`` (ms), behind one of this id and time, in that order."""
    table = executions.c
    shown = (table.id, table.due_at, table.workspace_id, table.status, table.waiting_for, table.error)
    behind = sa.tuple_(table.due_at, table.id) > sa.tuple_(sa.literal(after[1]), sa.literal(after[0]))
    where = (table.due_at > since, table.due_at >= after[1], table.due_at <= until, behind)
    return list(db.execute(sa.select(*shown).where(*where).order_by(table.due_at, table.id).limit(limit)))


def hasten(db: Connection, execution_ids: list[str], *, at: int) -> int:
    """Make those rows due at ``at`` that wait for a time behind it; returns how many."""
    table = executions.c
    mine = (table.id.in_(sorted(execution_ids)), table.status == Status.WAITING, table.due_at > at)
    them = sa.select(table.id).where(*mine).order_by(table.id).with_for_update(skip_locked=True)
    return db.execute(sa.update(executions).where(table.id.in_(them)).values(due_at=at)).rowcount


def publish_now(db: Connection, run_id: str) -> None:
    """Make everything of a run that is ready to begin due."""
    table = executions.c
    ready = sa.and_(table.run_id == run_id, table.status == Status.PENDING)
    db.execute(sa.update(executions).where(ready).values(due_at=now_ms(), publishes=0))


def publish_soon(db: Connection, execution_ids: list[str] | None = None, *, at: int, limit: int = 1000) -> int:
    """Make pending rows due at ``at``: their messages are lost.

    Rows that were due earlier stay so. ``execution_ids`` None means all that have been published, at most ``limit`` a
    call: one that has not is due at once, or waits for its time, or for its run to be resumed. Returns how many.
    """
    table = executions.c
    later = sa.and_(table.status == Status.PENDING, table.due_at > at)
    if execution_ids is None:
        later = sa.and_(later, table.publishes > 0)
    them = sa.select(table.id).where(later).limit(limit).scalar_subquery() if execution_ids is None else execution_ids
    return db.execute(sa.update(executions).where(later, table.id.in_(them)).values(due_at=at, publishes=0)).rowcount


def backlog(db: Connection) -> dict[str, int]:
    """How many rows are pending on each queue that has any."""
    table = executions.c
    where = sa.and_(table.due_at.is_not(None), table.status == Status.PENDING)
    return {row.queue: row.number for row in db.execute(_counted.where(where).group_by(table.queue))}


_counted = sa.select(executions.c.queue, sa.func.count().label("number")).select_from(executions)


def await_turns(db: Connection, queue: str, pause: int, *, limit: int = 1000) -> int:
    """Make rows wait for their turn on a backed-up queue.

    Rows of the queue that were published once, less than ``pause`` ms ago, become due when that time is over. At most
    ``limit`` a call, and only those that are due; returns how many. A run that is over its time is left.
    """
    table, now = executions.c, now_ms()
    turn = table.created_at + pause
    where = [
        table.due_at <= now,
        table.status == Status.PENDING,
        table.queue == queue,
        table.publishes == 1,
        table.created_at > now - pause,
        sa.or_(table.expires_at.is_(None), table.expires_at > now),
    ]
    them = sa.select(table.id).where(*where).limit(limit).with_for_update(skip_locked=True)
    until = sa.case((table.expires_at < turn, table.expires_at), else_=turn)
    change = sa.update(executions).where(table.id.in_(them), table.status == Status.PENDING).values(due_at=until)
    return db.execute(change).rowcount


def overtaken(db: Connection, queue: str, *, before: int, limit: int) -> list[Row]:
    """Old pending rows of a queue, marked as published once more.

    They were accepted before ``before`` (ms), published once and are pending still. The caller publishes them; they are
    due again after as long as they have waited, at least ten seconds.
    """
    table, now = executions.c, now_ms()
    waits = [table.due_at.is_not(None), table.status == Status.PENDING, table.queue == queue, table.publishes == 1]
    them = sa.select(table.id).where(*waits, table.created_at < before).limit(limit)
    mine = [table.id.in_(them.with_for_update(skip_locked=True)), table.status == Status.PENDING]
    waited = now - table.created_at
    again_at = now + sa.case((waited > _SOONEST, waited), else_=_SOONEST)
    change = sa.update(executions).where(*mine).values(publishes=table.publishes + 1, due_at=again_at)
    shown = [table.id, table.workspace_id, table.kind, table.action_id, table.queue, table.timeout_ms, table.run_id]
    return list(db.execute(change.returning(*shown)))


_SOONEST = 10_000


def oldest_overdue_ms(db: Connection) -> int:
    """How late the most overdue row is, milliseconds; 0 when none is."""
    due = executions.c.due_at.is_not(None)  # says nothing new, but lets SQLite use the index of these rows
    earliest = db.execute(sa.select(sa.func.min(executions.c.due_at)).where(due)).scalar_one()
    return max(0, now_ms() - earliest) if earliest is not None else 0


def drop_sealed(db: Connection, *, before: int, limit: int = 500) -> int:
    """Clear the sealed input of executions that ended before ``before`` (ms).

    At most ``limit`` rows; returns how many. Rows with a sealed input have an index by their ids, which begin with the
    time at which they were made.
    """
    table = executions.c
    some = _oldest(before, limit, table.sealed.is_not(None), table.completed_at < before)
    return db.execute(sa.update(executions).where(table.id.in_(some)).values(sealed=None)).rowcount


def oldest_waiting(db: Connection) -> dict[str, int]:
    """Queue → when its oldest unclaimed execution was accepted, milliseconds.

    It is looked for among the ``MOST_LOOKED_AT`` rows that are due first, which include it: what has just been accepted
    is due within a lease, and on a long queue those that came first are due first.
    """
    table = executions.c
    columns = (table.queue, table.kind, table.status, table.attempt, table.created_at)
    first = sa.select(*columns).where(table.due_at.is_not(None)).order_by(table.due_at).limit(MOST_LOOKED_AT).subquery()
    new = sa.and_(first.c.status == Status.PENDING, first.c.kind != Kind.STEP, first.c.attempt == 0)
    oldest = sa.select(first.c.queue, sa.func.min(first.c.created_at).label("since")).where(new)
    return {row.queue: row.since for row in db.execute(oldest.group_by(first.c.queue))}


def forget(db: Connection, *, before: int, limit: int = 500) -> int:
    """Delete ended executions made before ``before`` (ms), oldest first: retention.

    At most ``limit`` a call, so that the lock is held briefly; returns how many went. Ids begin with their time (those
    of steps with their run's), so the primary key serves as the index. The steps of a run that goes on stay.
    """
    table = executions.c
    goes_on = sa.exists().where(_run.c.id == table.run_id, _run.c.due_at.is_not(None))
    some = _oldest(before, limit, table.due_at.is_(None), ~goes_on)
    return db.execute(sa.delete(executions).where(table.id.in_(some))).rowcount


def _oldest(moment: int, limit: int, *which: sa.ColumnElement[bool]) -> sa.ScalarSelect[str]:
    """The ids of the oldest rows made before ``moment`` (ms), up to ``limit``.

    Each kind of id is a walk of its own: for both at once SQLite leaves the index of what is looked for, and PostgreSQL
    reads the table from its begin, where the rows of the last bites have left their space.
    """
    table, walks = executions.c, []
    for kind in ("exec", "pexec", "disp"):
        made = [table.id >= f"{kind}-", table.id < f"{kind}-{moment:012x}"]
        walks.append(sa.select(sa.select(table.id).where(*made, *which).order_by(table.id).limit(limit).subquery()))
    return sa.union_all(*walks).limit(limit).scalar_subquery()
