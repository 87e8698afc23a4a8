"""The mark on an execution whose end a playbook listens for."""

from collections.abc import Collection
from typing import Any

from playbooks.states import Kind, Mode, Status
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import completions, recovery
from tasks.definitions import listeners
from tasks.messages.announcement_messages import announcement
from tasks.messages.model import TaskMessage

#: the end of a triggered action → its event
EVENTS: dict[str, str] = {status: f"action.{status}" for status in completions.ANNOUNCED}


def mark(row: Any, status: Status, awaited: Collection[str] | None = None) -> dict[str, Any]:
    """The mark to store with a triggered action's end in ``status``.

    Empty if no playbook listens, and of a dispatch. In a transaction give the events that are ``awaited``: to look them
    up takes a connection.
    """
    event = EVENTS.get(status) if row.kind == Kind.ACTION and row.mode == Mode.LIVE else None
    if event is None:
        return {}
    return completions.mark() if event in (listeners.awaited(row.workspace_id) if awaited is None else awaited) else {}


def message(execution_id: str, action_id: str) -> TaskMessage:
    """The task that announces the end of an execution."""
    return announcement(execution_id, action_id)


def handle(connection: Connection, row: Row) -> TaskMessage:
    """Postpone an end that no worker has announced yet.

    Returns the message that announces it.
    """
    recovery.postpone(connection, row.id, at=db.now_ms() + 2 * completions.PATIENCE)
    return message(row.id, row.action_id)
