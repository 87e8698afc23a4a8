"""The audit trail, each row written in the transaction of its event.

Append-only: the database itself refuses to change or delete a row (triggers in the first migration). Rows never hold
parameters, outputs or secrets; they name things by id.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, metadata, now_ms
from store.engine.prepared import Prepared

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("details", sa.Text),
    #: PostgreSQL: the transaction that wrote it, set by the database (``store.trail``); NULL elsewhere and before 0011
    sa.Column("xid", sa.BigInteger),
    sa.Index("ix_audit_subject", "workspace_id", "subject"),
)
sa.Index(
    "ix_audit_order",
    audit.c.xid,
    audit.c.id,
    sqlite_where=audit.c.xid.is_not(None),
    postgresql_where=audit.c.xid.is_not(None),
)

#: the actor when no caller acts: recovery, time-outs, workers
SYSTEM = "system"

_encode = json.JSONEncoder(separators=(",", ":")).encode
_COLUMNS = ("workspace_id", "at", "actor", "event", "subject", "details")
_insert = Prepared(sa.insert(audit).values({name: sa.bindparam(name) for name in _COLUMNS}).inline())


def record(db: Connection, workspace_id: str, actor: str, event: str, subject: str, **details: Any) -> None:
    """Add one row; part of the caller's transaction."""
    _insert.run(db, entry(workspace_id, actor, event, subject, **details))


def record_all(db: Connection, entries: Sequence[Mapping[str, Any]]) -> None:
    """Add many rows made by ``entry``; part of the caller's transaction."""
    _insert.many(db, entries)


def entry(workspace_id: str, actor: str, event: str, subject: str, **details: Any) -> dict[str, Any]:
    """A row: now ``actor`` did ``event`` to ``subject``."""
    return {
        "workspace_id": workspace_id,
        "at": now_ms(),
        "actor": actor,
        "event": event,
        "subject": subject,
        "details": _encode(details) if details else None,
    }


def noting(
    source: sa.FromClause,
    *,
    details: sa.ColumnElement[Any],
    prefix: str = "",
    event: sa.ColumnElement[str] | None = None,
) -> sa.Insert:
    """The statement that inserts one audit row for each row of ``source``.

    ``source`` has the columns id and workspace_id; the insertion can be part of the statement that makes it. Open
    parameters: ``at_``, ``actor_``, and ``event_`` unless it is given; each with the ``prefix`` before it.
    """
    row = sa.select(
        source.c.workspace_id,
        sa.bindparam(f"{prefix}at_", type_=sa.BigInteger),
        sa.bindparam(f"{prefix}actor_", type_=sa.Text),
        sa.bindparam(f"{prefix}event_", type_=sa.Text) if event is None else event,
        source.c.id,
        details,
    )
    return sa.insert(audit).from_select(list(_COLUMNS), row)


def of(db: Connection, workspace_id: str, subject: str) -> list[sa.Row[Any]]:
    """Every event of one subject, oldest first."""
    query = sa.select(audit).where(audit.c.workspace_id == workspace_id, audit.c.subject == subject)
    return list(db.execute(query.order_by(audit.c.id)))
