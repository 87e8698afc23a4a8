"""Silences have a table, with what they hold and the alerts that they have kept back.

Revision ID: 0028
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "silences",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("exact", sa.Boolean, nullable=False),
        sa.Column("matchers", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("author_workspace", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("starts_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger),
        sa.Column("cron", sa.Text),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("notify", sa.Text),
        sa.Column("remind_ms", sa.BigInteger),
        sa.Column("reminded", sa.Boolean, nullable=False),
        sa.Column("summed_at", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("notice_error", sa.Text),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("ended_by", sa.Text),
        sa.Column("held", sa.Integer, nullable=False),
        sa.Column("held_until", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("ix_silences_order", "silences", ["created_at", "id"])
    op.create_index("ix_silences_tenant", "silences", ["workspace_id", "created_at", "id"])
    due, live = sa.text("next_at IS NOT NULL"), sa.text("ended_at IS NULL")
    op.create_index("ix_silences_due", "silences", ["next_at"], sqlite_where=due, postgresql_where=due)
    op.create_index("ix_silences_live", "silences", ["id"], sqlite_where=live, postgresql_where=live)
    op.create_table(
        "silence_holds",
        sa.Column("silence_id", sa.Text, primary_key=True),
        sa.Column("execution_id", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "silenced_alerts",
        sa.Column("workspace_id", sa.Text, primary_key=True),
        sa.Column("alert", sa.Text, primary_key=True),
        sa.Column("silence_id", sa.Text, primary_key=True),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_silenced_alerts_expires_at", "silenced_alerts", ["expires_at"])


def downgrade() -> None:
    op.drop_table("silenced_alerts")
    op.drop_table("silence_holds")
    op.drop_table("silences")
