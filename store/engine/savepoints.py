"""A part of a transaction that can be undone while the rest of it stays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from store.engine.db import Connection

_BEGIN, _UNDO, _END = (
    sa.text(f"{words} gate_checks") for words in ("SAVEPOINT", "ROLLBACK TO SAVEPOINT", "RELEASE SAVEPOINT")
)


@contextmanager
def undoable(db: Connection, *, when: bool = True) -> Iterator[Callable[[], None]]:
    """A block whose changes the given function undoes; without ``when`` it undoes nothing."""
    if not when:
        yield lambda: None
        return
    db.execute(_BEGIN)
    yield lambda: _undo(db)
    db.execute(_END)


def _undo(db: Connection) -> None:
    db.execute(_UNDO)
