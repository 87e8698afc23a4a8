"""The order of the audit trail, the marks of its readers, and the numbers for Prometheus.

On PostgreSQL each audit row names the transaction that wrote it, by a default: processes of the release before write it too.
The rows of before keep NULL and come first. The counting begins with what ends after this migration.

The index leaves those rows out, but the table is read once for it, and what writes waits meanwhile: about a second for each
million audit rows. (CREATE INDEX CONCURRENTLY would commit what is before it: broken off, this could not run again.)

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.add_column("audit", sa.Column("xid", sa.BigInteger(), nullable=True))
    if postgresql:  # apart from adding it: rows that are there are not written again
        op.execute("ALTER TABLE audit ALTER COLUMN xid SET DEFAULT (pg_current_xact_id()::text)::bigint")
    where = sa.text("xid IS NOT NULL")
    op.create_index("ix_audit_order", "audit", ["xid", "id"], sqlite_where=where, postgresql_where=where)

    op.create_table(
        "trail_epochs",
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("after_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", name=op.f("pk_trail_epochs")),
    )
    op.create_table(
        "trail_marks",
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reader", name=op.f("pk_trail_marks")),
    )
    op.create_table(
        "metrics",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "workspace_id", "labels", name=op.f("pk_metrics")),
    )
    last = "coalesce((SELECT max(id) FROM audit), 0)"
    if postgresql:
        here = "(SELECT system_identifier::text FROM pg_control_system())"
        op.execute(f"INSERT INTO trail_epochs VALUES (0, '', 0), (1, {here}, {last})")
    op.execute(f"INSERT INTO trail_marks VALUES ('metrics', {int(postgresql)}, 0, {last})")


def downgrade() -> None:
    for table in ("metrics", "trail_marks", "trail_epochs"):
        op.drop_table(table)
    op.drop_index("ix_audit_order", "audit")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("ALTER TABLE audit DROP COLUMN xid")  # a batch would make the table, and lose its triggers
    else:
        op.drop_column("audit", "xid")
