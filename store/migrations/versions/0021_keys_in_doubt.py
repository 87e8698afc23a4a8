"""A deduplication key notes that an attempt of its holder may have had its effect.

Keys that are there count as without doubt, as they did before. Processes of the release before free a key that is noted
so, as they always did.

Revision ID: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("dedup_keys", sa.Column("kept", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("dedup_keys", "kept")
