"""What a client has missed since the event that it names, up to the place from which on it is sent what comes.

Where that cannot be too much, the trail is read bite by bite, and each is sent before the next one is read: a client
that is cut off soon gets on all the same. Else the trail is read once to count what concerns the client; numbers and
places are kept, no events. After some rows it waits for one of its owner's seats to read on. How many are left out is
said first: only the newest are sent, those of a day at most. Then the bites that hold them are read again and sent. So
a client costs the memory of a bite, however much it has missed, however slowly it takes it.

One bite is read at a time in a process, with pauses between, owner after owner (``turns``). Between two bites, and
while a client waits for its turn, a part without events is handed out: the sender then sees whether the client is
there.
"""

import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import NamedTuple

from api.stream import reading, seeking
from api.stream.message import Message, Wanted
from api.stream.reading import Bite, Start
from api.stream.turns import Turn, Turns
from store.engine import db, rest
from store.engine.clock import now_ms
from store.streams import of_run as rows_of_run
from store.trail import Position

#: events that are sent at most, how old they may be, ms; and rows of the trail that are looked at for them
MOST, OLDEST, MOST_ROWS = 10_000, 24 * 3_600_000, 200_000
#: rows that are read at once; those that are read without a pause or a seat: most clients have missed no more
BITE, AT_ONCE = 250, 2_000
#: of a row there are not more events than this
MOST_OF_ROW = 3
#: clients of an owner that count at the same time in a process
SEATS = 2
#: between two looks at a client that waits for its turn, seconds
LOOK = 0.5

_seats, _bites = Turns(of_one=SEATS), Turns(most=1)


class Part(NamedTuple):
    """Some of what a client has missed; nothing while it is looked for."""

    messages: Sequence[Message] = ()
    #: events that are left out, and whether those are all
    skipped: int = 0
    exact: bool = True
    #: where the client may go on that has had all parts up to this one
    place: Position | None = None


NOTHING = Part()
Parts = Generator[Part, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What is to be read: behind ``start``, up to ``upto``, of what is wanted."""

    start: Start
    upto: Position
    wanted: Wanted
    #: whose turns it takes
    owner: str

    def taken(self, messages: Sequence[Message]) -> list[Message]:
        """Those that the client wants and has not had."""
        return [one for one in messages if self.wanted.takes(one) and not self.start.has(one)]


class _Stretch(NamedTuple):
    """A part of the trail, and the number of its events for the client."""

    after: Position
    upto: Position
    events: int


class _Counted(NamedTuple):
    """What there is for a client."""

    stretches: Sequence[_Stretch]
    #: events at the beginning of the stretches that are too many
    over: int
    #: all that are left out
    skipped: int


def gather(gap: Gap) -> Parts:
    """What a client has missed, in order, part by part.

    Raises:
        Unavailable: the database is away.
    """
    oldest = now_ms() - OLDEST
    if gap.start.exact and (gap.upto.id - gap.start.place.id) * MOST_OF_ROW <= MOST:
        place = yield from _sent(gap, oldest)
        gap = replace(gap, start=gap.start._replace(place=place))
    counted = yield from _count(gap, oldest)
    if counted.skipped or not gap.start.exact:
        yield Part(skipped=counted.skipped, exact=gap.start.exact)
    missing, over = 0, counted.over
    for stretch in counted.stretches:
        bite = yield from _read(gap, stretch.after, stretch.upto)
        messages = [one for one in gap.taken(bite.messages) if one.at >= oldest]
        missing += max(0, stretch.events - len(messages))
        parts, over = [Part(messages[over:])], 0
        del bite, messages
        yield parts.pop()  # a client that takes its time costs no events
    if missing:  # rows were deleted meanwhile
        yield Part(skipped=missing)


def of_run(workspace_id: str, run_id: str, gap: Gap) -> Parts:
    """What a client has missed of a run, part by part: by the index of its rows, for a run may be old.

    Raises:
        Unavailable: the database is away, or too many such reads wait.
    """
    found = db.read_aside(rows_of_run.settled, workspace_id, run_id, MOST)
    is_cut = not found.is_whole and any(gap.start.place < first for first in found.places[:1])
    if is_cut or not gap.start.exact:
        yield Part(exact=False)
    places = [place for place in found.places if gap.start.place < place <= gap.upto]
    del found
    for first in range(0, len(places), BITE):
        with _bites.asked(gap.owner) as turn:
            yield from _wait(turn)
            began = time.monotonic()
            parts = [Part(gap.taken(reading.at(places[first : first + BITE], gap.wanted.types)))]
            _pause(began, first)
        yield parts.pop()


def is_nothing_of_run(workspace_id: str, run_id: str, start: Start, wanted: Wanted) -> bool:
    """Whether nothing of a run lies behind a start, settled or not; true only of what a look at a bite tells.

    Raises:
        Unavailable: the database is away, or too many such reads wait.
    """
    found = db.read_aside(rows_of_run.behind, workspace_id, run_id, start.place, BITE)
    made = reading.at(found.places, wanted.types) if found.is_whole else []
    return found.is_whole and not any(wanted.takes(one) and not start.has(one) for one in made)


def _sent(gap: Gap, oldest: int) -> Generator[Part, None, Position]:
    """Send what is there while it is read, as far as none is too old; the place reached."""
    place, is_last, rows = gap.start.place, gap.start.place >= gap.upto, 0
    while not is_last:
        bite = yield from _read(gap, place, gap.upto, rows)
        taken = gap.taken(bite.messages)
        if any(one.at < oldest for one in taken):
            return place
        place, is_last, rows = bite.place, bite.is_last, rows + bite.rows
        parts = [Part(taken, place=place)]
        del bite, taken
        yield parts.pop()
    return max(place, gap.upto)


def _count(gap: Gap, oldest: int) -> Generator[Part, None, _Counted]:
    """Count what is there for a client, to the end of the gap."""
    stretches = deque[_Stretch]()
    found = kept = rows = 0
    place, is_last = gap.start.place, gap.start.place >= gap.upto
    with ExitStack() as held:
        while not is_last:
            bite = yield from _read(gap, place, gap.upto, rows)
            taken = gap.taken(bite.messages)
            recent = [one for one in taken if one.at >= oldest]
            found, kept = found + len(taken), kept + len(recent)
            if recent:
                stretches.append(_Stretch(place, bite.place, len(recent)))
            while stretches and kept - stretches[0].events >= MOST:
                kept -= stretches.popleft().events
            place, is_last, before, rows = bite.place, bite.is_last, rows, rows + bite.rows
            del bite, taken, recent
            if before <= AT_ONCE < rows and not is_last:  # who has missed little waits for no other
                yield from _wait(held.enter_context(_seats.asked(gap.owner)))
            yield NOTHING if found else Part(place=place)
    over = max(0, kept - MOST)
    return _Counted(stretches, over, found - kept + over)


def _read(gap: Gap, after: Position, upto: Position, rows: int = 0) -> Generator[Part, None, Bite]:
    """Read a bite when it is this client's turn; it has read ``rows`` before."""
    with _bites.asked(gap.owner) as turn:
        yield from _wait(turn)
        began = time.monotonic()
        bite = reading.read_on(after, seeking.of([gap.wanted]), BITE, upto)
        _pause(began, rows)
    return bite


def _pause(began: float, rows: int) -> None:
    """Leave time to other work after a bite, unless the client has not read much: it is soon through."""
    if rows > AT_ONCE:
        rest.after_bite(began)


def _wait(turn: Turn) -> Iterator[Part]:
    """Wait for a turn; while a part without events is on its way, the client is passed over."""
    while not turn.wait(LOOK):
        if turn.step_aside():
            yield NOTHING
            turn.come_back()
