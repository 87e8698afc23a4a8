"""The web application inside the test's process, on an empty database, and what each test sends to it."""

from collections.abc import Generator

import pytest

from tests.contract import recorder
from tests.support.api import Door, at_rest

_SENT = pytest.StashKey[list[recorder.Note]]()


@pytest.fixture
def door(sqlite_database: str, request: pytest.FixtureRequest) -> Door:
    """The application on SQLite, and an administrator's key to it."""
    made = Door()
    request.node.stash[_SENT] = recorder.watch(made.client)
    return made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """A test that passes has done what it is marked with."""
    yield
    left = recorder.unkept(recorder.claims(item.iter_markers()), item.stash.get(_SENT, []))
    assert not left, f"marked with what it does not do: {left}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Before the database is taken away, let the background threads finish with it."""
    assert at_rest(20)
