"""Simulations: what other rules would have decided about what really came.

In order of time: the records of the period are found, oldest first, each with the moment at which it came; in that
order they are read with what they carried, some at once, and decided again in memory (``gateway.simulation``).
Reads have a connection of their own, and between two bites other requests get their turn. What takes longer than
``LONGEST`` ends with what it has. Nothing is written, in the database or in Redis.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from config.errors import Busy, NotFound
from config.types import Json
from gateway import current
from gateway.current import InForce
from gateway.grants import Grant
from gateway.simulation import past, player
from gateway.simulation.arrivals import Arrival
from gateway.simulation.past import Recorded
from gateway.simulation.player import Player
from gateway.simulation.tally import Tally
from store.engine.db import Connection
from store.paging import Found, Part
from store.records import listing, simulated
from tasks.definitions import revisions
from tasks.offload import pool
from tasks.policy import meaning
from tasks.simulation import reading, trials
from tasks.simulation.reading import Row
from tasks.simulation.trials import Trial

#: for how long one request simulates, seconds
LONGEST = 20.0
#: records that are found, and that are read, at once; and for how long they are decided before others have their turn
_FOUND, BITE, _TURN = 1_000, 200, 0.025

#: how a function of a connection is called while other requests go on
Read = Callable[..., Any]
#: waits after a bite that began at a time of the monotonic clock
Pause = Callable[[float], object]
Search = Callable[[Connection, listing.Scope, Mapping[str, Any], Part], Found]
#: why an arrival cannot be decided: a condition asks for what was before the period, or is hidden from the caller
UNKNOWN = "state_unknown"
#: why, where a condition compares by meaning and asking for it takes long or costs something
MEANING_UNKNOWN = "meaning_unknown"
#: no time is as late: nothing is known
_NEVER = 1 << 62

_under_way = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a caller wants to have simulated."""

    grants: Sequence[Grant]
    #: the period in which something was recorded, ms
    since: int
    until: int
    limit: int
    tenant: str | None = None
    namespace: str | None = None
    #: rules or changes, as a request has them; None: those in force
    rules: Any = None


@dataclass(kw_only=True)
class Simulated:
    """What a simulation has come to."""

    generation: int
    trial: Trial
    tally: Tally = field(default_factory=Tally)
    #: records of the period, and those of them that are no dispatches or triggers
    records: int = 0
    others: int = 0
    #: the moment up to which what came is decided; None: all of the period is
    ended_at: int | None = None
    #: refusals that were taken over from the records
    taken_over: int = 0
    #: whether something was recorded before the period
    has_past: bool = False
    #: (tenant, namespace, provider, action type) → how many were decided, and how many of them by a rule
    seen: dict[tuple[str, str, str, str], list[int]] = field(default_factory=dict)


def simulate(asked: Asked, read: Read, pause: Pause) -> Simulated:
    """Decide again what was recorded.

    Raises:
        InvalidRequest: the rules have faults. Unavailable: the database is away. Busy: another one is under way.
    """
    with _alone():
        give_up, held = time.monotonic() + LONGEST, current.held()
        trial = trials.of(asked.rules, held, asked.grants)
        this = _Simulation(asked, trial, read, pause, give_up)
        return this.run(held)


@contextmanager
def _alone() -> Iterator[None]:
    if not _under_way.acquire(blocking=False):
        raise Busy("Another simulation is under way here. Try again in a few seconds.")
    try:
        yield
    finally:
        _under_way.release()


class _Found:
    """The records of a period, page by page, so that others have their turn while they are put in order."""

    def __init__(self) -> None:
        self._mine: list[tuple[int, str, int, Row]] = []
        #: what is not decided again, and how many of all are no dispatches or triggers
        self.beside: list[Row] = []
        self.others = 0
        self.number = 0
        #: when the last one came
        self.last: int | None = None

    def take(self, page: Sequence[Row], namespace: str | None) -> None:
        """Take some more; of a named namespace, only what came there is decided again."""
        for row in page:
            came = reading.came_at(row)
            if self.last is None or came > self.last:
                self.last = came
            is_other = row.origin not in reading.ORIGINS
            self.others += is_other
            if is_other or namespace not in (None, row.namespace):
                self.beside.append(row)
            else:  # of one millisecond the ids of a process grow
                self._mine.append((came, row.subject.partition("-")[2], row.id, row))
        self.number += len(page)

    def in_order(self) -> list[Row]:
        """What is decided again, in the order in which it came."""
        self._mine.sort()
        return [one[3] for one in self._mine]


class _Simulation:
    """One simulation under way."""

    def __init__(self, asked: Asked, trial: Trial, read: Read, pause: Pause, give_up: float) -> None:
        self._asked, self._trial, self._read = asked, trial, read
        self._pause, self._give_up = pause, give_up
        far = [past.reach(rule.form["condition"]) for rule in trial.ruleset.in_force]
        #: how far back conditions look, ms; None: they ask for nothing that is recorded
        self._reach = max((one * 1000 for one in far if one is not None), default=None)
        self._remembers = self._reach is not None
        # what conditions ask for may be in any namespace
        named = self._reach is None and asked.namespace is not None
        self._filters = {"namespace": asked.namespace} if named else {}
        #: whether the caller may not see all that conditions ask for
        self._is_blind = False
        #: whether more was recorded than what was found last
        self._goes_on = False
        self._definitions: dict[str, Json] = {}

    def run(self, held: InForce) -> Simulated:
        """What the trial would have decided, with the calendars and state machines in force."""
        asked = self._asked
        has_past = any(self._pages({"until": asked.since}, 1, listing.newest))
        history, known_from = self._history() if has_past else ([], None)
        found = _Found()
        for page in self._pages({"since": asked.since, "until": asked.until}, asked.limit, listing.oldest):
            found.take(page, asked.namespace)
        self.player = Player(
            player.Trial(
                ruleset=self._trial.ruleset,
                calendars=held.calendars,
                machines=held.machines,
                unchanged=self._trial.unchanged,
                played_from=asked.since if has_past else None,
                known_from=known_from if not self._is_blind else _NEVER,
                meaning=meaning.Meanings() if meaning.is_local() else None,
                is_asked=self._remembers,
            )
        )
        self.result = Simulated(
            generation=held.loaded,
            trial=self._trial,
            records=found.number,
            others=found.others,
            has_past=has_past,
            ended_at=(asked.since if found.last is None else found.last) if self._goes_on else None,
        )
        if self._remembers:
            self._note(history)
            self._note(found.beside)
        self._play(found.in_order())
        self.result.taken_over = self.player.taken_over
        return self.result

    def _note(self, rows: Sequence[Row]) -> None:
        """Note what is not decided here and what conditions may ask for."""
        began = time.monotonic()
        for row in rows:
            self.player.past.note(_recorded(row))
            if time.monotonic() - began > _TURN:
                self._pause(began)
                began = time.monotonic()

    def _history(self) -> tuple[list[Row], int]:
        """What was recorded before the period, as far as conditions look back; and since when all of that is known."""
        asked = self._asked
        if not self._reach:
            return [], asked.since
        since = asked.since - self._reach
        pages = self._pages({"since": since, "until": asked.since}, asked.limit, listing.newest)
        rows = [row for page in pages for row in page]
        return rows, (min((row.at for row in rows), default=asked.since) + 1 if self._goes_on else since)

    def _pages(self, period: Mapping[str, int], limit: int, search: Search) -> Iterator[list[Row]]:
        """Records of a period, what conditions may ask of them; then ``_goes_on`` says whether there are more."""
        number, after, self._goes_on = 0, None, True
        while number < limit and time.monotonic() < self._give_up:
            part = Part(min(_FOUND, limit - number), after=after, counted=False)
            asked = (self._asked.grants, self._asked.tenant, {**self._filters, **period}, part, search)
            some, after, self._is_blind = self._read(_page, *asked)
            number += len(some)
            self._goes_on = after is not None
            yield some
            if after is None:
                return

    def _play(self, mine: Sequence[Row]) -> None:
        """Decide about what came, in its order."""
        for first in range(0, len(mine), BITE):
            some = mine[first : first + BITE]
            arrivals, place = self._arrivals(some), 0
            while place < len(some):
                if time.monotonic() > self._give_up:
                    self.result.ended_at = reading.came_at(some[place])
                    return
                began = time.monotonic()
                place = pool.in_turn(self._turn, some, arrivals, place)
                if place < len(some) or first + BITE < len(mine):
                    self._pause(began)

    def _arrivals(self, some: Sequence[Row]) -> dict[int, Row]:
        """What these records carried, by id, with the definitions of their actions at hand."""
        found = {row.id: row for row in self._read(simulated.carried, [row.id for row in some])}
        for what in list(found.values()):
            if (what.has_input and what.input is None) or (what.has_body and what.body is None):
                [found[what.id]] = self._read(simulated.large, what.id)
        triggered = {found[row.id].revision_id for row in some if row.origin == "trigger" and row.id in found}
        for revision_id in triggered - self._definitions.keys() - {None}:
            with suppress(NotFound):
                self._definitions[revision_id] = dict(revisions.action(revision_id).definition)
        return found

    def _turn(self, some: Sequence[Row], carried: Mapping[int, Row], place: int) -> int:
        """Decide for a moment; the place of what is next."""
        until, clock = time.monotonic() + _TURN, time.monotonic
        while place < len(some) and clock() < until:
            row = some[place]
            what = carried.get(row.id)
            made = reading.arrival(row, what, self._definitions) if what is not None else reading.GONE
            if isinstance(made, str):
                self.player.past.note(_recorded(row))
                self.result.tally.give_up(made, str(row.id))
            else:
                self._decide(made)
            place += 1
        return place

    def _decide(self, made: Arrival) -> None:
        became, matched = self.player.play(made)
        if became is None:
            self.result.tally.give_up(MEANING_UNKNOWN if self.player.by_meaning else UNKNOWN, str(made.id))
            return
        self.result.tally.add(made, became, matched)
        key = made.facts[1:5]
        counts = self.result.seen.get(key)
        if counts is None:
            counts = self.result.seen[key] = [0, 0]
        counts[0] += 1
        if matched:
            counts[1] += 1


def _page(
    connection: Connection,
    grants: Sequence[Grant],
    tenant: str | None,
    filters: Mapping[str, Any],
    part: Part,
    search: Search,
) -> tuple[list[Row], Any, bool]:
    """Some records in the order of ``search``, where it goes on, and whether some are hidden from the caller."""
    within = listing.scope(connection, grants, tenant)
    found = search(connection, within, filters, part)
    rows = simulated.brief(connection, [key.id for key in found.rows]) if found.rows else []
    return rows, found.goes_on_after, bool(within.covered)


def _recorded(row: Row) -> Recorded:
    return Recorded(row.workspace_id, row.at, row.action_type, row.outcome, row.namespace, row.provider, row.rule)
