"""Approvals have a table, with their votes.

What waits for an approval when this runs gets its row, in bites. Processes of the release before write none for what
begins to wait meanwhile: such an execution is decided by its own path, as before, and by no link.

Revision ID: 0023
"""

import json
import secrets

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_BITE = 500


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("action_type", sa.Text, nullable=False),
        sa.Column("execution_id", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("rule", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("approvers", sa.Text),
        sa.Column("quorum", sa.Integer, nullable=False),
        sa.Column("reject_quorum", sa.Integer, nullable=False),
        sa.Column("requester_may_approve", sa.Boolean),
        sa.Column("on_timeout", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("decided_at", sa.BigInteger),
        sa.Column("decided_by", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("notify", sa.Text),
        sa.Column("notify_at", sa.BigInteger),
        sa.Column("reminder_ms", sa.BigInteger),
        sa.Column("notices", sa.Integer, nullable=False),
        sa.Column("notice_ids", sa.Text),
        sa.Column("notice_error", sa.Text),
        sa.Column("tries", sa.Integer, nullable=False),
    )
    op.create_index("ix_approvals_status", "approvals", ["workspace_id", "status", "created_at", "id"])
    op.create_index("ix_approvals_execution", "approvals", ["execution_id"])
    due = sa.text("notify_at IS NOT NULL")
    op.create_index("ix_approvals_notify", "approvals", ["notify_at"], sqlite_where=due, postgresql_where=due)
    pending = sa.text("status = 'pending'")
    op.create_index(
        "ix_approvals_pending", "approvals", ["created_at", "id"], sqlite_where=pending, postgresql_where=pending
    )
    op.create_table(
        "approval_votes",
        sa.Column("approval_id", sa.Text, primary_key=True),
        sa.Column("voter", sa.Text, primary_key=True),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("via", sa.Text, nullable=False),
    )
    _add_what_waits()


def downgrade() -> None:
    op.drop_table("approval_votes")
    op.drop_table("approvals")


def _add_what_waits() -> None:
    bind = op.get_bind()
    waiting = bind.execute(
        sa.text(
            "SELECT id, workspace_id, kind, type, action_id, step_id, output, created_by, created_at, due_at "
            "FROM executions WHERE status = 'waiting' AND waiting_for = 'approval' AND due_at IS NOT NULL"
        )
    ).all()
    table = sa.table("approvals", *(sa.column(name) for name in _row(waiting[0]))) if waiting else None
    for at in range(0, len(waiting), _BITE):
        assert table is not None
        bind.execute(sa.insert(table), [_row(row) for row in waiting[at : at + _BITE]])


def _row(row):
    output = json.loads(row.output) if row.output else {}
    said = output if isinstance(output, dict) else {}
    approvers = said.get("approvers")
    return {
        "id": f"apr-{secrets.token_hex(16)}",
        "workspace_id": row.workspace_id,
        "namespace": "actions" if row.kind == "action" else "playbooks",
        "provider": "approval",
        "action_type": row.action_id or row.step_id,
        "execution_id": row.id,
        "origin": "step" if row.type == "approval" else "action",
        "message": str(said.get("message") or ""),
        "digest": "",
        "requested_by": row.created_by,
        "approvers": json.dumps(approvers) if approvers else None,
        "quorum": 1,
        "reject_quorum": 1,
        "on_timeout": "fail",
        "status": "pending",
        "created_at": row.created_at,
        "expires_at": row.due_at,
        "notices": 0,
        "tries": 0,
    }
