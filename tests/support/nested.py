"""Finds code that takes a connection while it holds one.

Each use of the database has one connection of a pool. Where every connection is held by a thread that waits for a
second one, none goes on until the patience of all of them is over: so a thread or greenlet that holds a connection
takes no other. What a test itself holds does not count.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pytest

from store.engine.pool import ConnectionPool, PooledConnection
from tests.support.processes import ROOT

_HERE = f"{ROOT}/"
_BESIDE = ("store/engine/db.py", "store/engine/pool.py", "tests/support/nested.py")


def _user() -> str:
    """The line of this project that takes a connection: the first above the engine."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename  # a text: as paths they would take a tenth of the time of the tests
        if name.startswith(_HERE) and "/.venv/" not in name:
            place = name.removeprefix(_HERE)
            if place not in _BESIDE:
                return f"{place}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


@contextmanager
def none_nested(patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The places that took a connection inside another, as ``place inside place``."""
    mine, found = ContextVar[tuple[str, ...]]("mine", default=()), list[str]()  # each greenlet has its own too
    take, give_back = ConnectionPool.take, ConnectionPool.give_back

    def taken(pool: ConnectionPool) -> PooledConnection:
        user, held = _user(), mine.get()
        if held and not held[-1].startswith("tests/"):
            found.append(f"{user} inside {held[-1]}")
        pooled = take(pool)
        mine.set((*held, user))
        return pooled

    def given_back(pool: ConnectionPool, pooled: PooledConnection, *, sound: bool = True) -> None:
        mine.set(mine.get()[:-1])
        give_back(pool, pooled, sound=sound)

    patch.setattr(ConnectionPool, "take", taken)
    patch.setattr(ConnectionPool, "give_back", given_back)
    yield found
