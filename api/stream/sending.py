"""The body of a stream: what was missed, then what comes, and a sign of life between.

It ends when the client has gone, when its caller may not read any more, when the process stops, and with a run that is
over. The beginning and each sign of life carry the id of a place: a client that was sent no event, too, goes on without
a gap when its connection is lost.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from api.stream import reading
from api.stream.follow import Client, Reader
from api.stream.message import Message, lagged
from api.stream.missed import Missed
from api.stream.reading import Start
from config import logs
from config.errors import Unavailable
from store.access import Caller
from store.trail import Position

#: after how long a client tries again that has lost its connection, ms
RETRY = 3_000
#: between two signs of life, seconds
ALIVE = 15.0
#: between two looks at whether the caller may still read, seconds
CHECK = 10.0
#: events that are sent in one piece, and how often what was missed is read before what comes is sent
PART, ROUNDS = 256, 5

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
    missed: Callable[[Start], Missed | None]
    #: whether it is sent the form that existing clients read
    tagged: bool
    #: looks the caller up again, who was this one
    again: Callable[[], Caller | None]
    caller: Caller
    #: called once, when it ends
    leave: Callable[[], None]
    #: of the stream of a run: whether the run was over when it began
    is_over: bool = False
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
            yield from self._live(self.joined)
            return
        yield f"{head}\n".encode()
        start = self.start
        for turn in range(ROUNDS):
            found = self.missed(start)
            if found is None:
                return
            yield from self._in_parts(found)
            if self._is_end(found.messages) or not self._may_go_on():
                return
            start = Start(max(found.place, self.joined))
            if turn == ROUNDS - 1 or not self.client.skips():  # else sending took so long that it has missed more
                break
        yield from self._live(start.place)

    def _in_parts(self, found: Missed) -> Iterator[bytes]:
        """What was missed; what was left out of it is said first."""
        if found.skipped or not found.exact:
            yield lagged(found.skipped, exact=found.exact)
        for first in range(0, len(found.messages), PART):
            if not self._may_go_on():
                return
            yield self._joined(found.messages[first : first + PART])

    def _live(self, place: Position) -> Iterator[bytes]:
        """What comes; nothing up to ``place``, which the client has had."""
        while self.client.goes_on():
            taken = self.client.take(ALIVE / 3)
            if not self._may_go_on():
                return
            messages = [message for message in taken.messages if message.position > place]
            if messages or taken.skipped:
                self._sent_at = time.monotonic()
                yield self._joined(messages) + (lagged(taken.skipped) if taken.skipped else b"")
                if self._is_end(messages):
                    return
            elif time.monotonic() - self._sent_at >= ALIVE:
                if self.is_over:
                    return  # its end is in the trail no more
                self._sent_at = time.monotonic()
                yield f": alive\nid: {reading.mark_of(max(place, taken.place))}\n\n".encode()

    def _joined(self, messages: list[Message]) -> bytes:
        return b"".join(message.text(tagged=self.tagged) for message in messages)

    def _is_end(self, messages: list[Message]) -> bool:
        return self.client.wanted.run_id is not None and any(message.ends for message in messages)

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
