"""The connections of a process: a burst shares few of them, and one that they keep waiting takes a further one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from store.engine import pool
from store.engine.pool import ConnectionPool, PooledConnection


class Opened:
    """Opens connections to a database in memory, and counts them."""

    def __init__(self) -> None:
        self.number = 0
        self._engine = sa.create_engine("sqlite://", poolclass=sa.NullPool, connect_args={"check_same_thread": False})

    def __call__(self) -> sa.Connection:
        self.number += 1
        return self._engine.connect()


@pytest.fixture
def opened() -> Opened:
    return Opened()


@contextmanager
def used(connections: ConnectionPool) -> Iterator[PooledConnection]:
    taken = connections.take()
    try:
        yield taken
    finally:
        connections.give_back(taken)


def test_a_burst_is_served_over_few_connections(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten threads that use a connection one after the other need no more than the two that may be in use."""
    monkeypatch.setattr(pool, "MOMENT", 60)
    connections = ConnectionPool(opened, most=10, patience=60, few=2)

    def use() -> None:
        for _ in range(20):
            with used(connections):
                pass

    threads = [threading.Thread(target=use) for _ in range(10)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert 1 <= opened.number <= 2


def test_who_waits_behind_the_few_takes_a_further_one(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of two are held for long: a third caller goes on after a moment. A fourth finds none: three are the most."""
    monkeypatch.setattr(pool, "MOMENT", 0.01)
    connections = ConnectionPool(opened, most=3, patience=0.1, few=2)
    with used(connections), used(connections), used(connections):
        assert opened.number == 3
        with pytest.raises(exc.TimeoutError):
            connections.take()
    with used(connections), used(connections), used(connections):
        assert opened.number == 3, "they were kept"


def test_places_come_back_from_what_went_wrong(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a database that cannot be reached nor a broken connection takes a place away for ever."""
    monkeypatch.setattr(pool, "MOMENT", 60)

    def away() -> sa.Connection:
        raise OSError("away")

    connections = ConnectionPool(away, most=1, patience=0.1, few=1)
    for _ in range(3):
        with pytest.raises(OSError, match="away"):
            connections.take()
    connections = ConnectionPool(opened, most=1, patience=60, few=1)
    for _ in range(3):
        connections.give_back(connections.take(), sound=False)
    assert opened.number == 3
