"""Which of the due columns have something that is due: one look for all of them.

Tick asks this once a second, and only then reads the rows of what is due. Each minimum is the first entry of a partial
index, so that the look costs the same however many rows there are. The rows of executions are not looked at here: tick
locks those that are due at once.
"""

import sqlalchemy as sa

from store.definitions.playbooks import playbooks
from store.engine.db import Connection, now_ms
from store.engine.prepared import Prepared
from store.gateway.approvals import approvals
from store.gateway.events import events

SCHEDULES, NOTICES, TIMEOUTS = "schedules", "notices", "timeouts"
_COLUMNS = {SCHEDULES: playbooks.c.fire_at, NOTICES: approvals.c.notify_at, TIMEOUTS: events.c.timeout_at}

_look = Prepared(
    sa.union_all(
        *(
            sa.select(sa.literal_column(f"'{name}'").label("what"), sa.func.min(column).label("at")).where(
                column.is_not(None)
            )
            for name, column in _COLUMNS.items()
        )
    )
)


def due(db: Connection) -> frozenset[str]:
    """The names of the columns that have something due."""
    now = now_ms()
    return frozenset(row.what for row in _look.run(db, {})[0] if row.at is not None and row.at <= now)
