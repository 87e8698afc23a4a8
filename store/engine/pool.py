"""Connections that stay open: the pool of this process.

SQLAlchemy's pool costs more bookkeeping for each use. ``take`` hands out the connection that was used last (few
connections, warm ones, whose statements the server knows), or opens one; ``give_back`` keeps it for the next. A
connection over which something went wrong is closed instead, and one that has been idle is checked first, so that a
database that was away is found again.
"""

import contextlib
import select
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from event_loop import loop
from event_loop.waiting import Semaphore
from store.engine import aside

#: a connection that was idle this long may have been closed by the server: its socket is checked, seconds
IDLE = 1.0
#: one that was idle this long may have been cut off silently: the server is asked, seconds
LONG_IDLE = 30.0

#: how long a caller waits for one of the few connections that are in use, seconds
MOMENT = 0.05

#: the key under which a connection knows what its transaction writes last
LAST = "last"


class PooledConnection:
    """An open connection: the driver's own, and SQLAlchemy's around it."""

    __slots__ = ("connection", "last", "one_of_few", "raw", "used")

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.raw: Any = connection.connection.dbapi_connection
        self.used = time.monotonic()
        #: whether its user has one of the ``few`` places of the pool
        self.one_of_few = False
        #: what the transaction under way writes before it is committed, by what makes it (``store.engine.db.last``)
        self.last: dict[Callable[[], Any], Any] = connection.info.setdefault(LAST, {})

    def finish(self) -> None:
        """Write what the transaction under way writes last."""
        for one in self.last.values():
            one.write(self.connection)
        self.last.clear()

    def close(self) -> None:
        """Close it, whatever state it is in.

        SQLite keeps a closed connection, with its locks, as long as something knows one of its cursors, as the
        traceback of what has gone wrong does: its transaction is rolled back first. A server ends it by itself.
        """
        if self.connection.dialect.name == "sqlite":
            with contextlib.suppress(sqlite3.Error):
                self.raw.rollback()
        self.connection.invalidate()
        self.connection.close()

    def undo(self) -> None:
        """Roll back the transaction under way, if there is one."""
        self.last.clear()
        self.connection.rollback()  # the transaction that SQLAlchemy knows of
        self.raw.rollback()


class ConnectionPool:
    """The open connections to one database, at most ``most``.

    A caller that finds none free waits ``patience`` seconds. Where ``few`` are in use it waits a moment before it takes
    a further one: a burst is served as fast over few warm connections as over many that are opened for it.
    """

    def __init__(self, opened: Callable[[], sa.Connection], *, most: int, patience: float, few: int = 0) -> None:
        self._opened, self._patience = opened, patience
        self._room, self._few = _places(most), _places(few) if few else None
        self._free: list[PooledConnection] = []
        self._closed = False

    def take(self) -> PooledConnection:
        """A connection for the caller alone.

        Raises:
            sqlalchemy.exc.TimeoutError: none became free in time. Besides what the driver raises.
        """
        if not self._room.acquire(timeout=self._patience):
            raise exc.TimeoutError("too many wait")
        few = self._few
        one_of_few = few is not None and few.acquire(timeout=MOMENT)
        try:
            pooled = self._found()
            pooled.one_of_few = one_of_few
        except BaseException:
            self._leave(one_of_few=one_of_few)
            raise
        return pooled

    def _found(self) -> PooledConnection:
        """A free connection that lives, or a new one."""
        while self._free:
            pooled = self._pop()
            if pooled is not None and _lives(pooled):
                return pooled
            if pooled is not None:
                pooled.close()
        return loop.offload(lambda: PooledConnection(self._opened()))

    def give_back(self, pooled: PooledConnection, *, sound: bool = True) -> None:
        """Keep it for the next use, or close it if not ``sound``."""
        one_of_few = pooled.one_of_few
        try:
            if sound and not self._closed:
                pooled.used = time.monotonic()
                self._free.append(pooled)
            else:
                pooled.close()
        finally:
            self._leave(one_of_few=one_of_few)

    def _leave(self, *, one_of_few: bool) -> None:
        if one_of_few and self._few is not None:
            self._few.release()
        self._room.release()

    def close(self) -> None:
        """Close all; those in use are closed when they are given back."""
        self._closed = True
        while self._free:
            pooled = self._pop()
            if pooled is not None:
                pooled.close()

    def _pop(self) -> PooledConnection | None:
        try:
            return self._free.pop()
        except IndexError:  # another thread was faster
            return None


def _places(most: int) -> Any:
    """The places of a pool; gevent's own count of them where greenlets wait, which is a tenth of the cost."""
    if not aside.has_loop():
        return Semaphore(most)
    from gevent.lock import BoundedSemaphore

    return BoundedSemaphore(most)


def _lives(pooled: PooledConnection) -> bool:
    """Whether a connection can be used.

    Under load none is idle; a file does not go away.
    """
    rested = time.monotonic() - pooled.used
    if rested < IDLE or pooled.connection.dialect.name == "sqlite":
        return True
    try:
        socket = select.poll()
        socket.register(pooled.raw.fileno(), select.POLLIN)
        if socket.poll(0):  # no query is under way: this is the server closing
            return False
        if rested > LONG_IDLE:
            pooled.raw.execute("SELECT 1")
    except pooled.connection.dialect.loaded_dbapi.Error:
        return False
    return True
