"""The events that Tocsin emits itself, as playbooks read them: what happened to an action, a run or an approval."""

from typing import Any

from config import times
from playbooks.definitions.events import APPROVAL_REQUESTED
from playbooks.states import Kind
from store import audit
from store.engine import db
from store.engine.db import Row
from store.executions import announcements, runs, transitions
from store.gateway import approvals
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
        return _event(this.event, this.id, row, _asked(row, _approval(this)))
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


def _approval(this: Row) -> Row | None:
    """What is asked; a process of the release before gives its announcement another id."""
    own = db.read_one(approvals.read, this.id)
    return own if own is not None else db.read_one(approvals.newest_of, this.execution_id)


#: what the event says of an approval, as its row has it: secrets are masked there
_SAID = ("id", "origin", "message", "rule", "namespace", "provider", "action_type")


def _asked(row: Row, asked: Row | None) -> dict[str, Any]:
    """What is asked, and where: in a run, by an action, or about a dispatch."""
    said = transitions.load(row.output, {}) if asked is None or asked.origin != approvals.RULE else {}
    approval = {name: said[name] for name in ("message", "approvers", "audience") if name in said}
    until = row.due_at
    if asked is not None:
        approval |= {name: getattr(asked, name) for name in _SAID}
        approval["approvers"], until = approvals.approvers_of(asked), asked.expires_at
    approval["expires_at"] = None if until is None else times.stamp(until)
    if row.kind != Kind.STEP:
        action = {"action": _action(row)} if row.kind == Kind.ACTION else {}
        return {"approval": approval, **action, "execution": {"id": row.id, "target": row.target}}
    approval |= {"step_id": row.step_id, "iteration": row.iteration}
    run = db.read_one(runs.read, row.run_id)
    playbook = {"playbook": _playbook(run)} if run is not None else {}
    return {"approval": approval, **playbook, "execution": {"id": row.run_id, "target": row.target}}
