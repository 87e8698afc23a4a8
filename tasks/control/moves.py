"""Moves of events that people make.

In order of time: the event is read; its machine says whether it may go where it is wanted; the notice of that move is
prepared; then the event is locked, and moved if it is as it was read. If it is not, all of it begins again, so that
what is allowed is judged by the state that the event has at that moment.
"""

import functools

from config.errors import Conflict
from gateway import current
from gateway.machines import Step
from gateway.outcomes import StateChanged
from store import audit
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import transitions
from store.gateway import events
from tasks.intake import moves
from tasks.intake.dispatches.rows import Providers
from tasks.intake.moves import Move, Moved
from tasks.messages import publisher

#: how often an event is read again that others move meanwhile
_TRIES = 10


class NotAllowed(Conflict):
    """The event cannot go there.

    ``allowed`` are the states to which it can.
    """

    code = "transition_not_allowed"

    def __init__(self, row: Row, to: str, allowed: list[str]) -> None:
        can = f"it can become {', '.join(map(repr, allowed))}" if allowed else "no transition leads on from there"
        super().__init__(f"The event is {row.state!r} and cannot become {to!r}: {can}.")
        self.members = {"state": row.state, "allowed": allowed}


def transition(event_id: str, to: str, actor: str) -> StateChanged | None:
    """Move an event to another state; None where there is none.

    Raises:
        NotAllowed: its machine does not lead there. Conflict: its machine is gone, or others move it all the time.
        Unavailable: the database is away.
    """
    for _ in range(_TRIES):
        row = db.read_one(events.read, event_id)
        if row is None:
            return None
        moved = db.change(functools.partial(_moved, row=row, wanted=_wanted(row, to, actor)))
        if moved is not None:
            if moved.messages:
                publisher.publish_after_commit(*moved.messages)
            return moved.outcome
    raise Conflict("Others move the event at this moment; try again.", code="changed")


def _wanted(row: Row, to: str, actor: str) -> tuple[Move, Step]:
    machine = current.current().machines.get(row.machine)
    if machine is None:
        raise Conflict(f"There is no state machine {row.machine!r} any more.", code="no_state_machine")
    step = machine.step(row.state, to)
    if not step.moves:
        raise NotAllowed(row, to, machine.allowed(row.state))
    move = Move(machine=machine, event=moves.of_row(row), wanted=to, cause=moves.TRANSITION, actor=actor)
    return moves.with_notice(move, step, Providers()), step


def _moved(connection: Connection, *, row: Row, wanted: tuple[Move, Step]) -> Moved | None:
    """Move an event that is as it was read; None where it is not."""
    events.lock(connection, [row.id])
    found = events.locked(connection, row.id)
    if found is None or found.version != row.version:
        return None
    moved = moves.changed(connection, wanted[0], found, wanted[1])
    if moved.rows:
        transitions.add(connection, moved.rows, audit.SYSTEM)
    return moved
