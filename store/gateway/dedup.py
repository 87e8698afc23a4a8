"""Deduplication keys: which execution holds each, and until when.

A key is taken in the transaction that accepts the execution, or right before an attempt at a step. The database decides
between two that want it at the same time. It is free again at its time, and as soon as its holder has failed and
certainly had no effect: ``store.gateway.kept_keys`` deletes it in the transaction of that end.
"""

from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, metadata
from store.engine.prepared import Prepared
from store.gateway import lapsed

dedup_keys = sa.Table(
    "dedup_keys",
    metadata,
    sa.Column("workspace_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    #: the holder
    sa.Column("execution_id", sa.Text, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    #: whether an attempt of the holder may have had its effect: then no end of it frees the key
    sa.Column("kept", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_dedup_keys_execution_id", "execution_id"),
    sa.Index("ix_dedup_keys_expires_at", "expires_at"),
)

_take = Prepared(
    sa.text(
        "INSERT INTO dedup_keys (workspace_id, key, execution_id, expires_at)"
        " VALUES (:workspace_id, :key, :execution_id, :expires_at)"
        " ON CONFLICT (workspace_id, key) DO UPDATE"
        " SET execution_id = excluded.execution_id, expires_at = excluded.expires_at,"
        " kept = dedup_keys.kept AND dedup_keys.execution_id = excluded.execution_id"
        " WHERE dedup_keys.expires_at <= :now OR dedup_keys.execution_id = excluded.execution_id"
        " RETURNING execution_id"
    )
)
_holder = Prepared(
    sa.select(dedup_keys.c.execution_id, dedup_keys.c.expires_at).where(
        dedup_keys.c.workspace_id == sa.bindparam("workspace_id"), dedup_keys.c.key == sa.bindparam("key")
    )
)


def take(db: Connection, workspace_id: str, key: str, execution_id: str, *, now: int, expires_at: int) -> str | None:
    """Take a key for an execution; the id of the one that holds it instead, or None.

    An execution may take its own key again, for a later attempt.
    """
    values: dict[str, Any] = {"workspace_id": workspace_id, "key": key}
    wanted = {**values, "execution_id": execution_id, "expires_at": expires_at, "now": now}
    while True:
        if _take.first(db, wanted) is not None:
            return None
        if (holder := _holder.first(db, values)) is not None:
            return str(holder.execution_id)
        # freed between the two statements: it can be had


def holder(db: Connection, workspace_id: str, key: str, *, now: int) -> str | None:
    """The execution that holds a key now."""
    row = _holder.first(db, {"workspace_id": workspace_id, "key": key})
    return row.execution_id if row is not None and row.expires_at > now else None


def freeing(which: sa.ColumnElement[bool]) -> sa.Delete:
    """The statement that frees keys, except those that no end frees."""
    return sa.delete(dedup_keys).where(which, ~dedup_keys.c.kept)


def marking(which: sa.ColumnElement[bool]) -> sa.Update:
    """The statement after which no end frees these keys."""
    return sa.update(dedup_keys).where(which).values(kept=sa.true())


def forget(db: Connection, *, before: int, limit: int = 1000) -> int:
    """Delete keys that are free since ``before`` (ms), at most ``limit``; returns how many."""
    return lapsed.forget(db, dedup_keys, before=before, limit=limit)
