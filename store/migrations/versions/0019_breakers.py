"""Circuit breakers of providers, one row for each that has ever failed.

Revision ID: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "breakers",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("successes", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.BigInteger),
        sa.Column("recover_at", sa.BigInteger),
        sa.Column("probe_by", sa.Text),
        sa.Column("probe_until", sa.BigInteger),
        sa.Column("forced_by", sa.Text),
        sa.Column("version", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("breakers")
