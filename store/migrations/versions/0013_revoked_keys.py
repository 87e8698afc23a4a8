"""Revoked API keys stay, so that the audit trail can name who acted.

Revision ID: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("revoked_at", sa.BigInteger))


def downgrade() -> None:
    op.execute("DELETE FROM api_keys WHERE revoked_at IS NOT NULL")  # without the column they would count as valid
    op.drop_column("api_keys", "revoked_at")
