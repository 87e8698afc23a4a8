"""Queries of re-masking: revisions of actions, then what ran of them.

Re-masking masks what newer rules of masking find in what was stored before. ``rules`` of a revision says by which rules
its config was masked (``playbooks.credentials.RULES``); the same number below zero says that the config is masked, and
that its executions have yet to be checked.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from playbooks.credentials import RULES
from store.definitions.actions import action_revisions
from store.engine import db
from store.engine.db import Connection, Row
from store.executions.lists.indexes import done_by_action
from store.executions.transitions import executions
from store.paging import Order

#: columns of an execution in which a value may have been kept
SHOWN = ("input", "output", "error", "report", "logs", "vars")

_revisions, _table = action_revisions.c, executions.c


def behind(connection: Connection, after: str, limit: int) -> list[Row]:
    """Revisions whose configs were masked by earlier rules, by id."""
    old = sa.and_(_revisions.rules >= 0, _revisions.rules < RULES, _revisions.id > after)
    return list(connection.execute(sa.select(action_revisions).where(old).order_by(_revisions.id).limit(limit)))


def keep(revision: Row, changes: Mapping[str, Any]) -> bool:
    """Write a revision's new form; false when it was re-sealed meanwhile.

    Raises:
        Unavailable: the database is away; nothing was changed.
    """
    as_read = _revisions.sealed.is_(None) if revision.sealed is None else _revisions.sealed == revision.sealed
    same = sa.and_(_revisions.id == revision.id, _revisions.rules == revision.rules, as_read)

    def write(connection: Connection) -> int:
        _leave_nothing(connection)
        return connection.execute(sa.update(action_revisions).where(same).values(**changes)).rowcount

    return db.change(write) == 1


def to_look_through(connection: Connection, after: str, *, itself: bool) -> Row | None:
    """The first revision after this one whose executions have to be checked.

    ``itself`` includes this one.
    """
    mine = sa.and_(_revisions.rules == -RULES, _revisions.id >= after if itself else _revisions.id > after)
    query = sa.select(action_revisions).where(mine).order_by(_revisions.id).limit(1)
    row: Row | None = connection.execute(query).first()
    return row


def ended(connection: Connection, revision: Row, after: str, limit: int) -> tuple[list[Row], str]:
    """The next ended executions of a revision, and where to go on.

    They are among ``limit`` of its action; "" says that there are no more.
    """
    of_action = [_table.workspace_id == revision.workspace_id, _table.action_id == revision.action_id, done_by_action]
    order = Order((_table.created_at, _table.id), (False, False))
    if after:
        made_at, _, last_id = after.partition("/")
        of_action.append(order.behind((int(made_at), last_id)))
    keys = sa.select(_table.created_at, _table.id).where(*of_action).order_by(*order.clauses()).limit(limit)
    found = connection.execute(keys).all()
    if not found:
        return [], ""
    mine = sa.and_(_table.id.in_([row.id for row in found]), _table.revision_id == revision.id)
    rows = connection.execute(_showing.where(mine, _table.completed_at.is_not(None)))
    return list(rows), f"{found[-1].created_at}/{found[-1].id}" if len(found) == limit else ""


def around(connection: Connection, run_id: str) -> list[Row]:
    """A run and all its steps."""
    return list(connection.execute(_showing.where(sa.or_(_table.id == run_id, _table.run_id == run_id))))


_showing = sa.select(_table.id, _table.run_id, *(_table[name] for name in SHOWN))


def show(changes: Sequence[tuple[Row, Mapping[str, Any]]]) -> None:
    """Write the new form of executions; changed ones are left.

    Raises:
        Unavailable: the database is away; nothing was changed.
    """

    def write(connection: Connection) -> None:
        _leave_nothing(connection)
        for row, values in changes:
            as_read = [_table[name] == getattr(row, name) for name in values]
            connection.execute(sa.update(executions).where(_table.id == row.id, *as_read).values(**values))

    if changes:
        db.change(write)


def _leave_nothing(connection: Connection) -> None:
    """Make SQLite overwrite deleted content in its file."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")


def empty_log() -> None:
    """Empty SQLite's write-ahead log of overwritten content.

    A reader that is in it just now prevents that. PostgreSQL removes old content by its own vacuum.
    """
    if db.engine().dialect.name == "sqlite":
        db.read_one(lambda connection: connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all())
