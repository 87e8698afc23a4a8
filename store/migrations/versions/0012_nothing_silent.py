"""What playbooks name, why a trigger could not start one, and what is still to be announced.

``playbook_references`` starts empty: the first deletion that asks for users records what the playbooks of its workspace
name (``references_of`` says of which revision that was done).

Revision ID: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("playbooks", sa.Column("last_error", sa.Text))
    op.add_column("playbooks", sa.Column("references_of", sa.Text))
    unrecorded = sa.text("references_of IS NULL OR references_of <> revision_id")
    op.create_index(
        "ix_playbooks_unrecorded",
        "playbooks",
        ["workspace_id"],
        sqlite_where=unrecorded,
        postgresql_where=unrecorded,
    )
    op.create_table(
        "playbook_references",
        sa.Column("workspace_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("playbook_id", sa.Text, primary_key=True),
        sa.Column("places", sa.Text, nullable=False),
        sa.Index("ix_playbook_references_playbook", "workspace_id", "playbook_id"),
    )
    op.create_table(
        "announcements",
        sa.Column("execution_id", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Index("ix_announcements_due_at", "due_at"),
    )


def downgrade() -> None:
    op.drop_table("announcements")
    op.drop_table("playbook_references")
    op.drop_index("ix_playbooks_unrecorded", table_name="playbooks")
    op.drop_column("playbooks", "references_of")
    op.drop_column("playbooks", "last_error")
