"""The body of a stream: what was missed, then what comes, and signs of life between.

What was missed is read up to the place at which the client has joined the reader; what comes behind that waits for it
meanwhile. Where too much of it came, that is read from the trail too, a few times. The stream ends when the client has
gone, when its caller may not read any more, when the process stops, and with a run that is over: once everything that
was recorded of it by then has been sent, for on PostgreSQL the end may be settled before what came just before it.

The beginning, the end of what was missed and each sign of life behind it carry the id of a place: a client that was
sent no event, too, goes on without a gap when its connection is lost.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from api.stream import reading
from api.stream.follow import Client, Reader
from api.stream.message import Message, lagged
from api.stream.missed import Gap, Parts
from api.stream.reading import Start
from config import logs
from config.errors import Unavailable
from store.access import Caller
from store.trail import Position

#: after how long a client tries again that has lost its connection, ms
RETRY = 3_000
#: between two signs of life, and between two while what was missed is read, seconds
ALIVE, ALIVE_READING = 15.0, 5.0
#: how long a client waits at a time for the last of a run, seconds
LAST = 0.1
#: between two looks at whether the caller may still read, seconds
CHECK = 10.0
#: how often what was missed is read before what comes is sent
ROUNDS = 5

log = logs.logger(__name__)


@dataclass(kw_only=True)
class Sending:
    """One stream, as an iterator over what is sent."""

    reader: Reader
    client: Client
    #: the place at which it has joined
    joined: Position
    #: where it goes on, and what reads from there; None for what comes from now on
    start: Start | None
    missed: Callable[[Gap], Parts]
    #: who takes turns for it
    owner: str
    #: whether it is sent the form that existing clients read
    tagged: bool
    #: looks the caller up again, who was this one
    again: Callable[[], Caller | None]
    caller: Caller
    #: called once, when it ends
    leave: Callable[[], None]
    #: of the stream of a run that was over when it began: behind this place nothing follows
    end: Position | None = None
    #: of the stream of a run: that place, once the run is over
    last: Callable[[], Position] | None = None
    _sent_at: float = field(default_factory=time.monotonic)
    _checked_at: float = field(default_factory=time.monotonic)
    _left: bool = False

    def __iter__(self) -> Iterator[bytes]:
        """What is sent, piece by piece."""
        try:
            yield from self._pieces()
        except Unavailable:
            log.info("stream ends: database unavailable")  # the client comes back with the last id that it had
        finally:
            self.close()

    def close(self) -> None:
        """Give back what the stream holds."""
        if not self._left:
            self._left = True
            self.reader.leave(self.client)
            self.leave()

    def _pieces(self) -> Iterator[bytes]:
        head = f"retry: {RETRY}\n"
        if self.start is None:
            yield f"{head}id: {reading.mark_of(self.joined)}\n\n".encode()
            yield from self._live(Start(self.joined))
            return
        yield f"{head}\n".encode()
        start, upto = self.start, self.joined
        for turn in range(ROUNDS):
            if not (yield from self._missed(start, upto)):
                return
            start = start.behind(upto)
            if self._is_at_end(start.place):
                return
            behind = self.client.skips() if turn < ROUNDS - 1 else None
            if behind is None:
                break
            upto = behind  # sending took so long that it has missed more
        if start.row == 0:
            yield f"id: {reading.mark_of(start.place)}\n\n".encode()
        yield from self._live(start)

    def _missed(self, start: Start, upto: Position) -> Generator[bytes, None, bool]:
        """What was missed, what was left out said first; whether the stream goes on."""
        gap = Gap(start=start, upto=upto, wanted=self.client.wanted, owner=self.owner)
        with closing(self.missed(gap)) as parts:
            for part in parts:
                if not self._may_go_on():
                    return False
                piece = self._piece(part.messages, part.skipped, exact=part.exact)
                place = part.place
                del part  # its events are not kept while the client takes them
                if not piece and time.monotonic() - self._sent_at >= ALIVE_READING:
                    piece = b": alive\n\n" if place is None else self._alive(place)
                if piece:
                    self._sent_at = time.monotonic()
                    yield piece
        return self._may_go_on()

    def _live(self, start: Start) -> Iterator[bytes]:
        """What comes; nothing that the client has had."""
        while self.client.goes_on():
            taken = self.client.take(ALIVE / 3 if self.end is None else LAST)
            if not self._may_go_on():
                return
            messages = [one for one in taken.messages if one.position > start.place and not start.has(one)]
            place = max(start.place, taken.place)
            if piece := self._piece(messages, taken.skipped, is_before=False):
                self._sent_at = time.monotonic()
                yield piece
            elif time.monotonic() - self._sent_at >= ALIVE:
                self._sent_at = time.monotonic()
                is_named = place > start.place or start.row == 0  # before a row there is no place that an id names
                yield self._alive(place) if is_named else b": alive\n\n"
            if self._is_at_end(place):
                return

    def _alive(self, place: Position) -> bytes:
        return f": alive\nid: {reading.mark_of(place)}\n\n".encode()

    def _piece(self, messages: Sequence[Message], skipped: int, *, exact: bool = True, is_before: bool = True) -> bytes:
        """Events as they are sent, and how many were left out before or behind them."""
        if self.last is not None and self.end is None and any(message.ends for message in messages):
            self.end = self.last()
        said = lagged(skipped, exact=exact) if skipped or not exact else b""
        text = b"".join(message.text(tagged=self.tagged) for message in messages)
        return said + text if is_before else text + said

    def _is_at_end(self, place: Position) -> bool:
        return self.end is not None and place >= self.end

    def _may_go_on(self) -> bool:
        return self.client.goes_on() and self._is_allowed()

    def _is_allowed(self) -> bool:
        """Whether the caller may still read what it was allowed to read at the beginning."""
        now = time.monotonic()
        if not self.client.is_doubtful and now - self._checked_at < CHECK:
            return True
        self.client.is_doubtful, self._checked_at = False, now
        try:
            return self.again() == self.caller
        except Unavailable:
            return True
