"""A key that was rotated keeps its secret of before for a while.

Revision ID: 0034
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("previous_hash", sa.Text))
    op.add_column("api_keys", sa.Column("previous_until", sa.BigInteger))


def downgrade() -> None:
    # a MAC covers what is filled: without the columns a rotated key would open nothing, so it is made anew by then
    op.drop_column("api_keys", "previous_until")
    op.drop_column("api_keys", "previous_hash")
