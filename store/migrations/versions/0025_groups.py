"""Groups have a table, with their members.

Revision ID: 0025
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_groups",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("group_key", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("template", sa.Text),
        sa.Column("max_size", sa.Integer, nullable=False),
        sa.Column("interval_ms", sa.BigInteger, nullable=False),
        sa.Column("wait_ms", sa.BigInteger, nullable=False),
        sa.Column("repeat_ms", sa.BigInteger),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("notify_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("closed_at", sa.BigInteger),
        sa.Column("closed_by", sa.Text),
        sa.Column("notified_at", sa.BigInteger),
        sa.Column("summaries", sa.Integer, nullable=False),
        sa.Column("summary_id", sa.Text),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
    )
    op.create_index("ix_event_groups_key", "event_groups", ["group_key", "created_at"])
    _partial("pending", ["workspace_id", "group_key"], "state = 'pending'", unique=True)
    _partial("due", ["due_at"], "due_at IS NOT NULL")
    _partial("open", ["created_at", "id"], "notified_at IS NULL")
    _partial("tenant", ["workspace_id", "created_at", "id"], "notified_at IS NULL")
    _partial("notified", ["notified_at"], "notified_at IS NOT NULL")
    op.create_table(
        "group_events",
        sa.Column("group_id", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("given_id", sa.Text),
        sa.Column("fingerprint", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("severity", sa.Text),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("action_type", sa.Text, nullable=False),
        sa.Column("resolved", sa.Boolean, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("group_events")
    op.drop_table("event_groups")


def _partial(name, columns, where, *, unique=False):
    these = sa.text(where)
    op.create_index(
        f"ix_event_groups_{name}",
        "event_groups",
        columns,
        unique=unique,
        sqlite_where=these,
        postgresql_where=these,
    )
