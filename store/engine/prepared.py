"""Hot-path statements: SQLAlchemy Core, compiled once, run by the driver.

Building and keying a Core statement for each use costs several times what the database needs to run it. A ``Prepared``
pays that once per process and dialect. Rows come back as named tuples; there are no type conversions (a Boolean of
SQLite is 0 or 1). Errors of the driver are raised unchanged; ``store.engine.db`` translates them.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from store.engine import set_based
from store.engine.db import Connection, IntegrityError
from store.engine.set_based import SetForm


class OneStatement:
    """Stands for a connection in a change that is one ``Prepared``.

    ``store.engine.group_commit`` hands it in. ``send`` is given the statement and its parameters; it returns the
    driver's cursor, or what looks like one.
    """

    __slots__ = ("_send", "dialect")

    def __init__(self, dialect: sa.Dialect, send: "Send") -> None:
        self.dialect = dialect
        self._send: Send | None = send

    def send(self, statement: "Prepared", parameters: Mapping[str, Any]) -> Any:
        """Run it; once."""
        send, self._send = self._send, None
        if send is None:
            raise RuntimeError("This change was announced as a single statement; it has made more than one.")
        return send(statement, parameters)


#: sends a statement with its parameters
Send = Callable[["Prepared", Mapping[str, Any]], Any]
#: text, the names of its values in their order, and those that are the same in every use
_Form = tuple[str, list[str], dict[str, Any]]


class Prepared:
    """One statement; its open parameters are ``bindparam``s without a value.

    One that many changes of a group commit send at once, each for a row of its own, has ``keys``: the parameters by
    which ``store.engine.set_based`` tells them apart, the id of the row first.
    """

    def __init__(self, statement: sa.ClauseElement, *, keys: Sequence[str] = ()) -> None:
        self._statement = statement
        self.keys = tuple(keys)
        self._forms: dict[str, _Form] = {}
        self._set_form: SetForm | None = None
        self._row: Any = None  # makes a named tuple of a row; False for what returns none; known from the first use

    def run(self, db: Connection, parameters: Mapping[str, Any]) -> tuple[list[Any], int]:
        """Execute it in the connection's transaction; returns rows and row count."""
        try:
            if isinstance(db, OneStatement):
                cursor = db.send(self, parameters)
            else:
                cursor = driver(db).execute(*self.form(db.dialect, parameters))
        except Exception as error:
            raise _known(db, error) from error
        if self._row is None:
            self._row = _maker(cursor.description)
        rows = [self._row(row) for row in cursor.fetchall()] if self._row else []
        return rows, cursor.rowcount

    def form(self, dialect: sa.Dialect, parameters: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """Its text, and its values in their order."""
        text, order, constants = self._forms.get(dialect.name) or self._compile(dialect)
        given = {**constants, **parameters}
        return text, [given[name] for name in order]

    def set_form(self, dialect: sa.Dialect) -> SetForm:
        """What does for many rows what it does for one."""
        if self._set_form is None:
            self._set_form = SetForm(self._statement, self.keys, _numbered(dialect))
        return self._set_form

    def tuples(self, db: Connection, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows of a statement that brings very many: naming their columns would take as long as reading them."""
        text, order, constants = self._forms.get(db.dialect.name) or self._compile(db.dialect)
        given = {**constants, **parameters}
        try:
            rows: list[tuple[Any, ...]] = driver(db).execute(text, [given[name] for name in order]).fetchall()
        except Exception as error:
            raise _known(db, error) from error
        return rows

    def many(self, db: Connection, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Execute it for each of ``parameters``, in few round trips, or as one where it has a set-based form.

        What it returns is dropped.
        """
        try:
            if self.keys and db.dialect.name == "postgresql" and len(parameters) >= set_based.LEAST:
                form = self.set_form(db.dialect)
                driver(db).execute(form.text, form.values(parameters))
                return
            text, order, constants = self._forms.get(db.dialect.name) or self._compile(db.dialect)
            filled = [{**constants, **one} for one in parameters]
            driver(db).executemany(text, [[given[name] for name in order] for given in filled])
        except Exception as error:
            raise _known(db, error) from error

    def first(self, db: Connection, parameters: Mapping[str, Any]) -> Any:
        """The first row, or None."""
        rows, _ = self.run(db, parameters)
        return rows[0] if rows else None

    def _compile(self, dialect: sa.Dialect) -> _Form:
        if dialect.name == "postgresql":  # the form that the server knows: the driver need not look into the text
            dialect = _numbered(dialect)
        made: Any = self._statement.compile(dialect=dialect)
        constants = {name: value for name, value in made.params.items() if value is not None}
        self._forms[dialect.name] = form = (made.string, list(made.positiontup), constants)
        return form


def _numbered(dialect: sa.Dialect) -> sa.Dialect:
    """PostgreSQL's dialect, with parameters as the server knows them."""
    numbered: Any = type(dialect)
    made: sa.Dialect = numbered(paramstyle="numeric_dollar")
    return made


def _maker(columns: Any) -> Any:
    """Makes a named tuple of a row; False for statements without rows."""
    named: Any = namedtuple  # noqa: PYI024 - its names come from the database
    return named("Row", [column[0] for column in columns])._make if columns else False


def driver(db: Connection) -> Any:
    """The driver's executor of one statement; it makes a cursor.

    It has ``execute`` and ``executemany``.
    """
    raw: Any = db.connection.dbapi_connection
    if db.dialect.name == "sqlite":
        return raw
    from psycopg import RawCursor  # only where it is the driver

    return RawCursor(raw)


def _known(db: Connection, error: Exception) -> Exception:
    """The driver's constraint violation in SQLAlchemy's form."""
    dbapi: Any = db.dialect.loaded_dbapi
    return IntegrityError(None, None, error) if isinstance(error, dbapi.IntegrityError) else error


def words(values: tuple[str, ...]) -> list[sa.ColumnElement[Any]]:
    """Fixed words as literals, for ``IN`` lists that never change."""
    return [sa.literal_column(quoted(value)) for value in values]


def quoted(value: str) -> str:
    """A fixed word as a literal in SQL text."""
    return f"'{value}'"
