"""Playbooks and their revisions; executions learn of runs and steps.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op


revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXTS = ("run_id", "parent_id", "step_id", "iteration", "type", "previous_id", "vars", "context", "cause", "retry_of", "root_id")
_NUMBERS = ("open", "cursor")
_LIVE_RUN = "kind = 'playbook' AND mode <> 'dry_run' AND status IN ('pending', 'running', 'paused')"


def upgrade() -> None:
    with op.batch_alter_table("executions", schema=None) as batch_op:
        for name in _TEXTS:
            batch_op.add_column(sa.Column(name, sa.Text(), nullable=True))
        for name in _NUMBERS:
            batch_op.add_column(sa.Column(name, sa.Integer(), nullable=True))
    _partial("ix_executions_run", ["run_id"], "run_id IS NOT NULL")
    _partial("ix_executions_child", ["parent_id"], "kind = 'playbook' AND parent_id IS NOT NULL")
    _partial("ix_executions_root", ["root_id"], "root_id IS NOT NULL")
    _partial("uq_executions_running", ["workspace_id", "action_id", "target"], _LIVE_RUN, unique=True)

    op.create_table(
        "playbooks",
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("revision_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("trigger_event", sa.Text(), nullable=False),
        sa.Column("fire_at", sa.BigInteger(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("step_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspaces.id"]),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_playbooks")),
    )
    op.create_index("ix_playbooks_trigger", "playbooks", ["workspace_id", "trigger_event"])
    _partial("ix_playbooks_fire_at", ["fire_at"], "fire_at IS NOT NULL", table="playbooks")

    op.create_table(
        "playbook_revisions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("workspace_id", sa.Text(), nullable=False),
        sa.Column("playbook_uid", sa.Text(), nullable=False),
        sa.Column("playbook_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_playbook_revisions")),
    )
    op.create_index("uq_playbook_revisions_version", "playbook_revisions", ["playbook_uid", "version"], unique=True)


def _partial(name, columns, condition, *, table="executions", unique=False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_table("playbook_revisions")
    op.drop_table("playbooks")
    for name in ("uq_executions_running", "ix_executions_root", "ix_executions_child", "ix_executions_run"):
        op.drop_index(name, "executions")
    with op.batch_alter_table("executions", schema=None) as batch_op:
        for name in (*_TEXTS, *_NUMBERS):
            batch_op.drop_column(name)
