"""Makes this process obey the configuration in force.

In order of time: ``begin`` makes the process a follower and starts its one thread. The thread subscribes to the news,
checks in under the name of the process, and loads what the database says is in force. From then on it checks in and
looks at the number in Redis twice a second and whenever news arrives, and at the database every five seconds, or twice
a second while Redis is away. A new edition is read from the database, compiled aside, and put in force by swapping a
reference.

A process of a pool, which may never get work, begins all this with its first decision. A decision that comes before the
first load, or more than a second after the last look, makes the look itself (``gateway.current``), and fails where it
cannot: a process that may have missed a change does not decide. A process counts as fresh only from the moment of a
check-in that came before its look. So a change finds every process that still decides by the old configuration among
those that have checked in within two seconds.

What the process has counted by itself is added to the numbers of the installation every five seconds, and at its end.

Circuit breakers are read with every new edition, when news says that one has changed, and every five seconds: one that
opens or closes is an edition, a count of failures is none.
"""

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Iterator

from redis.client import PubSub
from redis.exceptions import RedisError

from config import logs
from config.errors import Unavailable
from config.types import Json
from event_loop import loop
from gateway import circuits, current
from gateway.configuration import generation
from gateway.current import InForce, Stop
from gateway.rules.ruleset import Ruleset
from gateway.silences.in_force import Silences
from store.engine import db
from store.gateway import breakers, configurations, news
from store.gateway.configurations import Stored
from tasks.generations import breaker_rows
from tasks.policy import meaning

#: seconds between two looks at Redis; the look must come well before ``current.FRESH`` is over
EVERY = 0.4
#: seconds from the start of the thread to its first look: what else starts with the process asks the database first,
#: and the follower finds a connection that is open
FIRST_AFTER = 0.3
#: seconds between two looks at the database while Redis answers
DATABASE_EVERY = 5.0
#: seconds between two looks at circuit breakers when many fail at once
BREAKERS_EVERY = 0.05
#: messages that are read at once
_MOST_NEWS = 1_000
#: rules that are compiled without a pause: some milliseconds
_AT_ONCE = 20

#: in place of a number where Redis cannot be asked
_SILENCE = object()

log = logs.logger(__name__)


class Follower(threading.Thread):
    """The thread that keeps this process up to date, and the look that decisions make."""

    def __init__(self, role: str, *, checks_in: bool = True) -> None:
        super().__init__(name="generations", daemon=True)
        self._checks_in = checks_in
        #: unlike any other, even where containers share the name of their host
        self.process = f"{role}@{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._begins, self._one = threading.Lock(), threading.Lock()
        self._ended = threading.Event()
        self._database_at = self._breakers_at = self._looked_from = self._told_at = float("-inf")
        self._news: PubSub | None = None
        #: whether Redis did not answer lately: decisions do not wait for it, the thread finds out when it is back
        self._away = False
        #: an edition that this process cannot use, and why
        self._refused: tuple[int, str] = (-1, "")
        #: the fault that was logged last
        self._said = ""

    def run(self) -> None:
        """Follow until stopped."""
        self._ended.wait(FIRST_AFTER)
        while not self._ended.is_set():
            try:
                self._step()
            except Unavailable:
                self._ended.wait(EVERY)
            except Exception as error:
                if repr(error) != self._said:  # it may last: a database without its tables
                    self._said = repr(error)
                    log.exception("configuration not followed; decisions look for themselves")
                self._ended.wait(EVERY)

    def stop(self) -> None:
        """End, and let no change wait for this process; what it still decides it looks up."""
        self._ended.set()
        current.follow(self.look)
        with contextlib.suppress(RedisError, OSError):
            news.leave(self.process)
        with contextlib.suppress(Unavailable):
            meaning.tell()

    def look(self) -> None:
        """Make sure that what is in force here is what the database says.

        The process may decide without a further look for a while if it has checked in before: a change waits for those
        that have. Cut off from Redis, it looks each time. Decisions that come together share the first look that begins
        after they came.

        Raises:
            Unavailable: the database cannot be asked, or this process cannot use the configuration.
        """
        loop.offload(self._look, current.now())

    def _look(self, came: float) -> None:
        with self._one:
            if self._looked_from >= came:
                return
            asked, mine = current.now(), current.held().number
            newest = self._checked_in()
            if self._bring_up_to_date() != mine:
                self._checked_in()
            if asked - self._breakers_at > DATABASE_EVERY:
                self.see_breakers()
            self._database_at = self._looked_from = asked
            if newest is not _SILENCE:
                current.heard(asked)

    def first_look(self) -> None:
        """Begin to follow, and look.

        Raises:
            Unavailable: as ``look``.
        """
        with self._begins:
            if not self._ended.is_set() and self.ident is None:
                self.start()
        current.follow(self.look)
        self.look()

    def check_in(self) -> None:
        """Look at the number in Redis; at the database where that is needed."""
        asked, mine = current.now(), current.held().number
        newest = self._checked_in()
        if isinstance(newest, int) and newest <= mine:
            current.heard(asked)
            if asked - self._database_at < DATABASE_EVERY:
                return
        self.look()
        if newest is None or (isinstance(newest, int) and newest < mine):
            with contextlib.suppress(RedisError, OSError):
                news.announce(current.held().number)  # Redis was emptied, or has an older copy of its data

    def _checked_in(self) -> int | object | None:
        """Say which edition this process has; the newest by Redis, ``_SILENCE`` where Redis cannot be asked."""
        if self._away or self._ended.is_set() or not self._checks_in:
            return _SILENCE
        try:
            return news.check_in(self.process, current.held().number, db.now_ms())
        except (RedisError, OSError, ValueError):
            self._away = True
            return _SILENCE

    def _step(self) -> None:
        """Wait for news, at most ``EVERY``, and look."""
        told = False
        try:
            if self._news is None:
                self._news = news.subscribe()
                self._away = False
            else:
                told = self._heard_of_breakers(self._news)
        except (RedisError, OSError, ValueError):
            self._away = True
        if told:
            self.see_breakers()
            self._ended.wait(BREAKERS_EVERY)
        if not self._ended.is_set():
            self.check_in()
            self._tell()
        if self._away:
            self._unsubscribe()
            self._ended.wait(EVERY)

    def _tell(self) -> None:
        """Add what was counted here to the numbers of the installation, now and then."""
        if current.now() - self._told_at > DATABASE_EVERY:
            self._told_at = current.now()
            meaning.tell()

    @staticmethod
    def _heard_of_breakers(subscription: PubSub) -> bool:
        """Wait for news and read all of it; whether it tells of a circuit breaker."""
        message, told = subscription.get_message(timeout=EVERY), False
        for _ in range(_MOST_NEWS):
            told |= news.tells_of_breaker(message)
            if message is None:
                break
            message = subscription.get_message(timeout=0)
        return told

    def see_breakers(self) -> None:
        """Learn what the circuit breakers are like; nothing where none is configured."""
        self._breakers_at = current.now()
        if current.held().breakers:
            circuits.put(breaker_rows.read(db.read_one(breakers.listed)))

    def _unsubscribe(self) -> None:
        if self._news is not None:
            with contextlib.suppress(RedisError, OSError):
                self._news.close()
            self._news = None

    def _bring_up_to_date(self) -> int:
        """Load what the database says unless it is in force; its edition. The caller has the lock."""
        newest = db.read_one(configurations.edition)
        if newest == self._refused[0]:
            raise Unavailable(self._refused[1])
        if newest != current.held().number:
            self._load()
        return current.held().number

    def _load(self) -> None:
        """Put in force what the database says."""
        with db.read() as connection:
            found = configurations.stored(connection, known=current.held().loaded)
            rows = breakers.listed(connection)
        try:
            in_force = compiled(found, current.held())
        except Exception as error:
            words = f"This process cannot use generation {found.generation} of the configuration: it decides nothing."
            self._refused = (found.edition, words)
            log.exception("configuration cannot be used by this version; decisions fail", generation=found.generation)
            raise Unavailable(words) from error
        known, restored = breaker_rows.read(rows), in_force.number < current.held().number
        # the breakers first: who checks in with the edition obeys them; an earlier edition is that of a restored backup
        (circuits.replace if restored else circuits.put)(known)
        self._breakers_at = current.now()
        (current.replace if restored else current.put)(in_force)


def compiled(found: Stored, held: InForce) -> InForce:
    """What is in force, compiled; rules that are ``held`` already are used again."""
    silences = Silences(found.silences, held.silences)
    stops = tuple(Stop(row.tenant, row.reason, row.actor) for row in found.stops)
    if found.body is None and found.generation == held.loaded:
        return InForce(
            found.edition,
            held.generation,
            found.switches,
            stops,
            loaded=found.generation,
            revisions=found.revisions,
            compiled=held.ruleset,
            silences=silences,
        ).with_calendars(found.calendars)
    made = generation.read(found.body) if found.body is not None else generation.EMPTY
    return InForce(
        found.edition,
        made,
        found.switches,
        stops,
        loaded=found.generation,
        revisions=found.revisions,
        compiled=Ruleset(_paced(made.rules)),
        silences=silences,
    ).with_calendars(found.calendars)


def _paced(rules: Iterable[Json]) -> Iterator[Json]:
    """The rules, with pauses between them: what else this process does goes on while they are compiled."""
    for number, rule in enumerate(rules):
        if number % _AT_ONCE == 0:
            time.sleep(0)
        yield rule


_follower: Follower | None = None


def begin(role: str, *, at_once: bool = True) -> None:
    """Make this process a follower; called once in each, after the fork.

    One that may never decide anything follows from its first decision, without ``at_once``: until then it holds no
    connection, and no change waits for it.
    """
    global _follower  # noqa: PLW0603 - one per process is the point
    if _follower is None:
        _follower = Follower(role)
        current.follow(_follower.look if at_once else _follower.first_look)
        if at_once:
            _follower.start()


def end() -> None:
    """Stop following: this process ends."""
    if _follower is not None:
        _follower.stop()


def look() -> None:
    """Look now: what was changed here is obeyed here before anything is answered.

    Raises:
        Unavailable: the database cannot be asked.
    """
    (_follower or Follower("", checks_in=False)).look()


def _after_fork() -> None:
    """A child has no thread of its parent's and follows nothing yet."""
    global _follower  # noqa: PLW0603
    if _follower is not None:
        _follower = None
        current.forget()


os.register_at_fork(after_in_child=_after_fork)
