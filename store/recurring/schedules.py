"""Recurring actions: what is to go out, and when next.

``next_at`` is the time of the schedule that comes next, ``fire_at`` when tick carries it out: the same, or later by the
jitter. Both are NULL where nothing comes any more: it is paused (not ``enabled``), or completed. ``fire_at`` is moved
only by a process that has locked the row and found it as it was read, in the transaction that accepts what the firing
brings.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, Row, metadata, now_ms
from store.engine.prepared import Prepared

recurring = sa.Table(
    "recurring",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("description", sa.Text),
    sa.Column("cron", sa.Text, nullable=False),
    sa.Column("timezone", sa.Text, nullable=False),
    #: what a firing is: dispatch, action, playbook
    sa.Column("target", sa.Text, nullable=False),
    #: of a dispatch its own; else the word of ``target``, and the id of the action or playbook
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("action_type", sa.Text, nullable=False),
    #: the asset of an action
    sa.Column("asset", sa.Text),
    #: JSON: the payload, or the parameters
    sa.Column("payload", sa.Text, nullable=False),
    #: JSON: name → text
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("dedup_key", sa.Text),
    sa.Column("enabled", sa.Boolean, nullable=False),
    #: latest, skip, all
    sa.Column("catch_up", sa.Text, nullable=False),
    #: allow_all, skip, cancel_other
    sa.Column("overlap", sa.Text, nullable=False),
    sa.Column("jitter_ms", sa.BigInteger, nullable=False),
    #: JSON: names of calendars in which no time counts; NULL for none
    sa.Column("skip_during", sa.Text),
    sa.Column("ends_at", sa.BigInteger),
    sa.Column("max_executions", sa.BigInteger),
    sa.Column("next_at", sa.BigInteger),
    sa.Column("fire_at", sa.BigInteger),
    #: firings that were accepted, and those since the last accepted one that could not be
    sa.Column("executions", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    #: of the last firing: its time, what became of it, and what it has made
    sa.Column("last_at", sa.BigInteger),
    sa.Column("last_outcome", sa.Text),
    sa.Column("last_execution_id", sa.Text),
    #: JSON: why the last firing could not be accepted
    sa.Column("last_error", sa.Text),
    sa.Column("paused_at", sa.BigInteger),
    sa.Column("paused_by", sa.Text),
    sa.Column("pause_reason", sa.Text),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("ix_recurring_order", "workspace_id", "namespace", "created_at", "id"),
)
_due = sa.text("fire_at IS NOT NULL")
sa.Index("ix_recurring_fire_at", recurring.c.fire_at, sqlite_where=_due, postgresql_where=_due)
_skips = sa.text("skip_during IS NOT NULL")
sa.Index("ix_recurring_skips", recurring.c.id, sqlite_where=_skips, postgresql_where=_skips)

#: an advisory lock of PostgreSQL; the second part is that of the tenant and namespace
_LOCK = 0x7265_6375
_locking = Prepared(sa.text("SELECT pg_advisory_xact_lock(:lock, hashtext(:name))"))
_table = recurring.c


def new_id() -> str:
    """The id of a new recurring action."""
    return f"rec-{secrets.token_hex(8)}"


def count(db: Connection, workspace_id: str, namespace: str) -> int:
    """How many a tenant has in a namespace; no other is added there until the transaction ends."""
    if db.dialect.name == "postgresql":
        _locking.run(db, {"lock": _LOCK, "name": f"{workspace_id}/{namespace}"})
    mine = (_table.workspace_id == workspace_id, _table.namespace == namespace)
    return int(db.execute(sa.select(sa.func.count()).select_from(recurring).where(*mine)).scalar_one())


def add(db: Connection, values: Mapping[str, Any]) -> Row:
    """Add one; its row."""
    now = now_ms()
    new = {"executions": 0, "failures": 0, "version": 1, "created_at": now, "updated_at": now, **values}
    return db.execute(sa.insert(recurring).values(new).returning(*_table)).one()


def read(db: Connection, recurring_id: str) -> Row | None:
    """One; None where there is none of that id."""
    return db.execute(sa.select(recurring).where(_table.id == recurring_id)).first()


def locked(db: Connection, recurring_id: str) -> Row | None:
    """One that no other transaction changes until this one ends; None where there is none of that id."""
    return db.execute(sa.select(recurring).where(_table.id == recurring_id).with_for_update()).first()


def change(db: Connection, recurring_id: str, values: Mapping[str, Any]) -> Row:
    """Change one that is locked; its row."""
    new = {**values, "version": _table.version + 1, "updated_at": now_ms()}
    return db.execute(sa.update(recurring).where(_table.id == recurring_id).values(new).returning(*_table)).one()


def delete(db: Connection, recurring_id: str) -> None:
    """Delete one that is locked."""
    db.execute(sa.delete(recurring).where(_table.id == recurring_id))


# firing

#: characters of a payload up to which it is read with its row
SMALL = 16_384
_others = [column for column in _table if column.name != "payload"]
_size = sa.func.length(_table.payload)
_is_due = (
    sa.select(*_others, sa.case((_size <= SMALL, _table.payload)).label("payload"), _size.label("payload_size"))
    .where(_table.fire_at <= sa.bindparam("now"))
    .order_by(_table.fire_at)
)
_moving = Prepared(
    sa.update(recurring)
    .where(_table.id == sa.bindparam("id_"), _table.fire_at == sa.bindparam("expected_"))
    .values(
        {
            name: sa.bindparam(name)
            for name in (
                "enabled",
                "next_at",
                "fire_at",
                "executions",
                "failures",
                "last_at",
                "last_outcome",
                "last_execution_id",
                "last_error",
                "paused_at",
                "paused_by",
                "pause_reason",
            )
        }
    )
)


def due(db: Connection, *, limit: int) -> list[Row]:
    """Those whose time has come, the longest due first; a payload beyond ``SMALL`` is None until ``whole`` reads it."""
    return list(db.execute(_is_due.limit(limit), {"now": now_ms()}))


def whole(db: Connection, rows: Sequence[Row]) -> dict[str, Row]:
    """By id, the rows with their payloads, of those that are as they were read."""
    query = sa.select(recurring).where(_table.id.in_(sorted(row.id for row in rows)))
    found = {row.id: row for row in db.execute(query)}
    known = {row.id: (row.fire_at, row.version) for row in rows}
    return {row.id: row for row in found.values() if known[row.id] == (row.fire_at, row.version)}


def locked_as_read(db: Connection, rows: Sequence[Row]) -> frozenset[str]:
    """Lock rows until the transaction ends; the ids of those that are as they were read.

    Those that another process has locked are left to it.
    """
    known = {row.id: (row.fire_at, row.version) for row in rows}
    query = sa.select(_table.id, _table.fire_at, _table.version).where(_table.id.in_(sorted(known)))
    found = db.execute(query.order_by(_table.id).with_for_update(skip_locked=True))
    return frozenset(row.id for row in found if known[row.id] == (row.fire_at, row.version))


def move(db: Connection, moves: Sequence[Mapping[str, Any]]) -> None:
    """Move rows that are locked on; each names its ``id_``, the ``expected_`` time and all columns of a firing."""
    _moving.many(db, moves) if len(moves) > 1 else _moving.run(db, moves[0])


def using_calendars(db: Connection) -> list[Row]:
    """Those that name calendars."""
    names = _table.skip_during.is_not(None)
    return list(db.execute(sa.select(_table.id, _table.skip_during).where(names)))
