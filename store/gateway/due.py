"""Which tables have rows that are due, in one statement."""

import sqlalchemy as sa

from store.definitions.playbooks import playbooks
from store.engine.db import Connection, now_ms
from store.gateway.approvals import approvals
from store.gateway.events import events
from store.gateway.groups import event_groups
from store.gateway.silences import silences
from store.recurring.schedules import recurring

#: what becomes due, and the column that says when
_COLUMNS = {
    "schedules": playbooks.c.fire_at,
    "recurring": recurring.c.fire_at,
    "notices": approvals.c.notify_at,
    "silences": silences.c.next_at,
    "events": events.c.timeout_at,
    "groups": event_groups.c.due_at,
}


def _first(name: str, column: sa.Column[int]) -> sa.Select[tuple[str]]:
    """The name, if any row of the column is due."""
    due = sa.exists().where(column <= sa.bindparam("now"))
    return sa.select(sa.literal_column(f"'{name}'").label("name")).where(due)


_look = sa.union_all(*(_first(name, column) for name, column in _COLUMNS.items()))


def look(db: Connection) -> frozenset[str]:
    """The names of what has rows that are due now."""
    return frozenset(str(row.name) for row in db.execute(_look, {"now": now_ms()}))
