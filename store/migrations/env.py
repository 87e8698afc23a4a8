"""Connects Alembic with the tables' metadata.

Each migration is a transaction of its own, with the note that it was made: broken off anywhere it has not happened, and
runs again. One that builds in bites commits each of them, and says itself how it goes on.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context

from store.schema import metadata

#: any number; distinguishes this lock from others in the same database
LOCK = 7_461_203
#: between two tries for the lock, seconds: a session that waited for it inside a statement would hold up an index that
#: is built while the others go on
PAUSE = 0.2
#: how long a migration waits for another process to have written on SQLite, seconds
PATIENCE = 60


def run() -> None:
    """Run the wanted migrations, one process at a time."""
    url = context.config.attributes["url"]
    engine = _sqlite(url) if url.startswith("sqlite") else sa.create_engine(url, poolclass=sa.NullPool)
    with _alone(engine) as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            render_as_batch=True,
            transactional_ddl=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


def _sqlite(url: str) -> sa.Engine:
    """An engine whose transactions hold statements that change tables, too: the driver begins none before those."""
    made = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"timeout": PATIENCE})
    sa.event.listen(made, "connect", _driver_begins_nothing)
    sa.event.listen(made, "begin", _begin)
    return made


def _driver_begins_nothing(opened: Any, _record: Any) -> None:
    opened.isolation_level = None


def _begin(connection: sa.Connection) -> None:
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":  # in bites
        connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection of the only process that migrates; PostgreSQL gives the lock up when it is closed."""
    if engine.dialect.name == "sqlite":
        with _folder_locked(engine.url.database), engine.connect() as connection:
            yield connection
        return
    with engine.connect() as connection:
        while not connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
            connection.commit()
            time.sleep(PAUSE)
        connection.commit()
        yield connection


@contextmanager
def _folder_locked(database: str | None) -> Iterator[None]:
    """The folder of a file, which no other process that migrates has meanwhile.

    Not the file itself: to close it once more would end SQLite's own locks on it.
    """
    folder = os.open(Path(database or ".").absolute().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


run()
