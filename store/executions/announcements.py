"""Announcements: what has happened to a run or an approval and playbooks listen for.

A row is written in the transaction that ends or pauses the run, or asks for the approval; it goes in the transaction
that starts the playbooks. So nothing is lost, and nothing starts twice. There are rows only where a playbook listens,
and only until a worker has started it. (An action has room for such a mark in its own row: ``completions``.)
"""

from collections.abc import Sequence

import sqlalchemy as sa

from store.engine.db import Connection, Row, metadata, now_ms
from store.executions.transitions import executions
from store.ids import new_id

announcements = sa.Table(
    "announcements",
    metadata,
    #: the run, or the execution that waits for the approval
    sa.Column("execution_id", sa.Text, primary_key=True),
    #: also the id of the event; of an approval its own
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    #: when tick asks for it again, ms
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Index("ix_announcements_due_at", "due_at"),
)

_table = announcements.c

#: after this long without an announcement tick asks for it again, ms
PATIENCE = 5_000


def add(db: Connection, workspace_id: str, event: str, execution_id: str, event_id: str | None = None) -> None:
    """Add an announcement; part of the transaction in which it happens.

    That of an approval has the approval's id: an execution may be asked about again.
    """
    values = {"workspace_id": workspace_id, "event": event, "execution_id": execution_id}
    own = event_id or new_id("event")
    db.execute(sa.insert(announcements).values(**values, id=own, due_at=now_ms() + PATIENCE))


def of(db: Connection, execution_id: str) -> list[Row]:
    """What is to be announced of an execution, oldest first."""
    return list(db.execute(sa.select(announcements).where(_table.execution_id == execution_id).order_by(_table.id)))


def subject(db: Connection, execution_id: str) -> Row | None:
    """The row of what an announcement is about, in any workspace: for workers."""
    return db.execute(sa.select(executions).where(executions.c.id == execution_id)).first()


def take(db: Connection, row: Row) -> bool:
    """Remove an announcement; false when another process was faster."""
    mine = sa.and_(_table.execution_id == row.execution_id, _table.id == row.id)
    return db.execute(sa.delete(announcements).where(mine)).rowcount == 1


def due(db: Connection, *, limit: int) -> list[Row]:
    """The announcements that are due."""
    query = sa.select(announcements).where(_table.due_at <= now_ms()).order_by(_table.due_at)
    return list(db.execute(query.limit(limit)))


def postpone(db: Connection, rows: Sequence[Row], *, at: int) -> None:
    """Make these announcements due again at ``at``, ms."""
    them = [(row.execution_id, row.id) for row in rows]
    mine = sa.tuple_(_table.execution_id, _table.id).in_(them)
    db.execute(sa.update(announcements).where(mine).values(due_at=at))
