"""What a database refuses at the start of a process, in one line.

The line names the variable and what to do. It shows neither the password nor the statement.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import exc

from config import logs
from config.errors import Unavailable
from config.settings import SettingsError
from store.engine import db

log = logs.logger(__name__)

_MIGRATE = "the database has no tables of this version: run python -m store.migrate first"
#: part of the database's words → what to do; the first that is found
_KNOWN = (
    ("password authentication failed", "the database refuses the user or the password in TOCSIN_DATABASE_URL"),
    ("no password supplied", "the database asks for a password: TOCSIN_DATABASE_URL has none"),
    (
        "pg_hba.conf",
        "the database's pg_hba.conf refuses the user or the address of TOCSIN_DATABASE_URL",
    ),
    ("no such table", _MIGRATE),
    ("undefinedtable", _MIGRATE),
    ("no such column", _MIGRATE),
    ("undefinedcolumn", _MIGRATE),
    (
        "unable to open database file",
        "the file in TOCSIN_DATABASE_URL cannot be opened: does its folder exist?",
    ),
    ("readonly database", "the file in TOCSIN_DATABASE_URL cannot be written by this user"),
    ("file is not a database", "the file in TOCSIN_DATABASE_URL is no SQLite database"),
    ("connection refused", "nothing answers at the host and port in TOCSIN_DATABASE_URL: is the database running?"),
    ("resolve host", "the host in TOCSIN_DATABASE_URL is not known to the resolver"),
    ("name or service not known", "the host in TOCSIN_DATABASE_URL is not known to the resolver"),
    ("timeout expired", "the host in TOCSIN_DATABASE_URL does not answer"),
)


def words(error: BaseException) -> str | None:
    """The line about an error of the database, or None for any other error."""
    if not isinstance(error, Unavailable | exc.SQLAlchemyError):
        return None
    cause = error.__cause__ if isinstance(error, Unavailable) and error.__cause__ else error
    original = getattr(cause, "orig", None) or cause
    said = f"{type(original).__name__} {original}".lower()
    if 'database "' in said and "does not exist" in said:
        return "the database that TOCSIN_DATABASE_URL names does not exist: create it first (createdb)"
    if 'role "' in said and "does not exist" in said:
        return "the user in TOCSIN_DATABASE_URL does not exist in the database"
    known = next((line for part, line in _KNOWN if part in said), None)
    return known or f"the database of TOCSIN_DATABASE_URL cannot be used ({type(original).__name__})"


def report() -> None:
    """Log why the database cannot be used; called once at the start of a long-running process.

    The process goes on: a database that is only away comes back.
    """
    try:
        with db.read() as connection:
            connection.execute(sa.text("SELECT 1 FROM workspaces LIMIT 1"))
    except (Unavailable, exc.SQLAlchemyError) as error:
        log.error(words(error))  # noqa: TRY400 - the line says more than a traceback


def watch() -> None:
    """Start ``report`` in a thread: a host that does not answer takes seconds."""
    threading.Thread(target=report, name="database-report", daemon=True).start()


@contextmanager
def one_line() -> Iterator[None]:
    """Ends a command with one line where the database refuses it.

    Raises:
        SettingsError: the database cannot be used.
    """
    try:
        yield
    except (Unavailable, exc.SQLAlchemyError) as error:
        raise SettingsError(words(error) or str(error)) from None
