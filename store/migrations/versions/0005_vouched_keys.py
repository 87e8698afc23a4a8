"""API keys get a MAC over what their rows say; sealed values are found by an index.

The keys that are there now are vouched for here, once: a row that is made or altered later by anybody but Tocsin opens
nothing. Where ``TOCSIN_SEALED_OLD`` is ``refuse`` none is: then there are no keys of an earlier version, and who can
alter the tables cannot have this migration run again over keys of his own.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

from config.settings import settings
from store import access

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SEALED = sa.text("sealed IS NOT NULL")
_COLUMNS = ("id", "workspace_id", "role", "scopes", "expires_at", "secret_hash", "mac")


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("mac", sa.Text(), nullable=True))
    op.create_index("ix_executions_sealed", "executions", ["id"], sqlite_where=_SEALED, postgresql_where=_SEALED)
    if settings().sealed_old != "refuse":
        _vouch_for_the_present_keys()


def _vouch_for_the_present_keys() -> None:
    keys, database = sa.table("api_keys", *[sa.column(name) for name in _COLUMNS]), op.get_bind()
    for row in list(database.execute(sa.select(keys))):
        change = sa.update(keys).where(keys.c.id == row.id).values(mac=access.mac(row._asdict()))
        database.execute(change)


def downgrade() -> None:
    op.drop_index("ix_executions_sealed", "executions")
    op.drop_column("api_keys", "mac")
