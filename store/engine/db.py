"""The database: the open connections of this process, and their use.

``with read() as db`` reads, ``with write() as db`` changes; each is one transaction, committed when the block ends
without an exception. ``read_one`` is for one statement that only reads, ``read_aside`` for lists. Rules: no I/O inside
``write()`` other than its own statements; publish after it. Who has a connection takes no other: where all of a pool
are held by threads that wait for a second one, none goes on.

A use takes an open connection (``store.engine.pool``), sends BEGIN and COMMIT through the driver itself, and gives the
connection back: SQLAlchemy's own pool and transactions cost more than the statements of the hot path.

SQLite runs in WAL mode with one writer at a time. Writers take the lock at the start (``BEGIN IMMEDIATE``; a later
upgrade could fail at once) and wait for it in Python, because SQLite's own waiting sleeps in C and would freeze every
other greenlet of an API process. Readers never wait for writers.

On PostgreSQL a reader commits each statement by itself, and so does ``write(single=True)``, which is for blocks of
exactly one statement: that saves the two round trips of BEGIN and COMMIT. ``hot`` and ``look_up`` are ``write`` and
``read_one`` over connections on which the server plans each statement once (``store.engine.set_based``).

On PostgreSQL its clock is the present of all processes (``store.engine.clock``); a process that uses it learns the time
every few seconds.

When the database cannot be reached every use raises ``config.errors.Unavailable``. Where PostgreSQL ends one of two
transactions that wait for each other, ``change`` runs it once more.
"""

import functools
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from config.errors import Unavailable
from config.settings import settings
from event_loop import waiting
from store.engine import aside, clock, engines, set_based
from store.engine.pool import LAST, ConnectionPool, PooledConnection

#: how long a writer waits for SQLite's lock before the database counts as unavailable, seconds
LOCK_PATIENCE = 10.0
#: how long a read that may take long waits for its turn, seconds
ASIDE_PATIENCE = 15.0

#: how often a change that ends in a deadlock is tried at most
MOST_TRIES = 5

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Connection = sa.Connection
Row = sa.Row[Any]
IntegrityError = exc.IntegrityError
now_ms = clock.now_ms

Given = ParamSpec("Given")
Found = TypeVar("Found")
Made = TypeVar("Made")

#: the open connections of a parent process: kept, because freeing them would close the parent's connections
_inherited: list[object] = []

#: PostgreSQL's codes for a transaction that it ended so that another could go on: a deadlock, a failed serialization
_ENDED_FOR_OTHERS = ("40P01", "40001")
#: how often the database is asked for its time, until an answer is quicker than this, ns
_ASKS, _QUICK = 3, 2_000_000

#: connections to PostgreSQL at most: of the hot path, and of all else but lists
_HOT_AT_ONCE, _AT_ONCE, _FEW = 8, 12, 3


class Contended(Unavailable):
    """The database ended this transaction in a deadlock; nothing was changed."""


_lock = threading.Lock()
_here: "_Database | None" = None


class _Database:
    """The connections that this process holds open.

    On SQLite one of the connections writes; on PostgreSQL those of the hot path have plans of their own.
    """

    def __init__(self, url: str) -> None:
        self.engine = engines.of(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self.away = _what_away_raises(self.is_sqlite)
        most, few, patience = (20, 0, LOCK_PATIENCE) if self.is_sqlite else (_AT_ONCE, _FEW, 5)
        self.reading = ConnectionPool(self.engine.connect, most=most, few=few, patience=patience)
        self.aside = ConnectionPool(self.engine.connect, most=aside.AT_ONCE, patience=ASIDE_PATIENCE)
        #: a thread that waits for SQLite's only writer of this process costs nothing; each failed try for its lock does
        writer = functools.partial(self._saying, "PRAGMA busy_timeout=0")  # it waits in Python
        self.writing = ConnectionPool(writer, most=1, patience=LOCK_PATIENCE) if self.is_sqlite else self.reading
        #: PostgreSQL: for what is used all the time and looks rows up by their ids
        self.hot = ConnectionPool(self._planning_once, most=_HOT_AT_ONCE, few=few, patience=patience)

    def _saying(self, first: str) -> Connection:
        connection = self.engine.connect()
        raw(connection).execute(first)
        return connection

    def _planning_once(self) -> Connection:
        connection = self._saying(set_based.PLAN_ONCE)
        raw(connection).prepare_threshold = 0  # the server keeps a statement from its first use on
        return connection

    def close(self) -> None:
        """Close what is open."""
        self.reading.close()
        self.aside.close()
        self.writing.close()
        self.hot.close()
        self.engine.dispose()


def _database() -> _Database:
    """The database of this process; a forked child makes its own.

    It leaves its parent's connections alone.
    """
    global _here  # noqa: PLW0603 - one per process is the point
    here = _here
    if here is None:
        with _lock:
            here = _here
            if here is None:
                here = _here = _Database(settings().database_url)
    return here


def engine() -> sa.Engine:
    """SQLAlchemy's engine of this process; each statement commits by itself."""
    return _database().engine


def is_sqlite() -> bool:
    """Whether the database is SQLite: reads are calls within the process, and one process writes at a time."""
    return _database().is_sqlite


def load_driver() -> None:
    """Import the driver of the configured database, without connecting.

    For a parent that forks children which connect.
    """
    sa.make_url(settings().database_url).get_dialect().import_dbapi()


def _after_fork() -> None:
    """Let a child start without its parent's connections and locks."""
    global _here, _lock
    _inherited.append(_here)
    _here, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def dispose() -> None:
    """Close the connections of this process; the next use opens new ones."""
    global _here  # noqa: PLW0603
    with _lock:
        if _here is not None:
            _here.close()
        _here = None
        clock.forget()


def raw(connection: Connection) -> Any:
    """The driver's own connection."""
    return connection.connection.dbapi_connection


def read_one(query: Callable[Concatenate[Connection, Given], Found], *args: Given.args, **more: Given.kwargs) -> Found:
    """What ``query(connection, ...)`` returns; it runs exactly one reading statement.

    Cheaper than ``read``, which gives several statements the same snapshot.

    Raises:
        Unavailable: the database cannot be reached.
    """
    here = _database()
    with _use(here, here.reading, None) as connection:
        return query(connection, *args, **more)


def look_up(query: Callable[Concatenate[Connection, Given], Found], *args: Given.args, **more: Given.kwargs) -> Found:
    """As ``read_one``, for a statement that is used all the time and looks rows up by their ids.

    Raises:
        Unavailable: the database cannot be reached.
    """
    here = _database()
    with _use(here, here.reading if here.is_sqlite else here.hot, None) as connection:
        return query(connection, *args, **more)


def read_aside(
    query: Callable[Concatenate[Connection, Given], Found], *args: Given.args, **more: Given.kwargs
) -> Found:
    """What ``query(connection, ...)`` returns; for reads that may take long.

    It has a connection of its own, one of few, and on SQLite a native thread (``store.engine.aside``): nothing else
    waits for it. ``query`` uses no other connection and ends with the rows in hand.

    Raises:
        Unavailable: the database cannot be reached, or too many such reads wait.
    """
    here = _database()
    with _use(here, here.aside, "BEGIN" if here.is_sqlite else None) as connection:
        if not here.is_sqlite:
            return query(connection, *args, **more)
        return aside.call(lambda: query(connection, *args, **more), raw(connection).interrupt)


def read() -> AbstractContextManager[Connection]:
    """A transaction that reads.

    Raises:
        Unavailable: the database cannot be reached.
    """
    here = _database()
    return _use(here, here.reading, "BEGIN" if here.is_sqlite else None)


def write(*, single: bool = False) -> AbstractContextManager[Connection]:
    """A transaction that changes; committed when the block ends without an exception.

    ``single`` promises that the block runs one statement.

    Raises:
        Unavailable: the database cannot be reached or its lock cannot be had; nothing was changed.
    """
    here = _database()
    if here.is_sqlite:
        return _use(here, here.writing, "BEGIN IMMEDIATE")
    return _use(here, here.writing, None if single else "BEGIN")


def hot(*, single: bool = True) -> AbstractContextManager[Connection]:
    """PostgreSQL: as ``write``, for statements that are used all the time and look rows up by their ids."""
    here = _database()
    return _use(here, here.hot, None if single else "BEGIN")


def change(work: Callable[[Connection], Found]) -> Found:
    """What ``work(connection)`` returns; it changes in one transaction.

    It may be run again before it is committed.

    Raises:
        Unavailable: the database cannot be reached.
    """

    def once() -> Found:
        with write() as connection:
            return work(connection)

    return repeated(once)


def repeated(work: Callable[[], Found]) -> Found:
    """What ``work()`` returns, a transaction that is repeated after a deadlock."""
    for tries in range(1, MOST_TRIES):
        try:
            return work()
        except Contended:
            waiting.sleep(random.uniform(0.001, 0.02) * 2**tries)  # noqa: S311 - spreads those that met, hides nothing
    return work()


def last(connection: Connection, make: Callable[[], Made]) -> Made:
    """What ``make()`` returns, the same in all of a transaction; its ``write(connection)`` is called before the commit.

    So the changes of one transaction share statements. What is read before is read without what it holds.
    """
    found: dict[Callable[[], Any], Any] = connection.info[LAST]
    made: Made | None = found.get(make)
    if made is None:
        made = found[make] = make()
    return made


@contextmanager
def _use(here: _Database, pool: ConnectionPool, begin: str | None) -> Iterator[Connection]:
    """One transaction through the driver itself.

    Without ``begin`` each statement is one.
    """
    try:
        pooled = pool.take()
        sound = False  # a connection over which the database could not be reached is not used again
        try:
            if not here.is_sqlite and clock.stale():
                _ask_time(pooled)
            if begin is not None:
                _say(pooled.raw, begin)
            yield pooled.connection
            if pooled.last:
                pooled.finish()
            if begin is not None:
                pooled.raw.execute("COMMIT")
            sound = True
        except Exception as error:
            if not isinstance(error, here.away) or _is_contention(error):
                pooled.undo()
                sound = True
            raise
        finally:
            pool.give_back(pooled, sound=sound)
    except here.away as error:
        raise _unavailable(error) from error


def _say(opened: Any, begin: str) -> None:
    """Begin a transaction; wait for SQLite's lock if another process holds it."""
    give_up = 0.0
    while True:  # a failed try must cost next to nothing
        try:
            opened.execute(begin)
        except sqlite3.OperationalError as error:
            give_up = give_up or time.monotonic() + LOCK_PATIENCE
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            waiting.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 - spreads the waiters, hides nothing
        else:
            return


def _ask_time(pooled: PooledConnection) -> None:
    """Learn the database's time.

    A slow answer says little, so it is asked for up to ``_ASKS`` times.
    """
    for _ in range(_ASKS):
        asked = time.monotonic_ns()
        found = pooled.raw.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").fetchone()
        answered = time.monotonic_ns()
        clock.learn(asked, found[0] * 1000, answered)
        if answered - asked < _QUICK:
            break


def _is_contention(error: Exception) -> bool:
    return getattr(getattr(error, "orig", None) or error, "sqlstate", None) in _ENDED_FOR_OTHERS


def _unavailable(error: Exception) -> Unavailable:
    if _is_contention(error):
        return Contended("Another change was made to the same rows at the same time; nothing was accepted.")
    reason = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
    return Unavailable(f"The database cannot be reached; nothing was accepted ({reason}).")


def _what_away_raises(is_sqlite: bool) -> tuple[type[Exception], ...]:
    """The exceptions of an unreachable database, SQLAlchemy's or the driver's own."""
    errors = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError, sqlite3.OperationalError)
    if is_sqlite:
        return errors
    import psycopg  # only where it is the driver: it is large, and there are many processes

    return (*errors, psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)
