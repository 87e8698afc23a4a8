"""Announcements: what has happened to a run or an approval and playbooks listen for.

A row is written in the transaction that ends or pauses the run, or asks for the approval; it goes in the transaction
that starts the playbooks. So nothing is lost, and nothing starts twice. There are rows only where a playbook listens.
"""

import sqlalchemy as sa

from store.engine.db import metadata

announcements = sa.Table(
    "announcements",
    metadata,
    #: also the id of the event
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    #: the run, or the execution that waits for the approval
    sa.Column("execution_id", sa.Text, nullable=False),
    #: when tick asks for it again, ms
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Index("ix_announcements_due_at", "due_at"),
)
