"""Transactions that are broken off in the middle: others write on at once."""

import gc
import sqlite3
from collections.abc import Iterator

import pytest

from store import metrics
from store.engine import db
from store.metrics import Series

_ONE = {Series("one"): 1}


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage is collected: a process that has nothing to do collects none for minutes."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("sqlite_database", "uncollected")
@pytest.mark.parametrize("error", [SystemExit(1), sqlite3.OperationalError("disk I/O error")], ids=["end", "disk"])
def test_a_transaction_that_is_broken_off_holds_no_lock(error: BaseException) -> None:
    """Its process is told to end, or its disk fails; the traceback still knows the statement under way."""

    def broken_off() -> None:
        with db.write() as connection:
            cursor = db.raw(connection).execute("INSERT INTO metrics VALUES ('two', '', '[]', 1) RETURNING number")
            raise error
        del cursor

    with pytest.raises(BaseException):  # noqa: B017 - what it is raised as is not the point
        broken_off()
    assert error.__traceback__ is not None
    with db.write() as connection:
        metrics.add(connection, _ONE)
    with db.read() as connection:
        assert metrics.read(connection, [""]) == _ONE
