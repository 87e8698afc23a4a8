"""Idempotency keys belong to the caller who sent them: those in use get their owner.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: between the caller and the key
_SEPARATOR = "\x1f"


def upgrade() -> None:
    keys, executions = sa.table("idempotency_keys", sa.column("key"), sa.column("execution_id")), sa.table(
        "executions", sa.column("id"), sa.column("created_by")
    )
    made = executions.c.id == keys.c.execution_id
    owner = sa.select(executions.c.created_by).where(made).scalar_subquery()
    owned = sa.cast(owner, sa.Text) + sa.literal(_SEPARATOR) + sa.cast(keys.c.key, sa.Text)
    op.execute(keys.update().values(key=owned).where(sa.exists().where(made)))


def downgrade() -> None:
    keys = sa.table("idempotency_keys", sa.column("key", sa.Text))
    op.execute(keys.delete().where(keys.c.key.contains(_SEPARATOR)))
