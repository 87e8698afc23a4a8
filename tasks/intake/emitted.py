"""The events that Tocsin emits itself, as playbooks read them: what happened to an action, a run or an approval."""

from typing import Any

from config import times
from playbooks.definitions.events import APPROVAL_REQUESTED
from playbooks.states import Kind
from store import audit
from store.engine import db
from store.engine.db import Row
from store.executions import announcements, runs, transitions
from tasks.attempts.completion import EVENTS
from tasks.definitions import revisions
from tasks.intake.events import TriggerEvent


def of_action(row: Row) -> TriggerEvent:
    """The end of a triggered action; its output or its error is in the data."""
    data = {"action": _action(row), "execution": _execution(row)}
    result = {"output": transitions.load(row.output)} if row.error is None else {}
    return _event(EVENTS[row.status], row.id, row, {**data, **result})


def of_announcement(this: Row) -> TriggerEvent | None:
    """What an announcement is about; None if its execution is gone."""
    row = db.read_one(announcements.subject, this.execution_id)
    if row is None:
        return None
    if this.event == APPROVAL_REQUESTED:
        return _event(this.event, this.id, row, _approval(row))
    status = this.event.partition(".")[2]
    data = {"playbook": _playbook(row), "execution": {**_execution(row), "status": status}}
    return _event(this.event, this.id, row, {**data, "output": transitions.load(row.output)})


def _event(name: str, event_id: str, row: Row, data: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(
        workspace_id=row.workspace_id,
        actor=audit.SYSTEM,
        event=name,
        id=event_id,
        data=data,
        target=row.target,
        request_id=row.request_id,
        hops=1,
    )


def _action(row: Row) -> dict[str, Any]:
    definition = revisions.action(row.revision_id).definition
    return {"id": row.action_id, "name": definition["name"], "type": definition["type"]}


def _playbook(row: Row) -> dict[str, Any]:
    definition = revisions.playbook(row.revision_id)[0].definition
    return {"id": row.action_id, **{name: definition[name] for name in ("name", "version", "tags")}}


def _execution(row: Row) -> dict[str, Any]:
    """The execution; its cause and its error only where it has one."""
    error = transitions.load(row.error)
    shown = {"id": row.id, "status": row.status, "target": row.target}
    return {**shown, **({"trigger": row.cause} if row.cause else {}), **({"error": error} if error else {})}


def _approval(row: Row) -> dict[str, Any]:
    """The question, and where it is asked: in a run, or by an action alone."""
    asked = transitions.load(row.output, {})
    names = ("message", "approvers", "audience")
    approval = {name: asked[name] for name in names if name in asked}
    approval["expires_at"] = None if row.due_at is None else times.stamp(row.due_at)
    if row.kind != Kind.STEP:
        return {"approval": approval, "action": _action(row), "execution": {"id": row.id, "target": row.target}}
    approval |= {"step_id": row.step_id, "iteration": row.iteration}
    run = db.read_one(runs.read, row.run_id)
    playbook = {"playbook": _playbook(run)} if run is not None else {}
    return {"approval": approval, **playbook, "execution": {"id": row.run_id, "target": row.target}}
