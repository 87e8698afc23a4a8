"""Records of one provider have an index: rules count them at each decision, and lists of them are read off it.

The rows of before are left out, as in the other indexes of records. Processes of the release before are as they were.

On PostgreSQL the index is built and dropped CONCURRENTLY: accepts and workers go on. SQLite builds it in a transaction,
about a second for each million records, in which other processes wait to write. It may be broken off and run again: an
index of PostgreSQL whose building was broken off is built again.

Revision ID: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_NAME = "ix_audit_providers"
_COLUMNS = "(workspace_id, provider, at, id)"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        if not _is_finished():
            _drop()
            op.execute(f"CREATE INDEX {_concurrently()} {_NAME} ON audit {_COLUMNS} WHERE outcome IS NOT NULL")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        _drop()


def _is_finished() -> bool:
    bind = op.get_bind()
    found = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = :name"
    if bind.dialect.name == "postgresql":
        found = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND indisvalid"
    return bind.execute(sa.text(found), {"name": _NAME}).first() is not None


def _drop() -> None:
    op.execute(f"DROP INDEX {_concurrently()} IF EXISTS {_NAME}")


def _concurrently() -> str:
    return "CONCURRENTLY" if op.get_bind().dialect.name == "postgresql" else ""
