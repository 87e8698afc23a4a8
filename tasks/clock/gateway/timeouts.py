"""Move the events that have stayed in a state for too long.

In order of time: tick finds the events whose ``timeout_at`` has come; the notice of each move is prepared; in one
transaction for some of them the events are locked, and each that nothing has moved since goes on to the state that was
to follow, under its own tenant, with its notice. So each stay has one time-out, however many ticks there are, and what
became due while none ran is made up for, once. An event whose machine is gone, or whose move fails, stays where it is
and is looked at again later: the machine may be back by then, and no event keeps others from their turn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from config import logs
from config.errors import Unavailable
from gateway import current
from gateway.machines import Machine, Notice, Step
from store import audit
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import transitions
from store.gateway import events
from tasks.clock.duty import TimeSlice
from tasks.intake import moves
from tasks.intake.dispatches.rows import Providers
from tasks.intake.moves import Move
from tasks.messages import publisher
from tasks.messages.model import Canvas

#: events that are moved in one transaction
BATCH = 50
#: until an event that could not be moved is looked at again, ms: a tenth of its stay, between these
SOONEST, LATEST = 60_000, 3_600_000

log = logs.logger(__name__)


@dataclass(frozen=True)
class _Late:
    """An event that has stayed for too long; no move where its machine is gone."""

    row: Row
    move: Move | None = None
    step: Step | None = None


def move_late(time_slice: TimeSlice) -> int:
    """Move the events whose stay is over; returns their number.

    Raises:
        Unavailable: the database is away.
    """
    number = 0
    while not time_slice.is_over():
        rows = db.read_one(events.due, limit=BATCH)
        moved = _move(rows)
        number += moved
        if len(rows) < BATCH or not moved:
            break
    return number


def _move(rows: Sequence[Row]) -> int:
    """Move some events; those of a batch that fails each by itself."""
    providers = Providers()
    try:
        return _moved([_late(row, providers) for row in rows])
    except Unavailable:
        raise
    except Exception:
        if len(rows) == 1:
            log.exception("time-out of an event failed; trying again later", event_id=rows[0].id)
            with db.write() as connection:
                _postpone(connection, rows[0])
            return 1
    return sum(_move([row]) for row in rows)


def _moved(late: Sequence[_Late]) -> int:
    def work(connection: Connection) -> tuple[int, list[Canvas]]:
        number, messages = 0, list[Canvas]()
        events.lock(connection, [one.row.id for one in late])
        for one in late:
            row = events.locked(connection, one.row.id)
            if row is not None and row.version == one.row.version:  # nothing has moved it since
                number += 1
                messages += _change(connection, one)
        return number, messages

    number, messages = db.change(work) if late else (0, [])
    if messages:
        publisher.publish_after_commit(*messages)
    return number


def _change(connection: Connection, one: _Late) -> list[Canvas]:
    if one.move is None or one.step is None:
        _postpone(connection, one.row)
        return []
    moved = moves.changed(connection, one.move, one.row, one.step)
    if moved.rows:
        transitions.add(connection, moved.rows, audit.SYSTEM)
    return list(moved.messages)


def _postpone(connection: Connection, row: Row) -> None:
    now = db.now_ms()
    events.postpone(connection, row, now + min(LATEST, max(SOONEST, (now - row.entered_at) // 10)))


def _late(row: Row, providers: Providers) -> _Late:
    machine = current.current().machines.get(row.machine)
    if machine is None or row.timeout_to not in machine.states:
        log.warning(
            "event stays in its state for now: its state machine is not configured",
            event_id=row.id,
            machine=row.machine,
        )
        return _Late(row)
    said = _notice(machine, row)
    step = Step(row.state, row.timeout_to, moves=True, notice=said)
    move = Move(
        machine=machine, event=moves.of_row(row), wanted=row.timeout_to, cause=moves.TIMEOUT, actor=audit.SYSTEM
    )
    return _Late(row, moves.with_notice(move, step, providers), step)


def _notice(machine: Machine, row: Row) -> Notice:
    """How the time-out is made known, as the machine says by now."""
    over = machine.timeouts.get(row.state)
    return over.notice if over is not None and over.to == row.timeout_to else Notice()
