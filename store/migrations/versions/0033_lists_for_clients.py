"""Lists of executions that are part of no run, by what has them carried out, and of the runs of an event.

A run has the id of the event that started it in a column of its own; those of before have none. What a request
triggers enters one index more, at its newest end; the other two hold what schedules, replays and events start.

The indexes are built as in 0020, and the migration may be broken off anywhere and run again.

Revision ID: 0033
"""

import time

import sqlalchemy as sa
from alembic import op

from store.engine import rest

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

#: name → columns, and the rows
_NEW = {
    "triggered": ("(workspace_id, created_at, id, cause)", "kind = 'action'"),
    "triggered_cause": ("(workspace_id, cause, created_at, id)", "kind = 'action' AND cause IS NOT NULL"),
    "runs_event": ("(workspace_id, event_id, created_at, id)", "kind = 'playbook' AND event_id IS NOT NULL"),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        if not _has_column():
            op.add_column("executions", sa.Column("event_id", sa.Text))
        for name, (columns, where) in _NEW.items():
            if not _is_finished(name, columns):
                _drop(name)
                began = time.monotonic()
                op.execute(f"CREATE INDEX {_concurrently()} ix_executions_{name} ON executions {columns} WHERE {where}")
                rest.after_bite(began)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in _NEW:
            _drop(name)
        if _has_column():
            op.drop_column("executions", "event_id")


def _has_column() -> bool:
    return "event_id" in {one["name"] for one in sa.inspect(op.get_bind()).get_columns("executions")}


def _is_finished(name: str, columns: str) -> bool:
    bind = op.get_bind()
    found = "SELECT sql FROM sqlite_master WHERE type = 'index' AND name = :name"
    if bind.dialect.name == "postgresql":
        found = "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid = to_regclass(:name) AND indisvalid"
    row = bind.execute(sa.text(found), {"name": f"ix_executions_{name}"}).first()
    return row is not None and columns in row[0]


def _drop(name: str) -> None:
    op.execute(f"DROP INDEX {_concurrently()} IF EXISTS ix_executions_{name}")


def _concurrently() -> str:
    return "CONCURRENTLY" if op.get_bind().dialect.name == "postgresql" else ""
