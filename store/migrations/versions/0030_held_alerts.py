"""What a silence holds names its alert; refusals of links are noted seldom; no row of the audit trail is replaced.

On SQLite ``INSERT OR REPLACE`` deletes the row before without asking the triggers of DELETE.

Revision ID: 0030
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_NO_REPLACE = """CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"""


def upgrade() -> None:
    op.add_column("silence_holds", sa.Column("alert", sa.Text))
    op.add_column("approvals", sa.Column("refused_at", sa.BigInteger))
    op.create_index("ix_api_keys_name", "api_keys", ["name"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(_NO_REPLACE)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_no_replace")
    op.drop_index("ix_api_keys_name", "api_keys")
    op.drop_column("approvals", "refused_at")
    op.drop_column("silence_holds", "alert")
