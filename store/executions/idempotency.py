"""Idempotency keys: the execution that each key of a caller has made.

The same request makes no second one. ``key`` begins with the name of its sender (``tasks.intake.idempotency``).

The row is written in the transaction that accepts the execution; of two concurrent copies of a request one commits and
the other meets the primary key (``IntegrityError``) and finds what the first has made.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, Row, metadata
from store.engine.prepared import Prepared
from store.executions.transitions import executions

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("workspace_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("execution_id", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    #: of a dispatch that was decided at once: its outcome, JSON; of a creation: its answer
    sa.Column("outcome", sa.Text),
    sa.Index("ix_idempotency_keys_created_at", "created_at"),
)

#: keys in one statement
_AT_ONCE = 500
_table = idempotency_keys.c
_insert = Prepared(sa.insert(idempotency_keys).values({each.name: sa.bindparam(each.name) for each in _table}).inline())
_one = Prepared(
    sa.select(idempotency_keys).where(
        _table.workspace_id == sa.bindparam("workspace_id"), _table.key == sa.bindparam("key")
    )
)


def remember(
    db: Connection,
    workspace_id: str,
    key: str,
    *,
    fingerprint: str,
    execution_id: str,
    created_at: int,
    outcome: str | None = None,
) -> None:
    """Tie a key to the execution it makes.

    Raises:
        IntegrityError: the key has been used.
    """
    values = {
        "workspace_id": workspace_id,
        "key": key,
        "fingerprint": fingerprint,
        "execution_id": execution_id,
        "created_at": created_at,
        "outcome": outcome,
    }
    _insert.run(db, values)


def tell(db: Connection, workspace_id: str, key: str, outcome: str) -> None:
    """Store the outcome of what a key has made."""
    mine = sa.and_(_table.workspace_id == workspace_id, _table.key == key)
    db.execute(sa.update(idempotency_keys).where(mine).values(outcome=outcome))


def find(db: Connection, workspace_id: str, key: str) -> Row | None:
    """The execution and fingerprint that a key was used for."""
    row: Row | None = _one.first(db, {"workspace_id": workspace_id, "key": key})
    return row


def decided(db: Connection, execution_id: str) -> Row | None:
    """Status and gate of the execution that a key has made, where a rule concerns it; None for any other."""
    row: Row | None = _decided.first(db, {"id_": execution_id})
    return row


_decided = Prepared(
    sa.select(executions.c.status, executions.c.gate).where(
        executions.c.id == sa.bindparam("id_"), executions.c.gate.is_not(None)
    )
)


def several(db: Connection, workspace_id: str, keys: Sequence[str]) -> dict[str, Row]:
    """What these keys were used for, as ``find``, by key."""
    if len(keys) == 1:
        row = find(db, workspace_id, keys[0])
        return {} if row is None else {keys[0]: row}
    found: dict[str, Row] = {}
    for at in range(0, len(keys), _AT_ONCE):
        mine = sa.and_(_table.workspace_id == workspace_id, _table.key.in_(keys[at : at + _AT_ONCE]))
        found |= {row.key: row for row in db.execute(sa.select(idempotency_keys).where(mine))}
    return found


def forget(db: Connection, *, before: int, limit: int = 1000) -> int:
    """Delete keys used before ``before`` (milliseconds), oldest first.

    At most ``limit`` a call, so that the lock is held briefly; returns how many went.
    """
    is_sqlite = db.dialect.name == "sqlite"
    place: sa.ColumnElement[Any] = sa.literal_column("rowid" if is_sqlite else "ctid")  # found again without a search
    old = sa.select(place).select_from(idempotency_keys).where(_table.created_at < before)
    bite = old.order_by(_table.created_at).limit(limit).scalar_subquery()
    mine = place.in_(bite) if is_sqlite else place == sa.any_(sa.func.array(bite))
    return db.execute(sa.delete(idempotency_keys).where(mine)).rowcount
