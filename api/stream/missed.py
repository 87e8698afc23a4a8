"""What a client has missed since the event that it names.

The trail is read from there to its end, bite by bite with pauses between, for one client of a process at a time. Of
what is found the newest are sent, those of a day at most; how many were left out is said first.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from api.stream import reading
from api.stream.message import Message, Wanted
from api.stream.reading import Start
from store.engine import db, rest
from store.engine.clock import now_ms
from store.streams import of_run as of_run_rows
from store.trail import Position

#: events that are sent at most, how old they may be, ms; and rows of the trail that are looked at for them
MOST, OLDEST, MOST_ROWS = 10_000, 24 * 3_600_000, 200_000
#: between two looks at whether the client is still there, seconds
LOOK = 0.5
#: rows that are read without a pause: most clients have missed no more
_AT_ONCE = 2_000

_reading = threading.Lock()


class Missed(NamedTuple):
    """What a client has missed, up to a place; before it ``skipped`` events were left out."""

    messages: list[Message]
    skipped: int
    exact: bool
    place: Position


def gather(start: Start, wanted: Wanted, goes_on: Callable[[], bool]) -> Missed | None:
    """What lies behind a start, to the end of the trail; None when the client has gone.

    Raises:
        Unavailable: the database is away.
    """
    while not _reading.acquire(timeout=LOOK):
        if not goes_on():
            return None
    try:
        return _gather(start, wanted, goes_on)
    finally:
        _reading.release()


def of_run(workspace_id: str, run_id: str, start: Start, wanted: Wanted) -> Missed:
    """What lies behind a start of the events of a run: by the index of its rows, for a run may be old.

    Raises:
        Unavailable: the database is away, or too many such reads wait.
    """
    entries, whole = db.read_aside(of_run_rows.read, workspace_id, run_id, MOST)
    behind = [entry for entry in entries if entry.position > start.place]
    made = reading.made(behind, wanted.types)
    taken = [message for message in made if wanted.takes(message) and not start.has(message)]
    place = max(entries[-1].position if entries else start.place, start.place)
    return Missed(taken, 0, start.exact and whole, place)


def _gather(start: Start, wanted: Wanted, goes_on: Callable[[], bool]) -> Missed | None:
    kept: deque[Message] = deque(maxlen=MOST)
    place, found, rows = start.place, 0, 0
    while True:
        began = time.monotonic()
        bite = reading.read_on(place, wanted.types)
        place, rows = bite.place, rows + bite.rows
        taken = [message for message in bite.messages if wanted.takes(message) and not start.has(message)]
        found += len(taken)
        kept.extend(taken)
        if bite.is_last:
            break
        if not goes_on():
            return None
        if rows > _AT_ONCE:
            rest.after_bite(began)
    oldest = now_ms() - OLDEST
    recent = [message for message in kept if message.at >= oldest]
    return Missed(recent, found - len(recent), start.exact, place)
