"""Fire the recurring actions whose time has come, once for each time.

In order of time: tick reads those that are due, works out which of their times come (``gateway.recurring.times``), and
prepares what these bring, outside of any transaction: large payloads are read a few at a time, and a row that has many
times due of one has them in parts. Then, in one transaction for up to two hundred, the rows are
locked, those that another process has moved on or that were changed meanwhile are left out, what the others bring is
accepted, each time is written down under its own key, and the rows move on. So a time is fired in the transaction that
takes it from the schedule, or not at all. What cannot be accepted counts as a failure; three in a row pause the action.
A bundle that fails as a whole is done one by one, so that one faulty row stops no other.
"""

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from config import logs
from config.errors import CallerError, Unavailable
from gateway.outcomes import ChainStarted, Rerouted, Scheduled
from gateway.recurring import written
from gateway.recurring.times import Plan, planned
from gateway.recurring.written import ALLOW_ALL, CANCEL_OTHER
from store import audit
from store.engine import db
from store.engine.db import Connection, Row
from store.engine.rest import Rests
from store.records import recurring as found
from store.recurring import firings, schedules
from store.recurring.firings import ACCEPTED, MISSED, REFUSED, SKIPPED
from tasks.clock.duty import TimeSlice
from tasks.control import cancel
from tasks.control.cancel import Cancelled
from tasks.control.recurring import NEVER, note
from tasks.intake.recurring import bundles, calendars, missed
from tasks.intake.recurring.bundles import Afterwards, Bundle, InternalError, Made, Occasion

#: rows that are read at once, and times in one transaction; as many characters of a payload as are small count for one
#: time more, so that all payloads that are prepared at once come to some three mebibytes
BATCH = 200
#: times of a row in one transaction, however large its payload is: as many may be on time at once
_LEAST = 2
#: firings in a row that could not be accepted, after which it is paused
MOST_FAILURES = 3
#: when the times of a row are looked for again that could not be found, ms
AGAIN = 3_600_000

#: what became of one that goes out, at once or later
_GOES_OUT = {ACCEPTED, ChainStarted.name, Scheduled.name, Rerouted.name}

log = logs.logger(__name__)


def fire_due(time_slice: TimeSlice) -> int:
    """Fire what is due, in bites that let others write; returns how often a row was moved on.

    Raises:
        Unavailable: the database is away; the rest is left to the next tick.
    """
    fired, rests = 0, Rests()
    while not time_slice.is_over():
        rows = db.read_one(schedules.due, limit=BATCH)
        moved, in_parts = 0, False
        for bite in _bites(rows, db.now_ms()):
            moved += _fire(bite, rests)
            in_parts = in_parts or any(one.in_parts for one in bite)
            if time_slice.is_over():
                break
        fired += moved
        if not moved or (len(rows) < BATCH and not in_parts):
            break
    return fired


@dataclass(frozen=True, slots=True)
class _Due:
    """A row, and what becomes of its times up to now."""

    row: Row
    plan: Plan
    #: why its times are not known
    fault: CallerError | None = None
    #: times that do not go out, because a later one that is due takes their place
    superseded: Sequence[int] = ()
    #: whether the plan is for the first of its times, and the row is due again after it
    in_parts: bool = False

    @property
    def all(self) -> tuple[int, ...]:
        """The times of which something is written down."""
        return (*self.plan.all, *self.superseded)


def _bites(rows: Sequence[Row], now: int) -> Iterator[list[_Due]]:
    """The rows in parts of about ``BATCH`` times; those of large payloads count for several."""
    bite, number = list[_Due](), 0
    for row in rows:
        each = 1 + row.payload_size // schedules.SMALL
        due = _part(_due(row, now), max(_LEAST, BATCH // each))
        weight = len(due.plan.due) * each
        if bite and number + weight > BATCH:
            yield bite
            bite, number = [], 0
        bite.append(due)
        number += weight
    if bite:
        yield bite


def _part(due: _Due, most: int) -> _Due:
    """As many of a row's times as are prepared at once; the row is due again for the others."""
    times = due.plan.due
    if len(times) <= most:
        return due
    if due.row.overlap == CANCEL_OTHER:
        return replace(due, plan=replace(due.plan, due=times[-1:]), superseded=times[:-1])
    next_at = times[most]
    left_out = tuple((at, name) for at, name in due.plan.left_out if at < next_at)
    return replace(due, plan=replace(due.plan, due=times[:most], left_out=left_out, next_at=next_at), in_parts=True)


def _due(row: Row, now: int) -> _Due:
    try:
        return _Due(row, planned(written.times_of(row), row.next_at, now, row.catch_up, calendars.closed(row)))
    except CallerError:
        raise
    except Exception:  # its time zone is gone, for example
        log.exception("times of a recurring action not found; trying again", recurring=row.id)
        return _Due(row, Plan(due=(row.next_at,), next_at=now + AGAIN), InternalError())


def _fire(bite: Sequence[_Due], rests: Rests) -> int:
    """Fire some rows; returns how many were moved on by this process."""
    bite = _whole(bite)
    occasions = [Occasion(one.row, at) for one in bite for at in one.plan.due]
    bundle = bundles.prepare(occasions)
    alone = {bundle.occasions[place].row.id for place in range(len(occasions)) if bundle.is_alone(place)}
    together = [one for one in bite if one.row.id not in alone]
    parts = [together] if together else []
    parts += [[one] for one in bite if one.row.id in alone]
    return sum(_committed(part, bundle, rests) for part in parts)


def _whole(bite: Sequence[_Due]) -> Sequence[_Due]:
    """A bite with the payloads that go out; rows that were changed since they were read are left to the next look."""
    large = [one.row for one in bite if one.row.payload is None and one.plan.due]
    if not large:
        return bite
    known = {one.row.id: one.row for one in bite if one.row.payload is not None or not one.plan.due}
    found = known | db.read_one(schedules.whole, large)
    return [replace(one, row=found[one.row.id]) for one in bite if one.row.id in found]


def _committed(part: Sequence[_Due], bundle: Bundle, rests: Rests) -> int:
    began = rests.before_bite()
    try:
        done: _Done = db.change(functools.partial(_written, part=part, bundle=bundle))
    except Unavailable:
        raise
    except Exception as error:
        if len(part) > 1:
            log.warning("recurring actions not fired together; firing them one by one", reason=repr(error))
            return sum(_committed([one], bundle, rests) for one in part)
        log.exception("recurring action not fired", recurring=part[0].row.id)
        done = db.change(functools.partial(_written, part=part, bundle=bundle, broken=InternalError()))
    rests.bitten(began)
    done.afterwards.do()
    done.cancelled.follow()
    return done.moved


@dataclass
class _Done:
    """What a transaction has done."""

    moved: int = 0
    afterwards: Afterwards = field(default_factory=Afterwards)
    cancelled: Cancelled = field(default_factory=Cancelled)


def _written(
    connection: Connection, *, part: Sequence[_Due], bundle: Bundle, broken: CallerError | None = None
) -> _Done:
    """Fire rows that are as they were read, and move them on; ``broken`` is why none can be accepted."""
    done = _Done()
    mine = schedules.locked_as_read(connection, [one.row for one in part])
    part = [one for one in part if one.row.id in mine]
    if not part:
        return done
    places = {one.key: place for place, one in enumerate(bundle.occasions) if one.row.id in mine}
    before = firings.accepted(connection, [(one.row.id, at) for one in part for at in one.all])
    turns = [_Turn(connection, one, places, before, bundle, broken) for one in part]
    wanted = [place for turn in turns for place in turn.wanted]
    if wanted:
        made, done.afterwards = bundle.accept(connection, wanted)
        for turn in turns:
            turn.accepted(made)
    for turn in turns:
        done.cancelled.add(turn.cancel(connection))
    firings.put(connection, [row for turn in turns for row in turn.rows])
    schedules.move(connection, [turn.move() for turn in turns])
    for turn in turns:
        turn.note(connection)
    done.moved = len(turns)
    return done


class _Turn:
    """What becomes of one row in a transaction that has locked it."""

    def __init__(
        self,
        connection: Connection,
        due: _Due,
        places: dict[tuple[str, int], int],
        before: dict[tuple[str, int], str],
        bundle: Bundle,
        broken: CallerError | None,
    ) -> None:
        self.row, self.plan, self.now = due.row, due.plan, db.now_ms()
        #: rows of firings, and the places of those that are to be accepted
        self.rows: list[dict[str, Any]] = []
        self.wanted: dict[int, int] = {}
        self.failures, self.error = int(self.row.failures), None if not self.row.last_error else self.row.last_error
        self.last: tuple[int, str, str | None] | None = None
        self.refused: list[tuple[int, CallerError]] = []
        self.others: list[Row] = []
        self.goes_out = False
        if self.plan.missed is not None:
            self._miss(connection, *self.plan.missed, is_written=(self.row.id, self.plan.missed[0]) in before)
        for at, name in self.plan.left_out:
            if (self.row.id, at) not in before:
                said = {"code": "skip_during", "message": f"the calendar {name!r} leaves it out"}
                self._put(at, SKIPPED, reason=said)
        for at in due.superseded:
            if (self.row.id, at) not in before:
                self._put(at, SKIPPED, reason={"code": "overlap", "message": "a later one takes its place"})
        for at in [at for at in self.plan.due if (self.row.id, at) not in before]:
            place = places[self.row.id, at]
            refusal = broken or due.fault or bundle.refusals.get(place)
            if refusal is not None:
                self._refuse(at, refusal)
            else:
                self.wanted[place] = at
        self._leave_room(connection)

    def _miss(self, connection: Connection, first: int, last: int, *, is_written: bool) -> None:
        """Note the times that come no more; some may have been made up for before their turn was missed."""
        begin = missed.first_unwritten(connection, self.row, first, last) if is_written else first
        if begin is not None:
            self._put(begin, MISSED, missed_to=last)

    def _leave_room(self, connection: Connection) -> None:
        """Leave out those for which there is no room: beyond the number, or while others go on."""
        if self.row.max_executions is not None:
            left = max(0, self.row.max_executions - self.row.executions)
            self.wanted = dict(list(self.wanted.items())[:left])
        if self.row.overlap == ALLOW_ALL or not self.wanted:
            return
        self.others = found.going_on(connection, self.row.id)
        times = list(self.wanted.items())
        if self.row.overlap == CANCEL_OTHER:  # the last one would cancel those before it
            kept, out = times[-1:], times[:-1]
        else:
            kept, out = ([], times) if self.others else (times[:1], times[1:])
            self.others = []
        self.wanted = dict(kept)
        for _, at in out:
            self._put(at, SKIPPED, reason={"code": "overlap", "message": "an earlier one goes on"})

    def accepted(self, made: dict[int, Made]) -> None:
        """Note what was accepted."""
        for place, at in self.wanted.items():
            this = made[place]
            self.goes_out = self.goes_out or this.outcome in _GOES_OUT
            self._put(at, this.outcome, execution_id=this.execution_id)
            self.failures, self.error = 0, None

    def cancel(self, connection: Connection) -> Cancelled:
        """Cancel the earlier ones whose place this one takes; one that a rule has stopped takes none."""
        return cancel.in_place(connection, self.others, audit.SYSTEM) if self.goes_out else Cancelled()

    def _refuse(self, at: int, refusal: CallerError) -> None:
        details = "; ".join(f"{one.pointer}: {one.detail}" for one in refusal.problems[:5])
        said = {"code": refusal.code, "message": f"{refusal}{f' ({details})' if details else ''}"}
        self.failures, self.error = self.failures + 1, json.dumps(said)
        self.refused.append((at, refusal))
        self._put(at, REFUSED, reason=said)

    def _put(self, at: int, outcome: str, *, reason: dict[str, str] | None = None, **more: Any) -> None:
        said = None if reason is None else json.dumps(reason)
        row = {"recurring_id": self.row.id, "due_at": at, "fired_at": self.now, "outcome": outcome, "reason": said}
        self.rows.append({**row, **more})
        if self.last is None or at >= self.last[0]:
            self.last = at, outcome, more.get("execution_id")

    @property
    def executions(self) -> int:
        """How often it has fired with this."""
        return int(self.row.executions) + len(self.wanted)

    @property
    def is_full(self) -> bool:
        """Whether it has fired as often as it may."""
        return self.row.max_executions is not None and self.executions >= self.row.max_executions

    @property
    def is_given_up(self) -> bool:
        """Whether it is paused because it could not be accepted."""
        return bool(self.refused) and self.failures >= MOST_FAILURES

    def move(self) -> dict[str, Any]:
        """The row as it goes on."""
        row, next_at = self.row, self.plan.next_at
        last_at, outcome, execution_id = self.last or (row.last_at, row.last_outcome, row.last_execution_id)
        values: dict[str, Any] = {
            "id_": row.id,
            "expected_": row.fire_at,
            "enabled": True,
            "next_at": next_at,
            "fire_at": None if next_at is None else written.times_of(row).fires(next_at),
            "executions": self.executions,
            "failures": self.failures,
            "last_at": last_at,
            "last_outcome": outcome,
            "last_execution_id": execution_id,
            "last_error": self.error,
            "paused_at": None,
            "paused_by": None,
            "pause_reason": None,
        }
        if self.is_given_up:
            paused = {"paused_at": self.now, "paused_by": audit.SYSTEM, "pause_reason": self._reason()}
            return {**values, **NEVER, **paused, "enabled": False}
        return {**values, **NEVER} if self.is_full else values

    def note(self, connection: Connection) -> None:
        """Write into the audit trail what no execution tells."""
        for at, refusal in self.refused:
            note(connection, self.row, audit.SYSTEM, "recurring.not_fired", at=at, code=refusal.code)
        if self.is_given_up:
            note(connection, self.row, audit.SYSTEM, "recurring.paused", reason=self._reason())
        elif self.is_full or self.plan.next_at is None:
            note(connection, self.row, audit.SYSTEM, "recurring.completed", executions=self.executions)

    def _reason(self) -> str:
        why = json.loads(self.error)["message"] if self.error else ""
        return f"It could not be accepted {self.failures} times in a row: {why}"
