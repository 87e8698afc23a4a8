"""A playbook that its trigger should start: it starts, or a failed run says why it does not.

In order of time: the run is prepared; then, in the transaction that settles the event or the due time, either the run
is accepted, or a failed run with the reason is written in its place, with ``last_error`` of the playbook and a row of
the audit trail. The next good start clears ``last_error``. Nothing is only in a log.
"""

import json
from dataclasses import dataclass
from typing import Any

from config import logs, times
from config.errors import CallerError, Unavailable
from config.types import Json
from playbooks.definitions.events import PLAYBOOK_FAILED
from playbooks.states import Status
from store import audit
from store.definitions import playbooks
from store.definitions.playbooks import Playbook
from store.engine import db
from store.engine.db import Connection
from store.executions import announcements, rows, transitions
from store.executions.rows import NewRow
from store.ids import new_id
from tasks.definitions import listeners
from tasks.intake import run_start
from tasks.intake.firings import Stopped
from tasks.intake.run_start import RunRequest
from tasks.messages.announcement_messages import announcement
from tasks.messages.model import Canvas, Chain

#: a playbook that was disabled or deleted since it was looked up does not wait for anything any more
_WITHDRAWN = frozenset({"playbook_disabled", "not_found"})

log = logs.logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a playbook was not started: a stable word and a sentence."""

    code: str
    reason: str
    #: the failed run that shows it
    run_id: str | None = None
    #: the run for the same asset that is in its way, where it is known
    running_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A playbook to start: its run, or the refusal."""

    playbook: Playbook
    request: RunRequest
    ready: tuple[NewRow, Chain] | None = None
    refusal: Refusal | None = None
    #: the run that an earlier copy of the same event has started
    known: str | None = None


def prepared(playbook: Playbook, request: RunRequest) -> Candidate:
    """The candidate of a request.

    Raises:
        Unavailable: the database is away.
    """
    try:
        row, chain = run_start.prepare(request)[:2]
    except Unavailable:
        raise
    except CallerError as error:
        return Candidate(playbook=playbook, request=request, refusal=refused(error))
    except Exception:
        log.exception("run not prepared", playbook_id=playbook.id)
        refusal = Refusal(code="internal_error", reason="The run could not be prepared; the log says why.")
        return Candidate(playbook=playbook, request=request, refusal=refusal)
    return Candidate(playbook=playbook, request=request, ready=(row, chain))


def refused(error: CallerError) -> Refusal:
    """The refusal for an error."""
    details = "; ".join(problem.detail for problem in error.problems)
    reason = f"{str(error).removesuffix('.')}: {details}" if details else str(error)
    return Refusal(code=error.code, reason=reason, running_id=error.members.get("running_execution_id"))


def accept(connection: Connection, this: Candidate, row: NewRow) -> None:
    """Write the run of a candidate that is ready.

    Raises:
        IntegrityError: the playbook runs for this asset.
    """
    run_start.accept(connection, request=this.request, row=row)
    if this.playbook.last_error is not None:
        playbooks.clear_error(connection, this.playbook.workspace_id, this.playbook.id, this.playbook.last_error)


def stop(connection: Connection, this: Candidate, stopped: Stopped) -> NewRow:
    """Write the run of a candidate that a rule keeps from beginning, and what begins in its place."""
    said: NewRow = {"error": _text(stopped.error), "output": _text(stopped.output)}
    run: NewRow = {**_ended_run(this), **said, "status": stopped.status, "gate": stopped.gate}
    transitions.add(connection, [run, *([stopped.run] if stopped.run is not None else [])], this.request.actor)
    failed = stopped.status == Status.FAILED
    if failed and listeners.emits(run["workspace_id"], run["mode"], PLAYBOOK_FAILED, this.request.source, connection):
        announcements.add(connection, run["workspace_id"], PLAYBOOK_FAILED, run["id"])
    return run


def fail(connection: Connection, this: Candidate, refusal: Refusal, **noted: Any) -> NewRow | None:
    """Write the failed run of a candidate that cannot start.

    None if its playbook does not wait any more. ``noted`` goes into the audit trail.
    """
    playbook, request = this.playbook, this.request
    said: NewRow = {"error": _text({"code": refusal.code, "message": refusal.reason})}
    run: NewRow | None = None if refusal.code in _WITHDRAWN else {**_ended_run(this), **said}
    details = {"code": refusal.code, "reason": refusal.reason, **noted, **({"run": run["id"]} if run else {})}
    audit.record(connection, request.workspace_id, request.actor, "playbook.not_fired", playbook.id, **details)
    if run is None:
        return None
    transitions.add(connection, [run], request.actor)
    error = {"at": times.stamp(run["created_at"]), "code": refusal.code, "message": refusal.reason}
    playbooks.set_error(connection, request.workspace_id, playbook.id, json.dumps(error))
    if listeners.emits(request.workspace_id, request.mode, PLAYBOOK_FAILED, request.source, connection):
        announcements.add(connection, request.workspace_id, PLAYBOOK_FAILED, run["id"])
    return run


def told_of(run: NewRow | None) -> list[Canvas]:
    """The message that announces a failed run, to publish after the commit."""
    return [announcement(run["id"], run["action_id"])] if run and run["status"] == Status.FAILED else []


def _text(value: Json | None) -> str | None:
    return None if value is None else json.dumps(value)


def _ended_run(this: Candidate) -> NewRow:
    """A run that has failed as it was accepted, without its error."""
    request, now = this.request, db.now_ms()
    return rows.run(
        {
            "id": new_id("pexec"),
            "workspace_id": request.workspace_id,
            "action_id": request.playbook_id,
            "revision_id": this.playbook.revision.id,
            "status": Status.FAILED,
            "queue": "steps",
            "mode": request.mode,
            "timeout_ms": 0,
            "publishes": 0,
            "target": request.target,
            "input": json.dumps(request.parameters),
            "created_by": request.actor,
            "request_id": request.request_id,
            "created_at": now,
            "completed_at": now,
            "cause": request.trigger,
            "event_id": run_start.event_id(request),
            "context": run_start.context(request, {}),
        }
    )
