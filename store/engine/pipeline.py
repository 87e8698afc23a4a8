"""PostgreSQL: single statements of many changes in one transaction and round trip.

In order of time: each change is run up to its statement, in a greenlet of its own; the statements are sent together and
answered together, as one transaction (what comes before a pipeline's end happens whole or not at all); then each change
is run to its end with its own answer.
Where at least ``set_based.LEAST`` changes send the same statement, each for another row, they go as one
(``store.engine.set_based``): the server begins and ends one statement instead of many, and so does the driver.

The rows of statements that go as one are changed in the order of their ids, those of the others too, so that two
processes never wait for each other in a circle, but where both change the same rows in different ways.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from greenlet import GreenletExit, greenlet
from sqlalchemy import Dialect

from store.engine import db, set_based
from store.engine.prepared import OneStatement, Prepared

#: a change: it is called with something like a connection, and handles its own result and errors
Run = Callable[[Any], None]


class RefusedError(Exception):
    """The transaction did not happen, although the database is there.

    One of the statements is bad, or contended with others.
    """


class _Change:
    """A change that has reached its statement, or its end."""

    def __init__(self, run: Run, at: str, dialect: Dialect) -> None:
        self.statement: Prepared | None = None
        self.parameters: Mapping[str, Any] = {}
        self.at, self.row = at, ""
        self.cursor: Any = None
        self._running = greenlet(run)
        self._running.switch(OneStatement(dialect, self._ask))

    def _ask(self, statement: Prepared, parameters: Mapping[str, Any]) -> Any:
        self.statement, self.parameters = statement, parameters
        self.row = str(parameters.get(statement.keys[0] if statement.keys else "id_", ""))
        return self._running.parent.switch()  # back in __init__, until go_on

    def words(self, dialect: Dialect) -> tuple[str, list[Any]]:
        """Its text, and its values."""
        assert self.statement is not None
        return self.statement.form(dialect, self.parameters)

    def answered(self) -> None:
        """The cursor has the answer."""

    def go_on(self) -> None:
        """Give the change the answer to its statement."""
        self._running.switch(self.cursor)

    def drop(self) -> None:
        """Abandon the change where it is."""
        self._running.throw(GreenletExit)


class _Together:
    """Changes that send one statement, each for another row, and contend for the same."""

    def __init__(self, statement: Prepared, at: str, dialect: Dialect) -> None:
        self.form, self.at = statement.set_form(dialect), at
        self.changes: list[_Change] = []
        self._keys: set[tuple[str, Any]] = set()
        self.cursor: Any = None

    def take(self, one: _Change) -> bool:
        """Add a change; false where another is about the same row."""
        keys = self.form.key(one.parameters)
        if self._keys & keys:
            return False
        self._keys |= keys
        self.changes.append(one)
        return True

    def words(self, _dialect: Dialect) -> tuple[str, list[Any]]:
        """The text of the one statement, and its values."""
        return self.form.text, self.form.values([one.parameters for one in self.changes])

    def answered(self) -> None:
        """Give each change its share of the answer."""
        shares = self.form.shares(self.cursor, [one.row for one in self.changes])
        for one, share in zip(self.changes, shares, strict=True):
            one.cursor = share


def run(changes: list[tuple[Run, str]]) -> None:
    """Run changes in one transaction, each with the row it contends for.

    The row is "" for a change that contends with none.

    Raises:
        RefusedError: nothing has happened. Unavailable: the database is away, and may have done it or not.
    """
    with db.hot() as connection:
        dialect = connection.dialect
        if len(changes) == 1:
            raw = db.raw(connection)
            changes[0][0](OneStatement(dialect, lambda one, values: _execute(raw, *one.form(dialect, values))))
            return
        begun = [_Change(one, at, dialect) for one, at in changes]
        asking = sorted((one for one in begun if one.statement is not None), key=lambda one: (one.at, one.row))
        try:
            sent = _gathered(asking, dialect)
            _send(db.raw(connection), dialect, sent)
            for one in sent:
                one.answered()
        except BaseException:
            for one in asking:
                one.drop()
            raise
    for one in asking:
        one.go_on()


def _gathered(asking: Sequence[_Change], dialect: Dialect) -> list[_Change | _Together]:
    """What is sent, in the order in which every process sends it.

    Of the changes that contend for one row those that go as one statement come first.
    """
    kinds: dict[tuple[str, Prepared], list[_Change]] = {}
    for one in asking:
        assert one.statement is not None
        kinds.setdefault((one.at, one.statement), []).append(one)
    alone, together = list[_Change](), list[_Together]()
    for (at, statement), members in kinds.items():
        if len(members) < set_based.LEAST or not statement.keys:
            alone += members
            continue
        group = _Together(statement, at, dialect)
        alone += [one for one in members if not group.take(one)]
        together.append(group)
    together.sort(key=lambda group: (group.at, group.form.text))
    alone.sort(key=lambda one: (one.at, one.row))
    return sorted([*together, *alone], key=lambda one: one.at)


def _send(raw: Any, dialect: Dialect, sent: Sequence[_Change | _Together]) -> None:
    try:
        with raw.pipeline():
            try:
                for one in sent:
                    one.cursor = _execute(raw, *one.words(dialect))
            except Exception:  # the driver refuses a value: the end of a pipeline commits what was sent before it
                psycopg.RawCursor(raw).execute("ROLLBACK")
                raise
    except Exception as error:
        if raw.closed:
            raise
        _forget_prepared(raw)
        raise RefusedError from error


def _execute(raw: Any, text: str, values: Sequence[Any]) -> Any:
    """Send a statement."""
    return psycopg.RawCursor(raw).execute(text, values)


def _forget_prepared(raw: Any) -> None:
    """Let the driver forget what it has prepared, as it does after a rollback.

    It takes one for prepared that it sent behind a refused one, which the server has skipped.
    """
    raw.execute("BEGIN")
    raw.rollback()
