"""Statements of the hot path: written in SQLAlchemy Core, compiled once, run on the driver's own cursor.

Building and keying a Core statement for each use costs several times what the database needs to run it. A
``Prepared`` pays that once per process and dialect. Rows come back as named tuples; there are no type
conversions (a Boolean of SQLite is 0 or 1). Errors of the driver pass as they are; ``store.db`` knows them.
"""

from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from store.db import Connection, IntegrityError


class Prepared:
    """One statement; its open parameters are ``bindparam``s without a value."""

    def __init__(self, statement: sa.ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, tuple[str, list[str] | None, dict[str, Any]]] = {}
        self._row: Any = None  # made from the first result's column names

    def run(self, db: Connection, parameters: Mapping[str, Any]) -> tuple[list[Any], int]:
        """Execute it in the connection's transaction; returns the rows and the count of affected rows."""
        text, order, constants = self._compiled.get(db.dialect.name) or self._compile(db)
        values: Any = {**constants, **parameters}
        if order is not None:
            values = [values[name] for name in order]
        cursor = db.connection.cursor()
        try:
            with _integrity(db):
                cursor.execute(text, values)
            description: Any = cursor.description
            if description is None:
                return [], cursor.rowcount
            self._row = self._row or namedtuple("Row", [column[0] for column in description])  # noqa: PYI024
            return [self._row._make(row) for row in cursor.fetchall()], cursor.rowcount
        finally:
            cursor.close()

    def many(self, db: Connection, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Execute it once for each of ``parameters``, in few round trips; what it returns is dropped."""
        text, order, constants = self._compiled.get(db.dialect.name) or self._compile(db)
        filled: list[Any] = [{**constants, **one} for one in parameters]
        if order is not None:
            filled = [[values[name] for name in order] for values in filled]
        cursor = db.connection.cursor()
        try:
            with _integrity(db):
                cursor.executemany(text, filled)
        finally:
            cursor.close()

    def first(self, db: Connection, parameters: Mapping[str, Any]) -> Any:
        """The first row, or None."""
        rows, _ = self.run(db, parameters)
        return rows[0] if rows else None

    def _compile(self, db: Connection) -> tuple[str, list[str] | None, dict[str, Any]]:
        made: Any = self._statement.compile(dialect=db.dialect)
        constants = {name: value for name, value in made.params.items() if value is not None}
        order = list(made.positiontup) if made.positional else None
        self._compiled[db.dialect.name] = made.string, order, constants
        return self._compiled[db.dialect.name]


@contextmanager
def _integrity(db: Connection) -> Iterator[None]:
    """A broken rule of the database, such as a row too many, is raised in the form that SQLAlchemy gives it."""
    try:
        yield
    except db.dialect.loaded_dbapi.IntegrityError as error:
        raise IntegrityError(None, None, error) from error


def words(values: tuple[str, ...]) -> list[sa.ColumnElement[Any]]:
    """Fixed words of ours as literals, for ``IN`` lists that are the same in every use."""
    return [sa.literal_column(f"'{value}'") for value in values]
