"""By how much the clock of a worker's machine differs from the database's.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("processes", sa.Column("skew_ms", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("processes", "skew_ms")
