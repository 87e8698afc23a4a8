"""Each list of executions and each filter of it gets an index in the order of the list.

Two indexes that only lists have used go. Processes of the release before list more slowly from then on and are otherwise
as they were.

On PostgreSQL the indexes are built and dropped CONCURRENTLY: accepts and workers go on. An index whose building was broken
off is built again. SQLite builds one index in a transaction, a second or two for each million rows, in which other
processes wait to write; in the pause behind it they go on. It may be broken off and run again.

Revision ID: 0010
"""

import time

from alembic import op

from store.engine import rest

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_DONE = "kind = 'action' OR (kind = 'step' AND type = 'action' AND revision_id <> '')"
_RUN = "kind = 'playbook'"

#: name → column of its own between the workspace and the order, and the rows that it has
_NEW = {
    "done": ("", _DONE),
    "done_action": ("action_id", _DONE),
    "done_status": ("status", _DONE),
    "done_target": ("target", f"({_DONE}) AND target IS NOT NULL"),
    "runs": ("", _RUN),
    "runs_playbook": ("action_id", _RUN),
    "runs_status": ("status", _RUN),
    "runs_target": ("target", f"{_RUN} AND target IS NOT NULL"),
    "runs_cause": ("cause", _RUN),
    "runs_mode": ("mode", _RUN),
}
_FORMER = {"action": "workspace_id, action_id, id", "workspace": "workspace_id, id"}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, (column, where) in _NEW.items():
            columns = ", ".join(filter(None, ("workspace_id", column, "created_at", "id")))
            _build(name, f"({columns}) WHERE {where}")
        for name in _FORMER:
            _drop(name)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        for name, columns in _FORMER.items():
            _build(name, f"({columns})")
        for name in _NEW:
            _drop(name)


def _build(name: str, what: str) -> None:
    _drop(name)
    began = time.monotonic()
    op.execute(f"CREATE INDEX {_concurrently()} ix_executions_{name} ON executions {what}")
    rest.after_bite(began)


def _drop(name: str) -> None:
    op.execute(f"DROP INDEX {_concurrently()} IF EXISTS ix_executions_{name}")


def _concurrently() -> str:
    return "CONCURRENTLY" if op.get_bind().dialect.name == "postgresql" else ""
