"""What failed of an action has an index; a further filter on runs is answered by the index of the first.

The new index holds failures only, so what succeeds never touches it. Two indexes of runs are built anew with more
columns behind their order. Processes of the release before are as they were.

On PostgreSQL the indexes are built and dropped CONCURRENTLY: accepts and workers go on. SQLite builds one index in a
transaction, a second or two for each million rows, in which other processes wait to write; in the pause behind it they
go on. It may be broken off anywhere and run again: what is finished stays, and an index of PostgreSQL whose building
was broken off is built again.

Revision ID: 0020
"""

import time
from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

from store.engine import rest

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_DONE = "kind = 'action' OR (kind = 'step' AND type = 'action' AND revision_id <> '')"
_FAILED = "status IN ('failed', 'timeout', 'cancelled')"

#: name → columns between the workspace and the order, columns behind it, and the rows
_NEW = {
    "done_failed": ("action_id, status", "", f"({_DONE}) AND {_FAILED}"),
    "runs_status": ("status", ", cause, mode, action_id", "kind = 'playbook'"),
    "runs_cause": ("cause", ", mode, action_id", "kind = 'playbook'"),
}
_FORMER = {name: (own, "", where) for name, (own, also, where) in _NEW.items() if also}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        _build(_NEW)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name in _NEW.keys() - _FORMER.keys():
            _drop(name)
        _build(_FORMER)


def _build(indexes: Mapping[str, tuple[str, str, str]]) -> None:
    for name, (own, also, where) in indexes.items():
        columns = f"(workspace_id, {own}, created_at, id{also})"
        if _is_finished(name, columns):
            continue
        _drop(name)
        began = time.monotonic()
        op.execute(f"CREATE INDEX {_concurrently()} ix_executions_{name} ON executions {columns} WHERE {where}")
        rest.after_bite(began)


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
