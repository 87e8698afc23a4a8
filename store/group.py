"""Group commit: changes that arrive while another is being committed share the next transaction.

``commit(change)`` runs ``change(connection)`` in a transaction and returns its result. Whoever comes first leads: it
takes along all that wait, runs them one after the other in one transaction and hands the results out; nobody waits for
more to come, the previous commit is the window. When one of them fails, none has happened, and each is run by itself,
so that a bad one harms nobody else. A change may thus be run twice and must do nothing but its own statements.

On SQLite, which takes one writer at a time, everything goes this way. PostgreSQL commits in parallel; there only
changes that would wait for each other share a transaction: the ends of branches, which all count down the same row.
They go in the order of the rows they meet at (``at``), so that two processes never wait for each other in a circle.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from config.errors import Unavailable
from store import db
from store.db import Connection

#: at most this many changes share a transaction, so that other processes get their turn
MOST = 32

Change = Callable[[Connection], Any]


class _Item:
    """A change on its way, and what became of it."""

    def __init__(self, change: Change, at: str) -> None:
        self.change = change
        self.at = at
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None

    def run(self, connection: Connection) -> None:
        """Make the change; it counts once the transaction is committed."""
        self.result = self.change(connection)


class _Group:
    """The changes of one process."""

    def __init__(self) -> None:
        self._waiting: deque[_Item] = deque()
        self._leading = threading.Lock()

    def commit(self, change: Change, at: str) -> Any:
        """As the function below."""
        item = _Item(change, at)
        self._waiting.append(item)
        with self._leading:
            while not item.done:  # an earlier leader may have taken it along, or have been full
                batch = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
                self._lead(sorted(batch, key=lambda one: one.at))
        if item.error is not None:
            raise item.error
        return item.result

    @staticmethod
    def _lead(batch: list[_Item]) -> None:
        try:
            with db.write() as connection:
                for item in batch:
                    item.run(connection)
        except Unavailable as error:
            for item in batch:
                item.error = error
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to one of them, and is raised there
            if len(batch) == 1:
                batch[0].error = error
            else:
                for item in batch:
                    _Group._lead([item])
        except BaseException:  # the leader is being ended: those it took along must not wait for ever
            for item in batch:
                item.error = Unavailable()
            raise
        finally:
            for item in batch:
                item.done = True


_group = _Group()


def _after_fork() -> None:
    global _group  # noqa: PLW0603 - a child has changes of its own
    _group = _Group()


os.register_at_fork(after_in_child=_after_fork)


def commit(change: Change, *, single: bool = False, at: str = "") -> Any:
    """Run ``change(connection)`` in a transaction, together with others where that helps; returns its result.

    ``single`` promises that it is one statement on PostgreSQL, ``at`` names the row at which it meets others there.
    Raises what the change raises, or ``Unavailable``.
    """
    if at or db.engine().dialect.name == "sqlite":
        return _group.commit(change, at)
    with db.write(single=single) as connection:
        return change(connection)
