"""Payloads keep what else their dispatch said of itself, so that it can be sent again.

Revision ID: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payloads", sa.Column("members", sa.Text))


def downgrade() -> None:
    op.drop_column("payloads", "members")
