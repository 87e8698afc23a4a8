"""How the database is connected to: SQLAlchemy's engines, whose connections commit each statement by themselves.

``store.engine.db`` keeps the connections and says BEGIN and COMMIT itself. One to SQLite has its journal and its
durability set as soon as it is open; one to PostgreSQL gives a server up that no longer answers.
"""

from typing import Any

import sqlalchemy as sa

from config.settings import settings

#: how a connection to PostgreSQL is opened and watched, unless its URL says otherwise: a server that is cut off
#: silently is given up after 15 seconds (the last is in milliseconds)
_CONNECTION = {
    "connect_timeout": 3,
    "options": "-c statement_timeout=15000 -c jit=off",
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


def of(url: str) -> sa.Engine:
    """The engine for this database."""
    return sqlite(url) if url.startswith("sqlite") else postgresql(url)


def sqlite(url: str) -> sa.Engine:
    """The engine for a file of SQLite."""
    options = {"timeout": 2, "check_same_thread": False}
    made = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool, connect_args=options)
    sa.event.listen(made, "connect", _open_sqlite)
    return made


def _open_sqlite(opened: Any, _record: Any) -> None:
    opened.isolation_level = None  # we say BEGIN ourselves
    opened.execute("PRAGMA journal_mode=WAL")
    opened.execute(f"PRAGMA synchronous={settings().sqlite_synchronous}")
    opened.execute("PRAGMA foreign_keys=ON")


def postgresql(url: str) -> sa.Engine:
    """The engine for a database of PostgreSQL."""
    given = sa.make_url(url).query
    options = {name: value for name, value in _CONNECTION.items() if name == "options" or name not in given}
    made = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool, connect_args=options)
    sa.event.listen(made, "do_connect", _connect_postgresql)
    return made


def _connect_postgresql(_dialect: Any, _record: Any, words: list[Any], options: dict[str, Any]) -> Any:
    """A connection that waits for the server as its user has to: a thread, or a greenlet of an event loop."""
    from store.engine.watchers import WatchedConnection  # it brings the driver

    return WatchedConnection.connect(*words, **options)
