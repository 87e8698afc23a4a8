"""A worker tells for how long its event loop has stood still.

Revision ID: 0032
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("processes", sa.Column("stalled_ms", sa.Integer))


def downgrade() -> None:
    op.drop_column("processes", "stalled_ms")
