"""The mark on an execution that ends well while a playbook listens for that."""

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

#: how long it is remembered whether a playbook listens, seconds
FRESH = 2.0

#: workspace → until when this holds, and whether a playbook listens
_remembered: dict[str, tuple[float, bool]] = {}


def mark(row: Any, status: Status) -> dict[str, Any]:
    """Further columns of a triggered action's execution that ends in ``status``: none unless a playbook listens."""
    announced = status == Status.COMPLETED and row.mode == Mode.LIVE and _awaited(row.workspace_id)
    return completions.mark() if announced else {}


def _awaited(workspace_id: str) -> bool:
    asked, (until, known) = time.monotonic(), _remembered.get(workspace_id, (0.0, False))
    if asked < until:
        return known
    try:
        with db.read() as connection:
            known = playbooks.is_awaited(connection, workspace_id, names(EVENT))
    except Unavailable:
        return True  # a mark too many does no harm
    _remembered[workspace_id] = asked + FRESH, known
    return known


def message(execution_id: str, action_id: str) -> TaskMessage:
    """The task that announces the end of an execution."""
    return TaskMessage(task="tocsin.announce", execution_id=execution_id, label=action_id, queue="steps")


def attend(connection: Connection, row: Row) -> TaskMessage:
    """Have tick announce an end that no worker has announced yet."""
    recovery.postpone(connection, row.id, at=db.now_ms() + 2 * completions.PATIENCE)
    return message(row.id, row.action_id)
