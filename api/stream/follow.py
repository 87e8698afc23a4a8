"""The one reader of a process: it follows the settled trail while there are clients.

Ten times a second it reads what the trail has gained, without the rows that concern no client (``seeking``), and hands
each event to the clients that want it; clients that want the same are judged together. A client that does not keep up
loses events, never the reader: ``MOST_WAITING`` wait for it, then what follows is counted until it has taken those. A
client joins at a place: it is handed everything behind that and nothing before. Once a second the reader looks at the
sockets of all clients: writing alone would notice a quarter of a minute later that one has gone.
"""

import threading
import time
from collections import deque
from typing import NamedTuple, Protocol

from api.http import auth
from api.stream import reading, seeking
from api.stream.message import Message, Wanted
from api.stream.seeking import Seeking
from config import logs
from config.errors import Unavailable
from store.trail import Position

#: between two looks at the trail, seconds; where there is more at once; and while the database is away
EVERY, AT_ONCE, AWAY = 0.1, 0.005, 1.0
#: events that wait for a client; rows that are read at once, so that clients take events of a burst meanwhile; and
#: those among which they are sought, so that one look takes little time
MOST_WAITING, BITE, LOOKED_AT = 256, 100, 2_000
#: between two looks at the sockets, seconds
LOOK = 1.0
#: how long clients have to leave when the process stops, seconds
LEAVING = 1.0

log = logs.logger(__name__)


class Taken(NamedTuple):
    """What a client has taken: events in order, and how many were left out behind them."""

    messages: list[Message]
    skipped: int
    #: everything up to here was taken or left out
    place: Position


class Connected(Protocol):
    """The connection of a client, as the server has it."""

    def is_there(self) -> bool:
        """Whether the client has not closed it."""

    def give_up(self) -> None:
        """Close it."""


class Client:
    """A client of the reader: the events that wait for it."""

    def __init__(self, wanted: Wanted, who: str, connection: Connected | None) -> None:
        self.wanted = wanted
        self.who = who
        #: None where there is no server
        self.connection = connection
        #: set when there is something to send or to look at
        self.news = threading.Event()
        self._is_gone = False
        #: whether its caller is to be looked up again
        self.is_doubtful = False
        self._lock = threading.Lock()
        self._waiting: deque[Message] = deque()
        self._skipped = 0
        self._place = Position()

    def look(self) -> None:
        """Notice that it has gone."""
        if self.connection is not None and not self.connection.is_there():
            self.let_go()

    def let_go(self) -> None:
        """End its stream."""
        self._is_gone = True
        self.news.set()

    def goes_on(self) -> bool:
        """Whether its stream goes on."""
        return not self._is_gone

    def begin(self, place: Position) -> None:
        """It joins at this place."""
        self._place = place

    def put(self, messages: list[Message], place: Position) -> None:
        """Let events wait for it; all up to ``place`` are among them, or were before."""
        if not messages:
            self._place = place  # no lock: a client that takes meanwhile has had all up to there
            return
        with self._lock:
            self._place = place
            for message in messages:
                last = message.ends and self.wanted.run_id is not None  # without it the stream would never end
                if not last and (self._skipped or len(self._waiting) >= MOST_WAITING):
                    self._skipped += 1
                else:
                    self._waiting.append(message)
        self.news.set()

    def skips(self) -> Position | None:
        """Where events were left out, the place up to which all are to be read again: nothing waits any more."""
        with self._lock:
            if not self._skipped:
                return None
            self._waiting.clear()
            self._skipped = 0
            return self._place

    def take(self, seconds: float) -> Taken:
        """What waits, once something does or after so long."""
        if self.news.wait(seconds):
            self.news.clear()
        with self._lock:
            taken = Taken(list(self._waiting), self._skipped, self._place)
            self._waiting.clear()
            self._skipped = 0
        return taken


class Reader:
    """The reader of this process, and its clients."""

    def __init__(self) -> None:
        #: set when the process is about to stop: every stream ends
        self.draining = False
        self._clients: dict[Wanted, set[Client]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._place = Position()
        #: what the clients want; None after a client has joined or left that wants something of its own
        self._seeking: Seeking | None = None
        #: whether the last bite was read in vain, because of a client that has joined meanwhile
        self._was_outrun = False

    def join(self, client: Client) -> Position:
        """Add a client; it is handed every event behind the place that is returned.

        Raises:
            Unavailable: the database is away.
        """
        with self._lock:
            if self._thread is None:
                self._place = reading.last()
            client.begin(self._place)
            if client.wanted not in self._clients:
                self._clients[client.wanted] = set()
                self._seeking = None
            self._clients[client.wanted].add(client)
            if self._thread is None or not self._thread.is_alive():  # dead: something ended it from outside
                self._thread = threading.Thread(target=self._follow, name="stream", daemon=True)
                self._thread.start()
            return self._place

    def leave(self, client: Client) -> None:
        """Remove a client."""
        with self._lock:
            alike = self._clients.get(client.wanted, set())
            alike.discard(client)
            if not alike:
                self._clients.pop(client.wanted, None)
                self._seeking = None

    def _sought(self) -> Seeking:
        if self._seeking is None:
            self._seeking = seeking.of(self._clients)
        return self._seeking

    def drain(self, seconds: float) -> bool:
        """End every stream; whether the reader has ended within ``seconds``."""
        self.draining = True
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def _follow(self) -> None:
        read_at = looked_at = 0.0
        while not self.draining:
            with self._lock:
                if not self._clients:
                    self._thread = None
                    return
            now = time.monotonic()
            if now >= read_at:
                read_at = now + self._read_on()
            if now - looked_at >= LOOK:
                looked_at = now
                for client in self._all():
                    client.look()
            time.sleep(min(EVERY, max(0.0, read_at - time.monotonic())))
        self._end()

    def _end(self) -> None:
        """Let all clients go; those that do not take what is sent to them lose their connections."""
        for client in self._all():
            client.let_go()
        until = time.monotonic() + LEAVING
        while self._all() and time.monotonic() < until:
            time.sleep(EVERY)
        for client in self._all():
            if client.connection is not None:
                client.connection.give_up()

    def _all(self) -> list[Client]:
        with self._lock:
            return [client for alike in self._clients.values() for client in alike]

    def _read_on(self) -> float:
        """Read what was settled; after how many seconds to read again."""
        try:
            return EVERY if self._read() else AT_ONCE
        except Unavailable:
            return AWAY
        except Exception:
            log.exception("reading the trail for streams failed; trying again")
            return AWAY

    def _read(self) -> bool:
        """Read a bite; whether it was the last one."""
        with self._lock:
            place, asked = self._place, seeking.EVERYTHING if self._was_outrun else self._sought()
        bite = reading.read_on(place, asked, BITE, most=LOOKED_AT)
        if bite.rows:
            for who in bite.changed:
                auth.forget(who)
            with self._lock:
                # a client that wants something else has joined meanwhile, at the place before
                self._was_outrun = not asked.covers(self._sought())
                if self._was_outrun:
                    return False
                self._hand_out(bite)
        return bite.is_last

    def _hand_out(self, bite: reading.Bite) -> None:
        self._place = bite.place
        for wanted, alike in self._clients.items():
            chosen = [message for message in bite.messages if wanted.takes(message)]
            for client in alike:
                client.put(chosen, bite.place)
                if bite.changed and client.who in bite.changed:
                    client.is_doubtful = True
                    client.news.set()
