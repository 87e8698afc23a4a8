"""The mark on an execution whose end a playbook listens for."""

import time
from typing import Any

from config.errors import Unavailable
from playbooks.definitions.triggers import names
from playbooks.states import Mode, Status
from store.definitions import playbooks
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import completions, recovery
from tasks.messages.model import TaskMessage

EVENT = "action.completed"

#: how long a look-up of listening playbooks is used, seconds
FRESH = 2.0

#: workspace → until when the look-up is used, and whether a playbook listens
_remembered: dict[str, tuple[float, bool]] = {}


def mark(row: Any, status: Status) -> dict[str, Any]:
    """The mark to store with a triggered action's end in ``status``.

    Empty if no playbook listens.
    """
    announced = status == Status.COMPLETED and row.mode == Mode.LIVE and _has_listener(row.workspace_id)
    return completions.mark() if announced else {}


def _has_listener(workspace_id: str) -> bool:
    asked, (until, known) = time.monotonic(), _remembered.get(workspace_id, (0.0, False))
    if asked < until:
        return known
    try:
        with db.read() as connection:
            known = playbooks.is_awaited(connection, workspace_id, names(EVENT))
    except Unavailable:
        return True  # a needless mark does no harm
    _remembered[workspace_id] = asked + FRESH, known
    return known


def message(execution_id: str, action_id: str) -> TaskMessage:
    """The task that announces the end of an execution."""
    return TaskMessage(task="tocsin.announce", execution_id=execution_id, label=action_id, queue="steps")


def handle(connection: Connection, row: Row) -> TaskMessage:
    """Postpone an end that no worker has announced yet.

    Returns the message that announces it.
    """
    recovery.postpone(connection, row.id, at=db.now_ms() + 2 * completions.PATIENCE)
    return message(row.id, row.action_id)
