"""By which rules the config of an action was masked.

Revision ID: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("action_revisions", sa.Column("rules", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_action_revisions_rules", "action_revisions", ["rules", "id"])


def downgrade() -> None:
    op.drop_index("ix_action_revisions_rules", "action_revisions")
    op.drop_column("action_revisions", "rules")
