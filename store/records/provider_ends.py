"""The latest recorded ends of calls of providers.

Only the newest part of the trail is read, however long it is: the question is how providers are now.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from playbooks.states import Kind
from store.audit import audit
from store.callers import reach
from store.callers.reach import Covering
from store.engine.db import Connection, Row
from store.executions.lists.walks import unindexed
from store.executions.transitions import executions

#: audit rows that are looked through, and ends that are read, at most
MOST_LOOKED_AT, MOST_READ = 40_000, 10_000
#: the outcomes of what was called
_CALLED = ("executed", "rerouted", "failed")
#: how a step or a dispatch names its provider
_PREFIX = "provider:"

_table, _row = audit.c, executions.c
_by_provider = sa.or_(
    _row.kind == Kind.DISPATCH,
    sa.func.substr(_row.action_id, 1, len(_PREFIX)) == _PREFIX,
    _table.outcome == "rerouted",
)


def latest(connection: Connection, grants: Sequence[Covering], since: int) -> list[Row]:
    """Ends that the grants cover, since a time (ms): provider, outcome and how long it took (ms), newest first."""
    newest = sa.select(sa.func.coalesce(sa.func.max(_table.id), 0)).scalar_subquery()
    covered = reach.where(
        grants,
        tenant=unindexed(_table.workspace_id),
        namespace=_table.namespace,
        provider=_table.provider,
        action=_table.action_type,
    )
    # read by id: by another index, all that it finds would have to be sorted
    query = (
        sa.select(_table.provider, _table.outcome, (_table.at - _table.began_at).label("took"))
        .join(executions, _row.id == _table.subject)
        .where(_table.id > newest - MOST_LOOKED_AT, unindexed(_table.outcome).in_(_CALLED), _table.at + 0 >= since)
        .where(_by_provider, covered)
        .order_by(_table.id.desc())
        .limit(MOST_READ)
    )
    return list(connection.execute(query))
