"""The indexes of executions that the engine needs; those of lists are in ``store.executions.lists.indexes``."""

import sqlalchemy as sa

from playbooks.states import Kind, Mode
from store.engine.prepared import quoted
from store.executions.transitions import LIVE, executions, partial_index

partial_index("ix_executions_due_at", executions.c.due_at, where=executions.c.due_at.is_not(None))
partial_index("ix_executions_run", executions.c.run_id, where=executions.c.run_id.is_not(None))
partial_index(
    "ix_executions_child",
    executions.c.parent_id,
    where=sa.text(f"kind = '{Kind.PLAYBOOK}' AND parent_id IS NOT NULL"),
)
partial_index("ix_executions_root", executions.c.root_id, where=executions.c.root_id.is_not(None))
#: rows that hold secrets, for re-sealing
partial_index("ix_executions_sealed", executions.c.id, where=executions.c.sealed.is_not(None))
#: what is a running run
RUNNING = f"kind = '{Kind.PLAYBOOK}' AND mode <> '{Mode.DRY_RUN}' AND status IN ({', '.join(map(quoted, LIVE))})"
#: one running run for each playbook and asset
partial_index(
    "uq_executions_running",
    executions.c.workspace_id,
    executions.c.action_id,
    executions.c.target,
    where=sa.text(RUNNING),
    unique=True,
)
