"""The database: one engine per process, and the two ways to use it.

``with read() as db`` looks, ``with write() as db`` changes; each is one transaction, committed when the block
ends well. Rule: no I/O inside ``write()`` other than its own statements; publish after it.

SQLite runs in WAL mode with one writer at a time. Writers take the lock at the start (``BEGIN IMMEDIATE``; a
later upgrade could fail at once) and wait for it in Python, because SQLite's own waiting sleeps in C and
would freeze every other greenlet of an API process. Readers never wait for writers.

On PostgreSQL a reader commits each statement by itself, and so does ``write(single=True)``, which is for blocks
of exactly one statement: that spares the two round trips of BEGIN and COMMIT on the hot path.

When the database cannot be reached every use raises ``config.errors.Unavailable``.
"""

import functools
import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from config.errors import Unavailable
from config.settings import settings

#: how long a writer waits for SQLite's lock before the database counts as unavailable, seconds
LOCK_PATIENCE = 10.0
#: a connection to PostgreSQL that rested this long is looked at before it is used, seconds
IDLE = 1.0

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

#: engines of a parent process: kept, because forgetting them would close the parent's connections
_inherited: list[object] = []

_lock = threading.Lock()
_writing = threading.Lock()
_engines: tuple[int, sa.Engine, sa.Engine] | None = None


def now_ms() -> int:
    """The present in milliseconds since 1970, UTC: the unit of every time column."""
    return time.time_ns() // 1_000_000


def engine(*, writing: bool = True) -> sa.Engine:
    """The engine of this process; a forked child makes its own and leaves its parent's connections alone."""
    global _engines  # noqa: PLW0603 - one per process is the point
    current = _engines
    if current is None or current[0] != os.getpid():
        with _lock:
            current = _engines
            if current is None or current[0] != os.getpid():
                current = _engines = (os.getpid(), *_create_engines(settings().database_url))
    return current[2] if writing else current[1]


def _after_fork() -> None:
    """A child starts with nothing of its parent's: no engine, and no lock that a thread left behind held."""
    global _engines, _lock, _writing
    _inherited.append(_engines)
    _engines, _lock, _writing = None, threading.Lock(), threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _create_engines(url: str) -> tuple[sa.Engine, sa.Engine]:
    """The engine that reads and the one that writes."""
    if url.startswith("sqlite"):
        return _sqlite(url, writing=False), _sqlite(url, writing=True)
    return _postgresql(url, isolation_level="AUTOCOMMIT"), _postgresql(url)


def dispose() -> None:
    """Close the connections of this process; the next use opens new ones."""
    _away.cache_clear()
    global _engines  # noqa: PLW0603
    with _lock:
        if _engines is not None and _engines[0] == os.getpid():
            _engines[1].dispose()
            _engines[2].dispose()
        _engines = None


def _sqlite(url: str, *, writing: bool) -> sa.Engine:
    made = sa.create_engine(
        url,
        pool_size=20,
        max_overflow=0,
        pool_timeout=LOCK_PATIENCE,
        pool_use_lifo=True,
        connect_args={"timeout": 2, "check_same_thread": False},
    )
    sa.event.listen(made, "connect", _open_writer if writing else _open_sqlite)
    sa.event.listen(made, "begin", _begin_sqlite if writing else _begin_reading)
    return made


def _postgresql(url: str, **options: Any) -> sa.Engine:
    made = sa.create_engine(
        url,
        **options,
        pool_reset_on_return=None,  # every use ends its transaction itself
        pool_size=20,
        max_overflow=0,
        pool_timeout=5,
        pool_use_lifo=True,  # few connections, warm ones, whose statements the server knows
        connect_args={"connect_timeout": 3, "options": "-c statement_timeout=15000 -c jit=off"},
    )
    sa.event.listen(made, "checkout", _check_idle)
    sa.event.listen(made, "checkin", _note_use)
    return made


def _note_use(_raw: Any, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _check_idle(raw: Any, record: Any, _proxy: Any) -> None:
    """A connection that has rested may be dead: ask before it is used. Under load none rests."""
    if time.monotonic() - record.info.get("used", time.monotonic()) < IDLE:
        return
    try:
        raw.execute("SELECT 1")
        if not raw.autocommit:
            raw.rollback()
    except _away() as error:
        raise exc.DisconnectionError from error


def _open_sqlite(raw: Any, _record: Any) -> None:
    raw.isolation_level = None  # we say BEGIN ourselves
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute(f"PRAGMA synchronous={settings().sqlite_synchronous}")
    raw.execute("PRAGMA foreign_keys=ON")


def _open_writer(raw: Any, record: Any) -> None:
    _open_sqlite(raw, record)
    raw.execute("PRAGMA busy_timeout=0")  # from here on a writer waits in Python


def _begin_reading(connection: sa.Connection) -> None:
    _raw(connection).execute("BEGIN")


def _begin_sqlite(connection: sa.Connection) -> None:
    raw = _raw(connection)  # another process may hold the lock: a failed try must cost next to nothing
    give_up = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(random.uniform(0.0002, 0.002))  # noqa: S311 - spreads the waiters, hides nothing
        else:
            return


def _raw(connection: sa.Connection) -> Any:
    return connection.connection.dbapi_connection


@contextmanager
def read() -> Iterator[Connection]:
    """A transaction that looks.

    Raises:
        Unavailable: the database cannot be reached.
    """
    with _unavailable_when_down(), engine(writing=False).connect() as connection, _distrusted_after_failure(connection):
        yield connection


@contextmanager
def write(*, single: bool = False) -> Iterator[Connection]:
    """A transaction that changes; committed when the block ends without an exception.

    ``single`` promises that the block runs one statement.

    Raises:
        Unavailable: the database cannot be reached or its lock cannot be had; nothing was changed.
    """
    alone = single and engine().dialect.name == "postgresql"
    with _unavailable_when_down(), _turn():
        if alone:
            with engine(writing=False).connect() as connection, _distrusted_after_failure(connection):
                yield connection
        else:
            with engine().begin() as connection, _distrusted_after_failure(connection):
                yield connection


@contextmanager
def _turn() -> Iterator[None]:
    """One writer of this process at a time where the database takes only one anyway.

    Waiting here costs nothing; every failed try for SQLite's lock costs an exception.
    """
    if engine().dialect.name != "sqlite":
        yield
        return
    if not _writing.acquire(timeout=LOCK_PATIENCE):
        raise Unavailable("The database cannot be reached; nothing was accepted (too many writers wait).")
    try:
        yield
    finally:
        _writing.release()


@contextmanager
def _distrusted_after_failure(connection: Connection) -> Iterator[None]:
    """A connection over which the database could not be reached does not go back into the pool.

    SQLAlchemy sees to that for its own statements, but not for those that run on the driver's cursor.
    """
    try:
        yield
    except _away():
        if connection.dialect.name == "postgresql" and not connection.invalidated:
            connection.invalidate()
        raise


@contextmanager
def _unavailable_when_down() -> Iterator[None]:
    try:
        yield
    except _away() as error:
        reason = str(getattr(error, "orig", None) or error).strip().split("\n")[0]
        raise Unavailable(f"The database cannot be reached; nothing was accepted ({reason}).") from error


@functools.cache
def _away() -> tuple[type[Exception], ...]:
    """What a database that is away raises, by SQLAlchemy or by the driver itself."""
    errors = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError, sqlite3.OperationalError)
    if engine().dialect.name == "sqlite":
        return errors
    import psycopg  # only where it is the driver: it is large, and there are many processes

    return (*errors, psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)
