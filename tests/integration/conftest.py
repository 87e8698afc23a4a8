"""The web application inside the test's process, on an empty database."""

import pytest

from tests.support.api import Door, at_rest


@pytest.fixture
def door(sqlite_database: str) -> Door:
    """The application on SQLite, and an administrator's key to it."""
    return Door()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Let the threads that work next to the requests finish before their database goes."""
    assert at_rest(20)
