"""Rows of the trail, read as events, bite by bite; and the places that ids of events lead back to."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from api.stream import messages
from api.stream.message import Message
from api.stream.seeking import OF_KEYS, OF_USERS, Seeking
from store import trail
from store.access import USER
from store.engine import db, texts
from store.engine.db import Connection
from store.streams import ids, named, of_run, sought
from store.streams.ids import BEHIND, Mark
from store.trail import Entry, Position


class Bite(NamedTuple):
    """Some rows of the trail: the events that may concern a client, the place reached, and how many rows there were."""

    messages: Sequence[Message]
    place: Position
    rows: int
    #: whether nothing more was settled; of an epoch of the trail there may be more in the next one
    is_last: bool
    #: the callers that are to be looked up again
    changed: Collection[str] = ()


def read_on(
    after: Position, seeking: Seeking, limit: int, upto: Position | None = None, most: int | None = None
) -> Bite:
    """The events of settled rows behind a place, at most ``limit`` of those that may concern a client.

    None is behind ``upto``. Others are passed over: of all, ``most`` are looked at, as many as are read if it is None.

    Raises:
        Unavailable: the database is away.
    """
    with db.read() as connection:
        ahead = trail.ahead(connection, after, most or limit)
        if ahead is None or (upto is not None and upto <= ahead.after):
            return Bite((), after, 0, is_last=True)
        end = ahead.upto if upto is None else min(upto, ahead.upto)
        entries = texts.read(connection, lambda: sought.rows(connection, seeking.rows, ahead, end, limit))
        needs = messages.needs(entries, seeking.types)
        known = texts.read(connection, lambda: named.read(connection, needs))
    place = entries[-1].position if len(entries) == limit else end
    is_last = place == end and (end == upto or (ahead.rows < (most or limit) and end.epoch == after.epoch))
    return Bite(messages.of(entries, known, seeking.types), place, ahead.rows, is_last, changed(entries))


def at(places: Sequence[Position], wanted: Collection[str]) -> list[Message]:
    """The events of the rows at some places, of the ``wanted`` types.

    Raises:
        Unavailable: the database is away.
    """
    with db.read() as connection:
        entries = texts.read(connection, lambda: of_run.rows(connection, places))
        known = texts.read(connection, lambda: named.read(connection, messages.needs(entries, wanted)))
    return messages.of(entries, known, wanted)


def changed(entries: Sequence[Entry]) -> set[str]:
    """The keys and users that these rows say something new of."""
    rows = [entry.row for entry in entries]
    keys = {row.subject for row in rows if row.event in OF_KEYS}
    return keys | {f"{USER}{row.subject}" for row in rows if row.event in OF_USERS}


def last() -> Position:
    """The place of the last settled row.

    Raises:
        Unavailable: the database is away.
    """
    with db.read() as connection:
        return trail.last(connection)


class Start(NamedTuple):
    """Where a client goes on: behind this place, without the first events of this row."""

    place: Position
    row: int = 0
    number: int = BEHIND
    #: whether all that the client has missed lies behind the place
    exact: bool = True

    def has(self, message: Message) -> bool:
        """Whether the client has had this event."""
        return message.position.id == self.row and message.number <= self.number

    def behind(self, place: Position) -> "Start":
        """Where it goes on that has been sent all up to a place."""
        return self._replace(exact=True) if self.place >= place else Start(place)


def start(mark: Mark, most_rows: int | None) -> Start:
    """Where a client goes on that had this event last; at most ``most_rows`` before the end of the trail.

    Raises:
        Unavailable: the database is away.
    """
    with db.read() as connection:
        return _start(connection, mark, most_rows)


def _start(connection: Connection, mark: Mark, most_rows: int | None) -> Start:
    end = trail.last(connection)
    if mark.row == 0:
        begin = Start(Position())
    else:
        found = trail.row_from(connection, mark.row)
        if found is None:  # the trail has not come so far: the database is that of a backup
            return Start(end, exact=False)
        row, place = found
        if row.id != mark.row or (mark.number != BEHIND and row.at != mark.at):
            begin = Start(_before(place), exact=False)  # the row was deleted since, or is of a backup
        else:
            begin = Start(_before(place), row.id, mark.number)
    if most_rows is None or end.id - begin.place.id <= most_rows:
        return begin
    found = trail.row_from(connection, end.id - most_rows)
    return Start(end if found is None else _before(found[1]), exact=False)


def _before(place: Position) -> Position:
    return place._replace(id=place.id - 1)


def mark_of(place: Position) -> str:
    """The id of a place: a client that names it is sent what follows."""
    return ids.of(Mark(db.now_ms(), max(0, place.id), BEHIND))
