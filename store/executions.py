"""Executions: every doing, one row each, and the one function that moves them.

A row is born ``pending``. A worker claims it (``running``, attempt + 1, a lease), does the outside work with no
transaction open, and finishes it. Two rules make that safe:

* ``transition`` is the only way to change ``status``. It names the states it may come from and, where a worker
  acts, the attempt it acts for; when the row is elsewhere by now it changes nothing and says so.
* ``due_at`` is the moment at which somebody must look at the row again if nothing else happens:
  pending → when to publish it (again) · running → when the lease lapses (heartbeats move it) or the attempt's
  time is up · waiting → when the back-off or the approval ends · terminal → never (NULL).
"""

import functools
import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from config.errors import NotFound
from store import audit
from store.db import Connection, Row, metadata, now_ms
from store.prepared import Prepared, words

executions = sa.Table(
    "executions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("action_id", sa.Text, nullable=False),
    sa.Column("revision_id", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("idempotent", sa.Boolean, nullable=False),
    sa.Column("timeout_ms", sa.BigInteger, nullable=False),
    #: how often a worker took it up; every later write of that attempt is guarded by it (the fence)
    sa.Column("attempt", sa.Integer, nullable=False),
    #: attempts that ended in a retryable failure
    sa.Column("failures", sa.Integer, nullable=False),
    #: attempts whose worker died or froze
    sa.Column("lapses", sa.Integer, nullable=False),
    #: how often it was put on the queue since it last became pending
    sa.Column("publishes", sa.Integer, nullable=False),
    sa.Column("due_at", sa.BigInteger),
    sa.Column("expires_at", sa.BigInteger),
    #: when its worker was last heard of: the claim, then every renewal of the lease
    sa.Column("renewed_at", sa.BigInteger),
    sa.Column("waiting_for", sa.Text),
    #: the worker process that holds it; a cancelled one keeps it until that worker has let go
    sa.Column("owner", sa.Text),
    sa.Column("target", sa.Text),
    sa.Column("input", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text),
    sa.Column("output", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("report", sa.Text),
    sa.Column("logs", sa.Text),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.BigInteger),
    sa.Column("completed_at", sa.BigInteger),
)
sa.Index(
    "ix_executions_due_at",
    executions.c.due_at,
    sqlite_where=executions.c.due_at.is_not(None),
    postgresql_where=executions.c.due_at.is_not(None),
)
sa.Index("ix_executions_action", executions.c.workspace_id, executions.c.action_id, executions.c.id)
sa.Index("ix_executions_workspace", executions.c.workspace_id, executions.c.id)

#: status → the states it may be entered from; a terminal state has no way out
SOURCES: dict[str, tuple[str, ...]] = {
    "pending": ("running", "waiting"),
    "running": ("pending", "waiting"),
    "waiting": ("running",),
    "completed": ("running", "waiting"),
    "failed": ("running", "waiting"),
    "timeout": ("running", "waiting"),
    "cancelled": ("pending", "running", "waiting"),
}
TERMINAL = frozenset({"completed", "failed", "timeout", "cancelled", "skipped"})
STATUSES = ("pending", "running", "waiting", *sorted(TERMINAL - {"skipped"}))

#: added to an attempt's time before tick ends it: the worker itself is given the chance to say so first, ms
TIMEOUT_GRACE = 2_000
#: a retry that Celery carries may come this much before tick would do it, ms
RETRY_GRACE = 3_000


def transition(
    db: Connection,
    execution_id: str,
    to: str,
    *,
    actor: str = audit.SYSTEM,
    fence: int | None = None,
    guard: str = "",
    parameters: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Any:
    """Move an execution to another status, or do nothing; the audit row is part of it.

    ``fence`` restricts it to the holder of that attempt, ``guard`` names further conditions (``_GUARDS``, with
    their ``parameters``), ``changes`` are other columns to set. Returns the row as it is now, None when the row
    was not in a state from which ``to`` may be entered.
    """
    if to in TERMINAL:
        changes = {"due_at": None, "waiting_for": None, "sealed": None, "completed_at": now_ms(), **changes}
    values = {"id_": execution_id, "fence_": fence, **(parameters or {}), **changes}
    shape = (to, guard, tuple(changes), fence is not None)
    event = f"execution.{to}"
    if db.dialect.name == "postgresql":
        return _audited(*shape).first(db, {**values, "at_": now_ms(), "actor_": actor, "event_": event})
    row = _plain(*shape).first(db, values)
    if row is not None:
        audit.record(db, row.workspace_id, actor, event, row.id, attempt=row.attempt)
    return row


@functools.cache
def _plain(to: str, guard: str, changed: tuple[str, ...], fenced: bool) -> Prepared:
    """The move alone; the audit row follows as a statement of its own."""
    return Prepared(_moving(to, guard, changed, fenced))


@functools.cache
def _audited(to: str, guard: str, changed: tuple[str, ...], fenced: bool) -> Prepared:
    """The move and its audit row in one statement, which is one round trip and one transaction."""
    moved = _moving(to, guard, changed, fenced).cte("moved")
    attempt = sa.cast(moved.c.attempt, sa.Text)
    noted = audit.noting(moved, details=sa.literal('{"attempt":') + attempt + sa.literal("}")).cte("noted")
    return Prepared(sa.select(moved).add_cte(noted))


def _moving(to: str, guard: str, changed: tuple[str, ...], fenced: bool) -> Any:
    table = executions.c
    where = [table.id == sa.bindparam("id_"), table.status.in_(words(SOURCES[to]))]
    conditions, expressions = _GUARDS[guard]
    where += conditions
    if fenced:
        where.append(table.attempt == sa.bindparam("fence_"))
    values = {"status": to, **{name: sa.bindparam(name) for name in changed}, **expressions}
    returning = _CLAIMED if to == "running" else _MOVED
    return sa.update(executions).where(*where).values(values).returning(*returning)


_MOVED = (executions.c.id, executions.c.workspace_id, executions.c.attempt, executions.c.owner)
_CLAIMED = (
    *_MOVED,
    executions.c.action_id,
    executions.c.revision_id,
    executions.c.mode,
    executions.c.queue,
    executions.c.timeout_ms,
    executions.c.failures,
    executions.c.idempotent,
    executions.c.target,
    executions.c.input,
    executions.c.sealed,
    executions.c.logs,
    executions.c.request_id,
)

_now, _lease = sa.bindparam("now_", type_=sa.BigInteger), sa.bindparam("lease_", type_=sa.BigInteger)
_time_up = executions.c.timeout_ms + TIMEOUT_GRACE

#: guard → further conditions, and columns that are computed from the row
_GUARDS: dict[str, tuple[list[sa.ColumnElement[bool]], dict[str, Any]]] = {
    "": ([], {}),
    "is running": ([executions.c.status == "running"], {}),
    "awaits approval": ([executions.c.waiting_for == "approval"], {}),
    "may be claimed": (
        [
            sa.or_(
                executions.c.status == "pending",
                sa.and_(executions.c.waiting_for == "retry", executions.c.due_at <= _now + RETRY_GRACE),
            )
        ],
        {
            "attempt": executions.c.attempt + 1,
            "waiting_for": sa.null(),
            "started_at": sa.func.coalesce(executions.c.started_at, _now),
            "expires_at": _now + executions.c.timeout_ms,
            "renewed_at": _now,
            "due_at": sa.case((_time_up < _lease, _now + _time_up), else_=_now + _lease),
        },
    ),
}


def accept(db: Connection, values: Mapping[str, Any], *, publish_again_at: int) -> None:
    """Add a pending execution; once this commits it is never lost."""
    row = {
        "kind": "action",
        "status": "pending",
        "attempt": 0,
        "failures": 0,
        "lapses": 0,
        "publishes": 1,
        "due_at": publish_again_at,
        "created_at": now_ms(),
        **values,
    }
    values = {**_NOTHING, **row}
    actor, event = row["created_by"], "execution.accepted"
    if db.dialect.name == "postgresql":
        _audited_insert.run(db, {**values, "at_": row["created_at"], "actor_": actor, "event_": event})
        return
    _insert.run(db, values)
    audit.record(db, row["workspace_id"], actor, event, row["id"], action=row["action_id"])


_NOTHING = dict.fromkeys(executions.c.keys())
_adding = sa.insert(executions).values({name: sa.bindparam(name) for name in _NOTHING})
_insert = Prepared(_adding.inline())
_added = _adding.returning(executions.c.id, executions.c.workspace_id, executions.c.action_id).cte("added")
_audited_insert = Prepared(
    audit.noting(_added, details=sa.literal('{"action":"') + _added.c.action_id + sa.literal('"}'))
)


def claim(db: Connection, execution_id: str, owner: str, lease_ms: int) -> Any:
    """Take an execution up: ``running``, one attempt more, a lease. None when it is not to be had (any more)."""
    return transition(
        db,
        execution_id,
        "running",
        actor=owner,
        guard="may be claimed",
        parameters={"now_": now_ms(), "lease_": lease_ms},
        owner=owner,
    )


def finish(
    db: Connection, execution_id: str, to: str, *, owner: str, attempt: int, record: Mapping[str, Any], **changes: Any
) -> bool:
    """End an attempt with what it brought: ``record`` has output, error, report, logs (JSON values).

    False when the attempt was not ours any more; then nothing was changed.
    """
    stored: dict[str, Any] = {name: dump(value) for name, value in record.items()}
    changes = {"owner": None, **stored, **changes}
    return transition(db, execution_id, to, actor=owner, fence=attempt, guard="is running", **changes) is not None


def dump(value: Any) -> str | None:
    """A JSON column's text; None stays NULL. Raises ValueError for NaN and infinity, which JSON does not have."""
    return None if value is None else json.dumps(value, separators=(",", ":"), allow_nan=False)


def load(text: str | None, default: Any = None) -> Any:
    """What a JSON column holds; ``default`` for NULL."""
    return default if text is None else json.loads(text)


def extend_leases(db: Connection, owner: str, execution_ids: list[str], lease_ms: int) -> None:
    """The heartbeat: every running row of one process gets a fresh lease, up to the end of its attempt's time."""
    table, now = executions.c, now_ms()
    end = table.expires_at + TIMEOUT_GRACE
    mine = sa.and_(table.id.in_(execution_ids), table.owner == owner, table.status == "running")
    db.execute(
        sa.update(executions)
        .where(mine)
        .values(renewed_at=now, due_at=sa.case((end < now + lease_ms, end), else_=now + lease_ms))
    )


def still_held(db: Connection, owner: str, execution_ids: list[str]) -> set[tuple[str, int]]:
    """Which of these are running for this owner still, each with its attempt."""
    table = executions.c
    mine = sa.and_(table.id.in_(execution_ids), table.owner == owner, table.status == "running")
    return {(row.id, row.attempt) for row in db.execute(sa.select(table.id, table.attempt).where(mine))}


def let_go(db: Connection, execution_id: str, owner: str, attempt: int) -> None:
    """Say that this process does nothing more for a row that was taken from it (what a cancel waits for)."""
    table = executions.c
    mine = sa.and_(table.id == execution_id, table.owner == owner, table.attempt == attempt)
    db.execute(sa.update(executions).where(mine, table.status != "running").values(owner=None))


def due(db: Connection, *, limit: int) -> list[Row]:
    """Rows that somebody must look at now, locked for this transaction; other tickers skip them."""
    table = executions.c
    query = sa.select(
        table.id,
        table.workspace_id,
        table.action_id,
        table.status,
        table.queue,
        table.idempotent,
        table.attempt,
        table.lapses,
        table.publishes,
        table.expires_at,
        table.renewed_at,
        table.timeout_ms,
        table.waiting_for,
    ).where(table.due_at <= now_ms())
    return list(db.execute(query.order_by(table.due_at).limit(limit).with_for_update(skip_locked=True)))


def published(db: Connection, execution_id: str, *, again_at: int) -> None:
    """Note that a pending row is put on its queue once more, and when to do it again."""
    table = executions.c
    mine = sa.and_(table.id == execution_id, table.status == "pending")
    db.execute(sa.update(executions).where(mine).values(publishes=table.publishes + 1, due_at=again_at))


def publish_soon(db: Connection, execution_ids: list[str] | None = None, *, at: int) -> int:
    """Pending rows become due at ``at`` unless they were due earlier: their messages are known to be lost.

    ``execution_ids`` None means all of them. Returns how many.
    """
    table = executions.c
    where = [table.status == "pending", table.due_at > at]
    if execution_ids is not None:
        where.append(table.id.in_(execution_ids))
    return db.execute(sa.update(executions).where(*where).values(due_at=at, publishes=0)).rowcount


def backlog(db: Connection) -> int:
    """How many rows are pending."""
    where = sa.and_(executions.c.due_at.is_not(None), executions.c.status == "pending")
    return db.execute(sa.select(sa.func.count()).select_from(executions).where(where)).scalar_one()


def oldest_overdue_ms(db: Connection) -> int:
    """By how much the most overdue row is late, milliseconds; 0 when none is."""
    earliest = db.execute(sa.select(sa.func.min(executions.c.due_at))).scalar_one()
    return max(0, now_ms() - earliest) if earliest is not None else 0


def get(db: Connection, workspace_id: str, execution_id: str) -> Row:
    """The execution.

    Raises:
        NotFound: this workspace has none of that id.
    """
    mine = sa.and_(executions.c.workspace_id == workspace_id, executions.c.id == execution_id)
    row = db.execute(sa.select(executions).where(mine)).first()
    if row is None:
        raise NotFound(f"There is no execution {execution_id!r}.")
    return row


def states(db: Connection, execution_ids: Iterable[str]) -> dict[str, tuple[str, int]]:
    """(status, attempt) of each: what a waiting reader watches."""
    table = executions.c
    query = sa.select(table.id, table.status, table.attempt).where(table.id.in_(list(execution_ids)))
    return {row.id: (row.status, row.attempt) for row in db.execute(query)}


def forget(db: Connection, *, before: int, limit: int = 500) -> int:
    """Retention: delete ended executions made before ``before`` (milliseconds), oldest first.

    At most ``limit`` a call, so that the lock is held briefly; returns how many went. Ids begin with their time, so
    the primary key serves as the index.
    """
    table = executions.c
    old = sa.select(table.id).where(table.id < f"exec-{before:012x}", table.due_at.is_(None)).limit(limit)
    return db.execute(sa.delete(executions).where(table.id.in_(old.scalar_subquery()))).rowcount
