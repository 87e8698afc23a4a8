"""Make up for times of a recurring action that a caller names: those that were missed, or lie before it was made.

In order of time: the times of the period are found, as many as are asked for; what they bring is prepared a few at a
time; each few are accepted in one transaction that has locked the row, as a firing does, and that notes in the trail
who has asked. A time that was accepted before, by tick or by another backfill, is left alone. What was accepted is
known as long as executions are kept: a period that begins before that is refused, because its times might come twice.
The schedule and its counts stay as they are.
"""

import functools
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from config.errors import CallerError, Conflict, InvalidRequest, Problem, Unprocessable
from config.settings import settings
from config.times import stamp
from gateway.recurring import written
from gateway.silences.written import milliseconds
from store.access import Caller
from store.engine import db
from store.engine.db import Connection, Row
from store.engine.rest import Rests
from store.recurring import firings, schedules
from store.recurring.firings import REFUSED, SKIPPED
from tasks.control.recurring import gone, note
from tasks.intake.recurring import bundles, calendars, missed, targets
from tasks.intake.recurring.bundles import Afterwards, Bundle, Occasion

#: what a backfill has taken at the most when its last time is looked at, ms; and a day
_TAKEN, _DAY = 3_600_000, 86_400_000
#: times in one transaction, and characters of payload from which on they are fewer
BITE, _ROOM = 16, 3 << 20


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one time."""

    at: int
    outcome: str
    execution_id: str | None = None
    error: dict[str, str] | None = None
    #: whether it was accepted before
    repeated: bool = False


@dataclass
class Backfilled:
    """What became of the times of a period, in their order, and the first one that was not looked at."""

    results: list[Result] = field(default_factory=list)
    next_at: int | None = None


def backfill(recurring_id: str, start: datetime, end: datetime, limit: int, caller: Caller) -> Backfilled:
    """Accept what the times of a period bring, from ``start`` to before ``end``; at most ``limit`` are looked at.

    Raises:
        InvalidRequest: there can be no such period. Unprocessable: what it has brought may be forgotten.
        NotFound: it is gone. Conflict: it was changed meanwhile.
        Forbidden: no grant covers it. Unavailable: what was accepted so far stays, and is left alone by a second try.
    """
    row = db.read_one(schedules.read, recurring_id)
    if row is None:
        raise gone(recurring_id)
    targets.require(caller, row.workspace_id, row.namespace, row._asdict())
    begin, until = _period(start, end, db.now_ms())
    times = replace(written.times_of(row), ends_at=None)
    found = list(itertools.islice(times.between(begin, until), limit + 1))
    done, rests = Backfilled(next_at=found[limit] if len(found) > limit else None), Rests()
    size = max(1, min(BITE, _ROOM // len(row.payload)))
    asked = _Asked(row, caller, begin, until)
    for number in range(0, min(len(found), limit), size):
        done.results += _bite(asked, found[number : min(number + size, limit)], rests)
    if not asked.noted:
        with db.write() as connection:
            asked.note(connection, [])
    return done


@dataclass
class _Asked:
    """What is made up for, and who has asked for it."""

    row: Row
    caller: Caller
    begin: int
    until: int
    #: whether the trail has it
    noted: bool = False

    def note(self, connection: Connection, results: Sequence[Result]) -> None:
        """Note in the trail who has asked, with what a transaction has accepted."""
        made = [one.at for one in results if one.execution_id is not None and not one.repeated]
        period: dict[str, Any] = {"start": self.begin, "end": self.until, "accepted": len(made)}
        if made:
            period |= {"first": made[0], "last": made[-1]}
        note(connection, self.row, self.caller.key_id, "recurring.backfilled", **period)


def _period(start: datetime, end: datetime, now: int) -> tuple[int, int]:
    begin, until = milliseconds(start), milliseconds(end)
    problems = []
    if begin < 0:
        problems.append(Problem("/start", "lies before 1970"))
    if until > now:
        problems.append(Problem("/end", "lies in the future: these times come by themselves"))
    elif until <= begin:
        problems.append(Problem("/end", "lies before start"))
    if problems:
        raise InvalidRequest("There are no such times.", problems=problems)
    days = settings().retention_days
    if begin < (soonest := now - days * _DAY + _TAKEN):
        text = f"lies before {stamp(soonest)}: what times have brought is known for {days} days (TOCSIN_RETENTION_DAYS)"
        raise Unprocessable("It is not known any more what came then.", problems=[Problem("/start", text)])
    return begin, until


def _bite(asked: _Asked, times: Sequence[int], rests: Rests) -> list[Result]:
    row = asked.row
    closed = calendars.closed(row)
    left_out = {at: name for at in times if (name := closed(at)) is not None}
    found = {at: Result(at, SKIPPED, error=_skipped(name)) for at, name in left_out.items()}
    bundle = bundles.prepare([Occasion(row, at) for at in times if at not in left_out])
    for places in _parts(bundle):
        began = rests.before_bite()
        results, afterwards = db.change(functools.partial(_written, asked, bundle, places))
        asked.noted = True
        rests.bitten(began)
        afterwards.do()
        found |= {one.at: one for one in results}
    return [found[at] for at in times]


def _skipped(calendar: str) -> dict[str, str]:
    return {"code": "skip_during", "message": f"the calendar {calendar!r} leaves it out"}


def _parts(bundle: Bundle) -> Iterator[list[int]]:
    """The places of a bundle that share a transaction."""
    places = range(len(bundle.occasions))
    together = [place for place in places if not bundle.is_alone(place)]
    if together:
        yield together
    yield from ([place] for place in places if bundle.is_alone(place))


def _written(
    asked: _Asked, bundle: Bundle, places: Sequence[int], connection: Connection
) -> tuple[list[Result], Afterwards]:
    """Accept what was not accepted before."""
    row = asked.row
    now = schedules.locked(connection, row.id)
    if now is None:
        raise gone(row.id)
    if now.version != row.version:
        raise Conflict("It was changed meanwhile; what was accepted so far stays. Send it again.", code="changed")
    keys = {place: bundle.occasions[place].key for place in places}
    before = firings.accepted(connection, list(keys.values()))
    results = {
        place: Result(key[1], "repeated", before[key], repeated=True) for place, key in keys.items() if key in before
    }
    refused = {place: bundle.refusals[place] for place in places if place in bundle.refusals and place not in results}
    results |= {place: Result(keys[place][1], REFUSED, error=_said(why)) for place, why in refused.items()}
    made, afterwards = bundle.accept(connection, [place for place in places if place not in results])
    results |= {place: Result(keys[place][1], one.outcome, one.execution_id) for place, one in made.items()}
    rows = [_row(row, one, asked.caller) for one in results.values() if not one.repeated]
    firings.put(connection, [*missed.moved_on(connection, row, [one["due_at"] for one in rows]), *rows])
    in_order = [results[place] for place in places]
    asked.note(connection, in_order)
    return in_order, afterwards


def _said(refusal: CallerError) -> dict[str, str]:
    return {"code": refusal.code, "message": str(refusal)}


def _row(row: Row, result: Result, caller: Caller) -> dict[str, Any]:
    return {
        "recurring_id": row.id,
        "due_at": result.at,
        "fired_at": db.now_ms(),
        "outcome": result.outcome,
        "execution_id": result.execution_id,
        "reason": None if result.error is None else json.dumps(result.error),
        "backfilled_by": caller.key_id,
    }
