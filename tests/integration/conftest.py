"""The web application inside the test's process, on an empty database."""

import pytest

from tests.support.api import Door


@pytest.fixture
def door(sqlite_database: str) -> Door:
    """The application on SQLite, and an administrator's key to it."""
    return Door()
