"""Recurring actions, their firings and named calendars have tables.

Revision ID: 0031
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recurring",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("cron", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("action_type", sa.Text, nullable=False),
        sa.Column("asset", sa.Text),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("dedup_key", sa.Text),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("catch_up", sa.Text, nullable=False),
        sa.Column("overlap", sa.Text, nullable=False),
        sa.Column("jitter_ms", sa.BigInteger, nullable=False),
        sa.Column("skip_during", sa.Text),
        sa.Column("ends_at", sa.BigInteger),
        sa.Column("max_executions", sa.BigInteger),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("fire_at", sa.BigInteger),
        sa.Column("executions", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", sa.BigInteger),
        sa.Column("last_outcome", sa.Text),
        sa.Column("last_execution_id", sa.Text),
        sa.Column("last_error", sa.Text),
        sa.Column("paused_at", sa.BigInteger),
        sa.Column("paused_by", sa.Text),
        sa.Column("pause_reason", sa.Text),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("ix_recurring_order", "recurring", ["workspace_id", "namespace", "created_at", "id"])
    due, skips = sa.text("fire_at IS NOT NULL"), sa.text("skip_during IS NOT NULL")
    op.create_index("ix_recurring_fire_at", "recurring", ["fire_at"], sqlite_where=due, postgresql_where=due)
    op.create_index("ix_recurring_skips", "recurring", ["id"], sqlite_where=skips, postgresql_where=skips)
    op.create_table(
        "recurring_firings",
        sa.Column("recurring_id", sa.Text, primary_key=True),
        sa.Column("due_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("fired_at", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("execution_id", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("missed_to", sa.BigInteger),
        sa.Column("backfilled_by", sa.Text),
    )
    op.create_index("ix_recurring_firings_fired_at", "recurring_firings", ["fired_at"])
    op.create_table(
        "time_intervals",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("time_intervals")
    op.drop_table("recurring_firings")
    op.drop_table("recurring")
