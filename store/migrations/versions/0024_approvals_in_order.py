"""Approvals have indexes in the order of their lists, of one tenant and of all; upkeep deletes the oldest by the latter.

On PostgreSQL they are built and dropped CONCURRENTLY: accepts and workers go on. It may be broken off and run
again: an index of PostgreSQL whose building was broken off is built again.

Revision ID: 0024
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_INDEXES = {"ix_approvals_order": "created_at, id", "ix_approvals_tenant": "workspace_id, created_at, id"}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, columns in _INDEXES.items():
            if not _is_finished(name):
                _drop(name)
                op.execute(f"CREATE INDEX {_concurrently()} {name} ON approvals ({columns})")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in _INDEXES:
            _drop(name)


def _is_finished(name: str) -> bool:
    bind = op.get_bind()
    found = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = :name"
    if bind.dialect.name == "postgresql":
        found = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND indisvalid"
    return bind.execute(sa.text(found), {"name": name}).first() is not None


def _drop(name: str) -> None:
    op.execute(f"DROP INDEX {_concurrently()} IF EXISTS {name}")


def _concurrently() -> str:
    return "CONCURRENTLY" if op.get_bind().dialect.name == "postgresql" else ""
