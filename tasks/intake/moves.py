"""Moves of events: made by dispatches, by people and by time, each in the transaction of what causes it.

In order of time: what a move may make known is prepared outside of any transaction, where providers are looked up and
the rules are asked, for each state from which the event may come. In the transaction the event is locked first; its
state says which move this is; the row is changed by a guarded statement, with its audit row; and the notice of that
move is accepted, a dispatch of the event's tenant with the origin ``event``. A notice that cannot be prepared never
keeps an event in its state: the history says why it is missing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from config.errors import CallerError, Conflict, Problem, Unprocessable
from config.times import stamp
from gateway import current
from gateway.facts import Facts
from gateway.machines import Machine, Step
from gateway.outcomes import Grouped, StateChanged
from gateway.redacted import redacted
from gateway.requests import Dispatch
from gateway.rules import fingerprints
from gateway.verdicts import StateMachine
from store import audit
from store.engine import db
from store.engine.db import Connection
from store.executions.rows import NewRow
from store.gateway import events
from store.gateway.events import Event
from tasks.intake import holds, notices
from tasks.intake.dispatches import gate as dispatch_gate
from tasks.intake.dispatches import notes as dispatch_notes
from tasks.intake.dispatches.gate import Decided, Ready
from tasks.intake.dispatches.rows import Asked, Providers, system
from tasks.messages.model import Canvas
from tasks.policy import checks
from tasks.policy.checks import Refused

#: the action type of notices
NOTIFICATION = "event_notification"
#: what causes a move
DISPATCH, TRANSITION, TIMEOUT = "dispatch", "transition", "timeout"


@dataclass(frozen=True, kw_only=True)
class Move:
    """What is to become of an event; of a dispatch ``event`` is the event as it would be new."""

    machine: Machine
    event: Event
    wanted: str | None
    cause: str
    #: who or what moves it, and the record of the dispatch
    actor: str
    record: str | None = None
    #: state from which it comes → the notice of that move, or why there is none
    told: Mapping[str, Ready | str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What a move has come to; rows and messages are those of its notice."""

    outcome: StateChanged
    event_id: str
    rows: Sequence[NewRow] = ()
    messages: Sequence[Canvas] = ()


# a dispatch


def moving(ready: Ready, providers: Providers) -> Ready:
    """A dispatch with the move that a rule asks for, if one does.

    Raises:
        Unprocessable: nothing says which event it is about. Conflict: the state machine is not in force any more.
    """
    effect, facts = ready.verdict.effect, ready.facts
    if not isinstance(effect, StateMachine) or facts is None or ready.refused_by is not None:
        return ready
    machine = current.held().machines.get(effect.state_machine)
    if machine is None:
        raise Conflict(f"There is no state machine {effect.state_machine!r} any more.", code="no_state_machine")
    fingerprint = fingerprints.of(effect, facts)
    if fingerprint is None:
        text = f"The rule {ready.verdict.rule!r} moves an event, and nothing says which."
        raise Unprocessable(
            text, problems=[Problem("/fingerprint", "is required: the rule names no fingerprint_fields")]
        )
    now, this = db.now_ms(), ready.asked.dispatch
    event = Event(
        workspace_id=this.tenant,
        namespace=this.namespace,
        fingerprint=fingerprint,
        machine=machine.name,
        state=machine.initial_state,
        active=int(machine.is_active(machine.initial_state)),
        action_type=this.action_type,
        provider=this.provider,
        created_at=now,
        entered_at=now,
        updated_at=now,
        labels=this.labels,
        starts_at=this.starts_at,
        ends_at=this.ends_at,
    )
    move = Move(
        machine=machine,
        event=event,
        wanted=machine.wanted(this.status, this.ends_at, now),
        cause=DISPATCH,
        actor=ready.asked.caller.key_id,
        record=ready.asked.subject,
    )
    told = {
        before: notice(move, Step(before, str(move.wanted), moves=True, notice=said), providers, facts)
        for before, said in machine.told(move.wanted)
    }
    return replace(ready, move=replace(move, told=told))


def lock(connection: Connection, ready: Iterable[Ready]) -> None:
    """Lock the events that some dispatches move, before anything else is locked."""
    lock_of(connection, (one.move for one in ready if one.move is not None))


def lock_of(connection: Connection, made: Iterable[Move]) -> None:
    """Lock the events of some moves."""
    ids = {one.event.id for one in made}
    if ids:
        events.lock(connection, ids)


def checked(connection: Connection, ready: Ready) -> Decided | None:
    """Make the checks of a dispatch that moves an event; what is to be written where one refuses it."""
    if not ready.verdict.checks:
        return None
    made = checks.make(connection, ready.asked.dispatch.tenant, ready.verdict.checks, ready.asked.subject)
    return dispatch_gate.stopped(connection, ready, made) if isinstance(made, Refused) else None


def carried_out(connection: Connection, ready: Ready, move: Move) -> Decided:
    """Move the event of a dispatch, whose checks have let it through."""
    asked, moved = ready.asked, make(connection, move)
    more = told(moved, move)
    dispatch_notes.note(connection, asked, ready.verdict, moved.outcome, ready.shown, more=more)
    return Decided(subject=asked.subject, outcome=moved.outcome, rows=moved.rows, messages=moved.messages)


def told(moved: Moved, move: Move) -> dict[str, object]:
    """What a record tells of a move besides its outcome."""
    return {"event_id": moved.event_id, "state_machine": move.machine.name}


# the transaction


def make(connection: Connection, move: Move) -> Moved:
    """Make the move of a dispatch, whose event may be new; the event is locked."""
    row = events.locked(connection, move.event.id)
    if row is None:
        step = move.machine.step(None, move.wanted)
        new = _entered(move, move.event, step.state, move.event.created_at, moves=1 + step.moves)
        events.add(connection, new)
        _note(connection, move, new, 1, "event.opened", state=step.previous, state_machine=move.machine.name)
        return _told(connection, move, new, step)
    if (owner := _owner(move, row)) is not None:
        kept = StateChanged(row.fingerprint, row.state, row.state, notify=False, refused=owner)
        return Moved(outcome=kept, event_id=row.id)
    return changed(connection, move, row, move.machine.step(row.state, move.wanted))


def changed(connection: Connection, move: Move, row: Any, step: Step) -> Moved:
    """Change an event that is there and locked, by one step.

    Raises:
        Conflict: it was changed since ``row`` was read; only one who has not locked it meets that.
    """
    now = max(db.now_ms(), row.updated_at)
    event = of_row(row)
    if move.cause == DISPATCH:
        said = move.event
        labels, starts_at = said.labels or event.labels, said.starts_at or event.starts_at
        event = replace(said, **_stays(row), labels=labels, starts_at=starts_at)
    event = replace(event, machine=move.machine.name, updated_at=now)
    if step.moves:
        event = _entered(move, event, step.state, now, moves=row.moves + 1)
    if not events.change(connection, row, event):
        raise Conflict("The event was changed at the same moment.", code="changed")
    return _told(connection, move, event, step)


def _owner(move: Move, row: Any) -> str | None:
    """Why an event is not moved that belongs to another machine, unless that is gone."""
    if row.machine == move.machine.name or row.machine not in current.held().machines:
        return None
    return f"the event belongs to the state machine {row.machine!r}"


def of_row(row: Any) -> Event:
    """The event of a row."""
    names = ("workspace_id", "namespace", "fingerprint", "action_type", "provider", "starts_at", "ends_at")
    return Event(
        **{name: getattr(row, name) for name in names},
        machine=row.machine,
        updated_at=row.updated_at,
        labels=events.labels_of(row),
        **_stays(row),
    )


def _stays(row: Any) -> dict[str, Any]:
    """What no dispatch changes by itself."""
    names = ("state", "active", "created_at", "entered_at", "timeout_at", "timeout_to", "moves")
    return {name: getattr(row, name) for name in names}


def _entered(move: Move, event: Event, state: str, now: int, *, moves: int) -> Event:
    """An event that comes into a state, whose time-out begins."""
    over = move.machine.timeouts.get(state)
    return replace(
        event,
        state=state,
        active=int(move.machine.is_active(state)),
        entered_at=now,
        timeout_at=None if over is None else now + over.after_seconds * 1000,
        timeout_to=None if over is None else over.to,
        moves=moves,
    )


def _told(connection: Connection, move: Move, event: Event, step: Step) -> Moved:
    """Write the history of a move, and accept its notice."""
    if not step.moves:
        outcome = StateChanged(event.fingerprint, step.previous, step.state, notify=False, refused=step.refused)
        return Moved(outcome=outcome, event_id=event.id)
    ready = move.told.get(move.machine.place(step.previous)) if step.notice.notify else None
    rows, messages = list[NewRow](), list[Canvas]()
    more: dict[str, Any] = {}
    goes = False
    if isinstance(ready, str):
        more["notice_error"] = ready
    elif ready is not None:
        holds.begin(connection, [(event.workspace_id, ready.verdict)])
        sent = notices.asked(connection, ready, dispatch_gate.carried_out(connection, ready))
        rows, messages = list(sent.rows), list(sent.messages)
        more["notice"] = sent.subject
        goes = bool(rows) or isinstance(sent.outcome, Grouped)  # a rule or a silence may have stopped it
    what = "event.timeout" if move.cause == TIMEOUT else "event.moved"
    _note(connection, move, event, event.moves, what, **{"from": step.previous, "to": step.state}, **more)
    outcome = StateChanged(event.fingerprint, step.previous, step.state, notify=goes)
    return Moved(outcome=outcome, event_id=event.id, rows=rows, messages=messages)


def _note(connection: Connection, move: Move, event: Event, number: int, what: str, **more: Any) -> None:
    """Write one row of an event's history."""
    said = {"fingerprint": event.fingerprint, "namespace": event.namespace, "cause": move.cause, **more}
    if move.record is not None:
        said["record"] = move.record
    audit.record(connection, event.workspace_id, move.actor, what, events.subject(event, number), **said)


# its notice


def notice(move: Move, step: Step, providers: Providers, facts: Facts | None = None) -> Ready | str:
    """The notice of a move, ready to be accepted; or why it cannot be.

    Raises:
        Unavailable: the database is away.
    """
    try:
        return notices.asking(dispatch_gate.prepared(providers, _asked(move, step, facts)))
    except CallerError as refusal:
        if refusal.retryable:
            raise
        return str(refusal)


def _asked(move: Move, step: Step, facts: Facts | None) -> Asked:
    event, said = move.event, step.notice
    labels = {**event.labels, **said.labels}
    members: dict[str, Any] = {
        "fingerprint": event.fingerprint,
        "state_machine": move.machine.name,
        "previous_state": step.previous,
        "new_state": step.state,
        "cause": move.cause,
        "namespace": event.namespace,
        "tenant": event.workspace_id,
        "action_type": event.action_type,
        "labels": redacted(labels),
        "starts_at": event.starts_at,
        "ends_at": event.ends_at,
        "at": stamp(db.now_ms()),
        "subject": f"{event.action_type} is {step.state} ({event.workspace_id})",
        "message": f"{event.action_type}: {step.previous} → {step.state}",
        "text": f"{event.action_type} {event.fingerprint}: {step.previous} → {step.state}",
    }
    if facts is not None:
        members["payload"] = redacted(facts.payload)
    dispatch = Dispatch(
        namespace=event.namespace,
        tenant=event.workspace_id,
        provider=said.provider or event.provider,
        action_type=NOTIFICATION,
        payload=json.loads(json.dumps(members)),
        labels=labels,
        status=step.state,
        fingerprint=event.fingerprint,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
    )
    return Asked(caller=system(event.workspace_id), dispatch=dispatch, origin="event")


def with_notice(move: Move, step: Step, providers: Providers) -> Move:
    """A move with the notice of its one step, if that is made known.

    Raises:
        Unavailable: the database is away.
    """
    if not step.notice.notify:
        return move
    return replace(move, told={move.machine.place(step.previous): notice(move, step, providers)})
