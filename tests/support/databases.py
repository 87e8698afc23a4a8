"""Databases that belong to one test."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def own_database(request: pytest.FixtureRequest, kind: str, word: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database named after ``word``; "" for SQLite, where each product has a file."""
    if kind != "postgresql":
        yield ""
        return
    server, name = request.getfixturevalue("postgres_server"), f"{word}_{uuid.uuid4().hex[:12]}"
    url = server.create_database(name)
    try:
        yield url
    finally:
        server.drop_database(name)
