"""Databases that belong to one test."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from store.engine import engines
from tests.support.services import ForeignPostgres, PostgresServer


def share_statements() -> None:
    """Have all engines of a kind share what one has compiled.

    Each test has an engine of its own, and would compile the statements of the earlier ones once more: a sixth of the
    time of the tests. A compiled statement belongs to its dialect, so they share that too.
    """
    for name in ("sqlite", "postgresql"):
        setattr(engines, name, _sharing(getattr(engines, name)))


def _sharing(make: Callable[[str], sa.Engine]) -> Callable[[str], sa.Engine]:
    first: sa.Engine | None = None

    def made(url: str) -> sa.Engine:
        nonlocal first
        engine = make(url)
        if first is None or first.dialect.server_version_info is None:  # it has never reached its database
            first, engine._compiled_cache = engine, sa.util.LRUCache(10_000)
        else:
            engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
        return engine

    return made


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


#: changes if a test changes the schema: each table, index and sequence has a number, which only grows
_SCHEMA = """
SELECT md5(concat(
    (SELECT array_agg(oid ORDER BY oid) FROM pg_class WHERE oid >= 16384 AND relpersistence = 'p'),
    (SELECT array_agg((attrelid, attname, attnotnull) ORDER BY attrelid, attnum)
        FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0),
    (SELECT array_agg((oid, tgenabled) ORDER BY oid) FROM pg_trigger),
    (SELECT array_agg(oid ORDER BY oid) FROM pg_constraint WHERE oid >= 16384)
)), pg_database_size(current_database())
"""
_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
#: a test that has filled it by more has left statistics and dead rows that change the next test's plans
_GROWN = 1_000_000


class Emptied:
    """A PostgreSQL database that one test after the other has for itself.

    Emptying it takes a tenth of what making one and deleting it takes. It ends when that is not possible: a test has
    changed the schema or filled it, or the server does not answer, or is another's and lets only its owner empty it.
    """

    def __init__(self, server: PostgresServer | ForeignPostgres, template: str) -> None:
        self._server, self._template = server, template
        self._name = self._url = ""
        self._emptying = sql.Composed([])
        #: stays open from test to test: a new one costs more than all that it is asked
        self._own: psycopg.Connection | None = None
        self._schema, self._size = "", 0

    def take(self) -> str:
        """Its URL."""
        if not self._name:
            self._name = f"test_{uuid.uuid4().hex[:12]}"
            self._url = self._server.create_database(self._name, self._template)
            self._own = psycopg.connect(
                self._url.replace("postgresql+psycopg://", "postgresql://"), connect_timeout=10, autocommit=True
            )
            self._emptying = _emptying(self._own)
            self._schema, self._size = _look(self._own)
        return self._url

    def give_back(self) -> None:
        """Make it as it was, or give it up."""
        try:
            kept = self._empty()
        except psycopg.Error:
            kept = False
        if not kept:
            self.end()

    def end(self) -> None:
        """Delete it."""
        if self._own is not None:
            self._own.close()
        if self._name:
            self._server.drop_database(self._name)
        self._name, self._own = "", None

    def _empty(self) -> bool:
        assert self._own is not None
        self._own.execute(_OTHERS)
        schema, size = _look(self._own)
        if schema != self._schema or size > self._size + _GROWN:
            return False
        with self._own.transaction():
            self._own.execute(self._emptying)
        return True


def _look(connection: psycopg.Connection) -> tuple[str, int]:
    """A word that stands for the schema, and the size in bytes."""
    found = connection.execute(_SCHEMA).fetchone()
    assert found is not None
    return found[0], found[1]


def _emptying(connection: psycopg.Connection) -> sql.Composed:
    """What leaves each table with the rows that it has now."""
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    words = [sql.SQL("SET LOCAL session_replication_role = replica")]  # the audit trail is append-only
    for name in (sql.Identifier(table) for (table,) in tables):
        words.append(sql.SQL("DELETE FROM {}").format(name))
        for row in connection.execute(sql.SQL("SELECT * FROM {}").format(name)).fetchall():
            values = sql.SQL(", ").join(map(sql.Literal, row))
            words.append(sql.SQL("INSERT INTO {} VALUES ({})").format(name, values))
    words.append(sql.SQL("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"))
    return sql.SQL("; ").join(words)
