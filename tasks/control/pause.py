"""Pause and resume a run."""

from typing import Any

from config.errors import Conflict
from config.settings import settings
from playbooks.definitions.events import PLAYBOOK_PAUSED
from playbooks.states import Mode, Status, WaitingFor
from store.access import Caller
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import announcements, recovery, runs, transitions
from store.executions.lists import run_listing
from store.executions.transitions import TERMINAL
from tasks.control.cancel import has_ended
from tasks.messages import publisher
from tasks.messages.announcement_messages import announcement
from tasks.messages.model import TaskMessage
from tasks.messages.run_messages import begin_message
from tasks.runs.run import ends_of_row


def pause(caller: Caller, run_id: str) -> Row:
    """Pause a run and those it has started: no step begins.

    Steps under way go on to their end, and delays run on.

    Raises:
        NotFound: no such run. Conflict: it is paused or has ended.
    """

    def apply(connection: Connection) -> tuple[Row, bool]:
        before = runs.get(connection, caller.workspace_id, run_id)
        announced = PLAYBOOK_PAUSED in ends_of_row(before, connection)
        if before.status in TERMINAL:
            raise has_ended(before)
        if before.mode == Mode.DRY_RUN or not _paused(connection, before, caller):
            raise Conflict(f"The run cannot be paused: it is {before.status}.", code="not_running")
        if announced:
            announcements.add(connection, before.workspace_id, PLAYBOOK_PAUSED, run_id)
        return runs.get(connection, caller.workspace_id, run_id), announced

    after, announced = db.change(apply)
    if announced:
        publisher.publish_after_commit(announcement(run_id, after.action_id))
    return after


def _paused(connection: Connection, row: Row, caller: Caller) -> bool:
    changes: dict[str, Any] = {"waiting_for": WaitingFor.OPERATOR, "due_at": row.expires_at}
    moved = transitions.transition(connection, row.id, Status.PAUSED, actor=caller.key_id, **changes)
    if moved is None:
        return False
    for child in runs.children(connection, row.id):
        _paused(connection, child, caller)
    return True


def resume(caller: Caller, run_id: str) -> Row:
    """Resume a paused run and the runs it has started.

    One that a rule has delayed waits on for its time.

    Raises:
        NotFound: no such run. Conflict: it is not paused.
    """

    def go_on(connection: Connection) -> tuple[Row, list[TaskMessage]]:
        before, messages = runs.get(connection, caller.workspace_id, run_id), list[TaskMessage]()
        if before.status != Status.PAUSED:
            raise Conflict(_not_paused(connection, before), code="not_paused")
        _resumed(connection, before, caller, messages)
        return runs.get(connection, caller.workspace_id, run_id), messages

    after, messages = db.change(go_on)
    publisher.publish_after_commit(*messages)
    return after


def _not_paused(connection: Connection, row: Row) -> str:
    if run_listing.shown_status(connection, row) == Status.PAUSED:
        return "The run was not paused by anyone: it waits for a delay or an approval."
    return f"The run is not paused: it is {row.status}."


def _resumed(connection: Connection, row: Row, caller: Caller, messages: list[TaskMessage]) -> None:
    now, begun = db.now_ms(), row.started_at is not None
    begins = row.expires_at - row.timeout_ms  # its time counts from then: of a run that a rule delays it is yet to come
    waits = not begun and begins > now
    due_at = min(row.expires_at, now + (runs.PATROL if begun else settings().lease_seconds * 1000))
    to = Status.RUNNING if begun else Status.PENDING
    changes = {"waiting_for": None, "due_at": begins if waits else due_at, "publishes": 0 if waits else 1}
    transitions.transition(connection, row.id, to, actor=caller.key_id, **changes)
    recovery.publish_now(connection, row.id)
    if not begun and not waits:
        messages.append(begin_message(row.id, row.action_id, row.queue))
    for child in runs.children(connection, row.id):
        if child.status == Status.PAUSED:
            _resumed(connection, child, caller, messages)
