"""What the gate has decided about an execution, and what it must remember: equal executions, windows, their values.

Revision ID: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("executions", sa.Column("gate", sa.Text))
    op.create_table(
        "dedup_keys",
        sa.Column("workspace_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("execution_id", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Index("ix_dedup_keys_execution_id", "execution_id"),
        sa.Index("ix_dedup_keys_expires_at", "expires_at"),
    )
    op.create_table(
        "throttles",
        sa.Column("workspace_id", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("window_start", sa.BigInteger, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("next_slot", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Index("ix_throttles_expires_at", "expires_at"),
    )
    op.create_table(
        "throttle_members",
        sa.Column("workspace_id", sa.Text, primary_key=True),
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("window_start", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Index("ix_throttle_members_expires_at", "expires_at"),
    )


def downgrade() -> None:
    op.drop_table("throttle_members")
    op.drop_table("throttles")
    op.drop_table("dedup_keys")
    op.drop_column("executions", "gate")
