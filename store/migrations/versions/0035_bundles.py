"""Bundles of custom actions have tables: their versions, their bytes and their secrets.

Revision ID: 0035
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bundles",
        sa.Column("workspace_id", sa.Text, sa.ForeignKey("workspaces.id"), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("active", sa.Text),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "bundle_versions",
        sa.Column("workspace_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("functions", sa.Text, nullable=False),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
    )
    op.create_index("ix_bundle_versions_digest", "bundle_versions", ["digest"])
    op.create_table(
        "bundle_archives",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "bundle_secrets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("bundle", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("updated_by", sa.Text, nullable=False),
    )
    op.create_index("ix_bundle_secrets_name", "bundle_secrets", ["workspace_id", "bundle", "name"], unique=True)


def downgrade() -> None:
    for table in ("bundle_secrets", "bundle_archives", "bundle_versions", "bundles"):
        op.drop_table(table)
