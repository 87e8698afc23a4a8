"""The web application inside the test's process, on an empty database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine

from store.callers import passwords
from tests.support import cheap_passwords, dispatching, force, recurring
from tests.support.api import Door, at_rest
from tests.support.duties import unlimited
from tests.support.nested import none_nested
from tests.support.sink import Sink


@pytest.fixture(autouse=True)
def _no_connection_inside_another(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No thread takes a connection while it holds one."""
    with none_nested(monkeypatch) as found:
        yield
    assert sorted(set(found)) == []


@pytest.fixture
def door(sqlite_database: str) -> Door:
    """The application on SQLite, and an administrator's key to it."""
    return Door()


@pytest.fixture
def chained_door(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each kind of database, with rules that start chains."""
    made = Door()
    dispatching.put_in_force(monkeypatch, tmp_path, **dispatching.CHAINED)
    yield made
    dispatching.forget()


@pytest.fixture
def clock() -> Iterator[Any]:
    """A clock that stands still unless it is moved."""
    with time_machine.travel(recurring.BEGIN, tick=False) as moved:
        yield moved


@pytest.fixture
def soc(database: str, clock: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """The application on each kind of database and on that clock, with a provider and no rules."""
    unlimited(monkeypatch)
    with force.clean():
        dispatching.mock_in_force()
        yield Door()


@pytest.fixture
def quick_passwords(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed at next to no cost, but in a test that asks for ``dear_passwords``."""
    if "dear_passwords" not in request.fixturenames:
        monkeypatch.setattr(passwords, "hashed", cheap_passwords.hashed)
        monkeypatch.setattr(passwords, "NOBODY", cheap_passwords.NOBODY)


@pytest.fixture
def dear_passwords() -> None:
    """Passwords are hashed as users' are."""


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    """The receiver of the calls of one test."""
    made = Sink(tmp_path)
    yield made
    made.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Let the threads that work next to the requests finish before their database goes."""
    assert at_rest(20)
