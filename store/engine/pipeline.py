"""PostgreSQL: single statements of many changes in one transaction and round trip.

In order of time: each change is run up to its statement, in a greenlet of its own; the statements are sent together,
BEGIN before and COMMIT behind them, and answered together; then each change is run to its end with its own answer. They
go in the order of the rows they change, so that two processes never wait for each other in a circle.
"""

from collections.abc import Callable
from typing import Any

import psycopg
from greenlet import GreenletExit, greenlet
from sqlalchemy import Dialect

from store.engine import db
from store.engine.prepared import OneStatement

#: a change: it is called with something like a connection, and handles its own result and errors
Run = Callable[[Any], None]


class RefusedError(Exception):
    """The transaction did not happen, although the database is there.

    One of the statements is bad, or contended with others.
    """


class _Change:
    """A change that has reached its statement, or its end."""

    def __init__(self, run: Run, at: str, dialect: Dialect) -> None:
        self.statement: tuple[str, list[Any]] | None = None
        self.order = (at, "")
        self.cursor: Any = None
        self._running = greenlet(run)
        self._running.switch(OneStatement(dialect, self._ask))

    def _ask(self, text: str, values: list[Any], row: str) -> Any:
        self.statement, self.order = (text, values), (self.order[0], row)
        return self._running.parent.switch()  # back in __init__, until go_on

    def go_on(self) -> None:
        """Give the change the answer to its statement."""
        self._running.switch(self.cursor)

    def drop(self) -> None:
        """Abandon the change where it is."""
        self._running.throw(GreenletExit)


def run(changes: list[tuple[Run, str]]) -> None:
    """Run changes in one transaction, each with the row it contends for.

    The row is "" for a change that contends with none.

    Raises:
        RefusedError: nothing has happened. Unavailable: the database is away, and may have done it or not.
    """
    with db.write(single=True) as connection:
        if len(changes) == 1:
            cursor = psycopg.RawCursor(db.raw(connection))
            changes[0][0](OneStatement(connection.dialect, lambda text, values, _row: cursor.execute(text, values)))
            return
        begun = [_Change(one, at, connection.dialect) for one, at in changes]
        asking = sorted((one for one in begun if one.statement is not None), key=lambda one: one.order)
        try:
            _send(db.raw(connection), asking)
        except BaseException:
            for one in asking:
                one.drop()
            raise
    for one in asking:
        one.go_on()


def _send(raw: Any, asking: list[_Change]) -> None:
    try:
        with raw.pipeline():
            raw.execute("BEGIN")
            for one in asking:
                text, values = one.statement or ("", [])
                one.cursor = psycopg.RawCursor(raw).execute(text, values)
            raw.execute("COMMIT")
    except psycopg.Error as error:
        if raw.closed:
            raise
        raise RefusedError from error
