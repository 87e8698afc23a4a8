"""Every statement that this process sends to its database, and what its plan says about tables that grow.

Statements are recorded where they leave the process, at the cursors of the drivers: nothing that SQLAlchemy, a prepared
statement or a pipeline sends escapes. A plan is asked for with the values that were sent.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
import pytest
import sqlalchemy as sa

from store.engine import db

_TABLES = (
    "executions",
    "audit",
    "payloads",
    "idempotency_keys",
    "approvals",
    "events",
    "event_labels",
    "recurring_firings",
)
#: the tables that have more rows with each day, by their names in plans: also the aliases of ``executions``
_GROWING = "|".join((*_TABLES, "run", "step"))
#: accesses that bring the rows of one thing, those that are live, or those that still hold a secret
_FEW = re.compile(
    r"\((id|rowid|run_id|parent_id|root_id)[=<>]|INTEGER PRIMARY KEY|subject=|given_id=|key="
    r"|ix_executions_(due_at|sealed)\b|ix_approvals_pending\b"
)
#: rows that PostgreSQL may expect to sort
MOST_SORTED = 1_500


class Statement(NamedTuple):
    """A statement as it was sent."""

    text: str
    parameters: Any
    #: the class of psycopg's cursor
    cursor: Any = None


class Recorder:
    """What was sent, each form of a statement once; of SQLite also how far the costliest use of each form went."""

    def __init__(self) -> None:
        self.sent: dict[str, Statement] = {}
        #: thousands of instructions of SQLite's machine, by the form of the statement
        self.cost: dict[str, int] = {}
        self._form, self._count = "", 0

    def note(self, statement: Statement) -> None:
        self._form = form(statement.text)
        if self._form.upper().startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")):
            self.sent.setdefault(self._form, statement)
            self._count = 0

    def went_on(self) -> int:
        self._count += 1
        self.cost[self._form] = max(self.cost.get(self._form, 0), self._count)
        return 0

    def reading_what_grows(self) -> list[Statement]:
        """The statements that read a table that grows."""
        reads = re.compile(rf"\b(FROM|JOIN|UPDATE)\s+({'|'.join(_TABLES)})\b", re.IGNORECASE)
        return [each for each in self.sent.values() if reads.search(each.text)]


def form(text: str) -> str:
    """A statement without the number of its values."""
    text = re.sub(r"(\$\d+|%\(\w+\)s|%s)(::\w+)?", "?", text)
    return " ".join(re.sub(r"\?(, \?)+", "?", text).split())


@contextmanager
def recorded(patch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Record while the block runs; connections that are open are closed first."""
    recorder = Recorder()

    class Cursor(sqlite3.Cursor):
        def execute(self, text: str, parameters: Any = ()) -> Any:
            recorder.note(Statement(text, parameters))
            return super().execute(text, parameters)

        def executemany(self, text: str, parameters: Any) -> Any:
            every = list(parameters)
            recorder.note(Statement(text, every[0] if every else ()))
            return super().executemany(text, every)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, text: str, parameters: Any = ()) -> Any:
            return self.cursor().execute(text, parameters)

        def executemany(self, text: str, parameters: Any) -> Any:
            return self.cursor().executemany(text, parameters)

    def connect(dialect: sa.Dialect, _record: Any, _words: Any, options: dict[str, Any]) -> None:
        if dialect.name == "sqlite":
            options["factory"] = Connection

    def watch(opened: Any, _record: Any) -> None:
        if isinstance(opened, Connection):
            opened.set_progress_handler(recorder.went_on, 1_000)

    _watch_psycopg(patch, recorder)
    sa.event.listen(sa.engine.Engine, "do_connect", connect)
    sa.event.listen(sa.engine.Engine, "connect", watch)
    db.dispose()
    try:
        yield recorder
    finally:
        sa.event.remove(sa.engine.Engine, "do_connect", connect)
        sa.event.remove(sa.engine.Engine, "connect", watch)
        db.dispose()


def _watch_psycopg(patch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    one, many = psycopg.Cursor.execute, psycopg.Cursor.executemany

    def execute(self: Any, query: Any, parameters: Any = None, **more: Any) -> Any:
        recorder.note(Statement(str(query), parameters, type(self)))
        return one(self, query, parameters, **more)

    def executemany(self: Any, query: Any, parameters: Any, **more: Any) -> Any:
        every = list(parameters)
        recorder.note(Statement(str(query), every[0] if every else None, type(self)))
        return many(self, query, every, **more)

    patch.setattr(psycopg.Cursor, "execute", execute)
    patch.setattr(psycopg.Cursor, "executemany", executemany)


def fault(connection: sa.Connection, statement: Statement) -> str:
    """What of a statement's plan scans or sorts a table that grows; "" where nothing does."""
    is_sqlite = connection.dialect.name == "sqlite"
    return (_of_sqlite if is_sqlite else _of_postgresql)(db.raw(connection), statement)


def indexes(connection: sa.Connection, statement: Statement) -> set[str]:
    """The indexes that a statement's plan uses."""
    raw = db.raw(connection)
    if connection.dialect.name == "sqlite":
        plan = str(raw.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters).fetchall())
    else:
        plan = str(statement.cursor(raw).execute(f"EXPLAIN {statement.text}", statement.parameters).fetchall())
    return set(re.findall(r"\b(?:ix|pk)_\w+", plan))


def blocks(connection: sa.Connection, statement: Statement) -> int:
    """The blocks that PostgreSQL touches for a statement, which is run and undone."""
    raw = db.raw(connection)
    raw.execute("BEGIN")
    asked = statement.cursor(raw).execute(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.text}", statement.parameters
    )
    plan = asked.fetchone()[0]
    raw.execute("ROLLBACK")
    top = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])


def _of_sqlite(raw: Any, statement: Statement) -> str:
    plan = raw.execute(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters).fetchall()
    for _, parent, _, detail in plan:
        if re.match(rf"SCAN ({_GROWING})\b", detail) and not _FEW.search(detail):
            return str(detail)
        if detail.startswith("USE TEMP B-TREE"):
            sources = [other for _, above, _, other in plan if above == parent]
            many = [each for each in sources if re.match(rf"(SCAN|SEARCH) ({_GROWING})\b", each)]
            many = [each for each in many if not _FEW.search(each)]
            if many:
                return f"{detail} of {many[0]}"
    return ""


def _of_postgresql(raw: Any, statement: Statement) -> str:
    asked = statement.cursor(raw).execute(f"EXPLAIN (FORMAT JSON) {statement.text}", statement.parameters)
    plan = asked.fetchone()[0]
    for node in _nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]):
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in _TABLES:
            return f"Seq Scan on {node['Relation Name']}"
        rows = max((below["Plan Rows"] for below in node.get("Plans", ())), default=0)
        if node["Node Type"] == "Sort" and rows > MOST_SORTED:
            return f"Sort of {rows} rows"
    return ""


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
