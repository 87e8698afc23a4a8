"""Events, and what they are found by.

Revision ID: 0026
Revises: 0025
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("active", sa.Integer, nullable=False),
        sa.Column("action_type", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("starts_at", sa.Text),
        sa.Column("ends_at", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("entered_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("timeout_at", sa.BigInteger),
        sa.Column("timeout_to", sa.Text),
        sa.Column("moves", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("ix_events_order", "events", ["workspace_id", "created_at", "id"])
    op.create_index("ix_events_state", "events", ["workspace_id", "state", "created_at", "id"])
    op.create_index("ix_events_namespace", "events", ["workspace_id", "namespace", "created_at", "id"])
    op.create_index("ix_events_digest", "events", ["digest"])
    _partial("ix_events_timeout", "events", ["timeout_at"], "timeout_at IS NOT NULL")
    _partial("ix_events_active", "events", ["workspace_id", "namespace", "action_type", "id"], "active = 1")
    _partial("ix_events_over", "events", ["updated_at"], "active = 0")
    op.create_table(
        "event_labels",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("active_key", sa.Text),
    )
    op.create_index("ix_event_labels_label", "event_labels", ["workspace_id", "label", "created_at", "id"])
    _partial("ix_event_labels_active", "event_labels", ["workspace_id", "active_key", "id"], "active_key IS NOT NULL")


def downgrade() -> None:
    op.drop_table("event_labels")
    op.drop_table("events")


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
