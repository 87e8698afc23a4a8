"""The audit trail, each row written in the transaction of its event.

Append-only: the database itself refuses to change or delete a row (triggers in the first migration). Rows never hold
parameters, outputs or secrets; they name things by id.

A row with an ``outcome`` is a *record*: it says what became of something that was to go out (a triggered action, a step
of a run, a dispatch). ``store.gateway.end_record`` makes those of executions, ``store.records.listing`` those of
dispatches that became none, and reads both.
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
    #: of a record, as the others below
    sa.Column("outcome", sa.Text),
    #: a word of ``gateway.facts.ORIGINS``
    sa.Column("origin", sa.Text),
    sa.Column("namespace", sa.Text),
    sa.Column("provider", sa.Text),
    sa.Column("action_type", sa.Text),
    #: the id that the sender of a dispatch gave it
    sa.Column("given_id", sa.Text),
    #: what the rules decided; NULL where none concerned it
    sa.Column("verdict", sa.Text),
    sa.Column("rule", sa.Text),
    #: who asked for it
    sa.Column("caller", sa.Text),
    #: when it was accepted
    sa.Column("began_at", sa.BigInteger),
    sa.Index("ix_audit_subject", "workspace_id", "subject"),
)
sa.Index(
    "ix_audit_order",
    audit.c.xid,
    audit.c.id,
    sqlite_where=audit.c.xid.is_not(None),
    postgresql_where=audit.c.xid.is_not(None),
)

#: the columns of a record
RECORD = (
    "outcome",
    "origin",
    "namespace",
    "provider",
    "action_type",
    "given_id",
    "verdict",
    "rule",
    "caller",
    "began_at",
)
#: how most things end: an index of all the others costs those nothing
USUAL = "executed"


def _of_records(name: str, *columns: sa.Column[Any], where: str) -> None:
    these = sa.text(where)
    sa.Index(f"ix_audit_{name}", audit.c.workspace_id, *columns, sqlite_where=these, postgresql_where=these)


#: the order of records; the last columns let a filter of them skip what it does not want without reading it
_of_records(
    "records",
    audit.c.at,
    audit.c.id,
    audit.c.provider,
    audit.c.namespace,
    audit.c.caller,
    where="outcome IS NOT NULL",
)
_of_records("providers", audit.c.provider, audit.c.at, audit.c.id, where="outcome IS NOT NULL")
_of_records("types", audit.c.action_type, audit.c.at, audit.c.id, where="outcome IS NOT NULL")
_of_records("outcomes", audit.c.outcome, audit.c.at, audit.c.id, where=f"outcome <> '{USUAL}'")
_of_records("verdicts", audit.c.verdict, audit.c.at, audit.c.id, where="verdict IS NOT NULL")
_of_records("rules", audit.c.rule, audit.c.at, audit.c.id, where="rule IS NOT NULL")
_of_records("given", audit.c.given_id, audit.c.id, where="given_id IS NOT NULL")

#: the actor when no caller acts: recovery, time-outs, workers
SYSTEM = "system"

_encode = json.JSONEncoder(separators=(",", ":")).encode
_COLUMNS = ("workspace_id", "at", "actor", "event", "subject", "details")
_insert = Prepared(sa.insert(audit).values({name: sa.bindparam(name) for name in _COLUMNS}).inline())
_insert_records = Prepared(
    sa.insert(audit).values({name: sa.bindparam(name) for name in (*_COLUMNS, *RECORD)}).inline()
)
#: the columns of a row that is no record
NO_RECORD: Mapping[str, Any] = dict.fromkeys(RECORD)


def record(db: Connection, workspace_id: str, actor: str, event: str, subject: str, **details: Any) -> None:
    """Add one row; part of the caller's transaction."""
    _insert.run(db, entry(workspace_id, actor, event, subject, **details))


def record_all(db: Connection, entries: Sequence[Mapping[str, Any]]) -> None:
    """Add many rows made by ``entry``; part of the caller's transaction."""
    _insert.many(db, entries)


def record_ends(db: Connection, entries: Sequence[Mapping[str, Any]]) -> None:
    """Add rows that may be records: those of ``entry``, each with the columns ``RECORD``."""
    _insert_records.many(db, entries) if len(entries) > 1 else _insert_records.run(db, entries[0])


def entry(workspace_id: str, actor: str, event: str, subject: str, **details: Any) -> dict[str, Any]:
    """A row: now ``actor`` did ``event`` to ``subject``."""
    return {
        "workspace_id": workspace_id,
        "at": now_ms(),
        "actor": actor,
        "event": event,
        "subject": subject,
        "details": written(details),
    }


def written(details: Mapping[str, Any]) -> str | None:
    """Details as a row has them."""
    return _encode(details) if details else None


def noting(
    source: sa.FromClause,
    *,
    details: sa.ColumnElement[Any],
    prefix: str = "",
    event: sa.ColumnElement[str] | None = None,
    record: Mapping[str, sa.ColumnElement[Any]] | None = None,
    of: str = "",
) -> sa.Insert:
    """The statement that inserts one audit row for each row of ``source``.

    ``source`` has the columns id and workspace_id; the insertion can be part of the statement that makes it. Open
    parameters: ``at_``, ``actor_``, and ``event_`` unless it is given; each with the ``prefix`` before it. ``record``
    are the columns of records. ``of`` names the parameter that has the id of the row, where the statement may be made
    for many rows, each with parameters of its own.
    """
    more = record or {}
    row = sa.select(
        source.c.workspace_id,
        sa.bindparam(f"{prefix}at_", type_=sa.BigInteger),
        sa.bindparam(f"{prefix}actor_", type_=sa.Text),
        sa.bindparam(f"{prefix}event_", type_=sa.Text) if event is None else event,
        source.c.id,
        details,
        *more.values(),
    )
    if of:
        row = row.where(source.c.id == sa.bindparam(of, type_=sa.Text))
    return sa.insert(audit).from_select([*_COLUMNS, *more], row)


def of(db: Connection, workspace_id: str, subject: str) -> list[sa.Row[Any]]:
    """Every event of one subject, oldest first."""
    query = sa.select(audit).where(audit.c.workspace_id == workspace_id, audit.c.subject == subject)
    return list(db.execute(query.order_by(audit.c.id)))
