"""An index of what has ended and still holds its sealed input.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    some = sa.text("sealed IS NOT NULL AND completed_at IS NOT NULL")
    op.create_index(
        "ix_executions_held_secret", "executions", ["completed_at"], sqlite_where=some, postgresql_where=some
    )


def downgrade() -> None:
    op.drop_index("ix_executions_held_secret", "executions")
