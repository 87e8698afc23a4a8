"""Playbooks that listen for what Tocsin emits, in tests inside one process."""

from typing import Any

from store.engine import db
from store.executions import announcements, transitions
from tasks.definitions import listeners
from tasks.entrypoints.completions import announce


def forgotten() -> None:
    """Have the next event look for listening playbooks again."""
    listeners._remembered.clear()


def waiting(execution_id: str) -> list[str]:
    """The events that are still to be announced of an execution."""
    with db.read() as connection:
        return [row.event for row in announcements.of(connection, execution_id)]


def announced(execution_id: str) -> str:
    """Announce what waits, as a worker does."""
    return announce(execution_id)


def runs_of(playbook_id: str, workspace: str = "default") -> list[Any]:
    """The rows of a playbook's runs, oldest first."""
    table = transitions.executions
    mine = table.c.action_id == playbook_id, table.c.kind == "playbook", table.c.workspace_id == workspace
    with db.read() as connection:
        return list(connection.execute(table.select().where(*mine).order_by(table.c.id)))
