"""The id of a dispatch names what became of it, also where it has made no execution.

Revision ID: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency_keys", sa.Column("outcome", sa.Text))


def downgrade() -> None:
    op.drop_column("idempotency_keys", "outcome")
