"""Group commit: changes that arrive during a commit share the next transaction.

``commit(change)`` runs ``change(connection)`` in a transaction and returns its result. The first change leads: it takes
along all that wait, runs them one after the other in one transaction and hands the results out. It does not wait for
more to come: the previous commit is the window, and where greenlets commit, what is ready at this moment. When one of
them fails, none has happened, and each is run by itself, so that a bad one does not harm the others. A change may thus
be run twice and must do nothing but its own statements.

On SQLite, which takes one writer at a time, everything goes this way. On PostgreSQL two kinds of changes do: those of a
single statement, which share the round trip and the disk's write as well, and the statement itself where they are alike
(``store.engine.pipeline``), and those that would wait for each other, the ends of branches that take several
statements, which all count down the same row. They go in the order of the rows that they contend for (``at``), so that
two processes never wait for each other in a circle.
"""

import contextlib
import functools
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from config.errors import Unavailable
from event_loop import waiting
from store.engine import aside, db
from store.engine.db import Connection

#: at most this many changes share a transaction, so that other processes get their turn
MOST = 32

#: a leader whose transaction takes longer waits for a row that another process holds; the changes behind it go ahead,
#: seconds
STUCK = 0.05

#: a pause in which the loop of the API looks at the network, which it does not in one of 0; seconds
_MOMENT = 1e-6

Change = Callable[[Connection], Any]


class _Item:
    """A change under way, and its result or error."""

    def __init__(self, change: Change, at: str) -> None:
        self.change = change
        self.at = at
        self.since = time.monotonic()
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None
        self.turn = waiting.turn()  # held until the change is committed, or is to lead

    def wake(self) -> None:
        """Wake its thread; once is enough."""
        with contextlib.suppress(RuntimeError):
            self.turn.release()

    def run(self, connection: Connection) -> None:
        """Run the change; it counts once the transaction is committed."""
        self.error = None
        self.result = self.change(connection)

    def run_alone(self, connection: Any) -> None:
        """Run the change where its failure harms no other of the transaction.

        It is the first of its transaction.
        """
        try:
            self.run(connection)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where the change came from
            self.error = error


class _Group:
    """The changes of one process that share transactions.

    ``together`` runs a batch of them in one.
    """

    def __init__(self, together: Callable[[list[_Item]], None], patience: float = -1) -> None:
        self._together = together
        self._patience = patience
        self._lock = threading.Lock()
        self._waiting: deque[_Item] = deque()
        self._leader: _Item | None = None

    def commit(self, change: Change, at: str) -> Any:
        """Run a change with others, as the function ``commit`` below."""
        item = _Item(change, at)
        with self._lock:
            self._waiting.append(item)
            if self._leader is None:
                self._leader = item
                item.wake()
        try:
            while not item.done:
                named = item.turn.acquire(timeout=self._patience)
                if self._leads(item, named=named):
                    _let_others_come()
                    self._lead(item)
        except BaseException:
            self._leave(item)
            raise
        if item.error is not None:
            raise item.error
        return item.result

    def oldest(self) -> float:
        """How long the change that waits longest has waited, seconds."""
        with self._lock:
            items = [item for item in (self._leader, *itertools.islice(self._waiting, 1)) if item is not None]
        return time.monotonic() - min(item.since for item in items) if items else 0.0

    def _leads(self, item: _Item, *, named: bool) -> bool:
        """Whether ``item`` leads now.

        It does when it was named, or the leader has kept it waiting for too long.
        """
        with self._lock:
            if item not in self._waiting or (named and self._leader is not item):
                return False  # another leader has taken it along
            self._leader = item
            return True

    def _lead(self, leader: _Item) -> None:
        """Run all changes that wait, with the leader's own."""
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        try:
            if batch:  # else another has taken all along meanwhile
                self._make(batch)
        finally:
            self._hand_on(leader)
            for item in batch:
                item.done = True
                item.wake()

    def _hand_on(self, leader: _Item) -> None:
        """Let the change that has waited longest lead, unless one leads already."""
        with self._lock:
            if self._leader is not leader:
                return
            self._leader = following = self._waiting[0] if self._waiting else None
        if following is not None:
            following.wake()

    def _leave(self, item: _Item) -> None:
        """Withdraw the change of a thread that is being ended.

        It may have been named to lead.
        """
        with self._lock:
            if item in self._waiting:
                self._waiting.remove(item)
        self._hand_on(item)

    def _make(self, batch: list[_Item]) -> None:
        """Run the changes together, or else each by itself.

        Each item gets its own result or error.
        """
        try:
            self._together(batch)
        except Unavailable as error:
            for item in batch:
                item.error = error
        except Exception as error:  # noqa: BLE001 - one of the changes has raised it; it is raised there
            if len(batch) == 1:
                batch[0].error = error
            else:
                self._make_each(batch)
        except BaseException:  # the leader is being ended: those it took along must not wait for ever
            _give_up(batch)
            raise

    def _make_each(self, batch: list[_Item]) -> None:
        for at, item in enumerate(batch):
            try:
                self._make([item])
            except BaseException:
                _give_up(batch[at:])  # of what came before, each is committed or has its error
                raise


def _give_up(batch: list[_Item]) -> None:
    for item in batch:
        item.error = Unavailable()


def _in_turn(batch: list[_Item]) -> None:
    with db.write() as connection:
        for item in sorted(batch, key=lambda one: one.at):
            item.run(connection)


def _at_once(batch: list[_Item]) -> None:
    from store.engine import pipeline  # only where it is used: it brings the driver

    pipeline.run([(item.run_alone if len(batch) > 1 else item.run, item.at) for item in batch])


def _let_others_come() -> None:
    """Let all come that are ready, where greenlets commit: on a worker's event loop, and in the API.

    On PostgreSQL those of the API come while a commit waits for the server; on SQLite it waits for nothing.
    """
    waiting.pass_turn()
    if aside.has_loop() and db.is_sqlite():
        waiting.sleep(_MOMENT)


class _Groups:
    """The groups of this process."""

    def __init__(self) -> None:
        self.in_turn, self.at_once = _Group(_in_turn), _Group(_at_once, STUCK)
        #: those that may wait for a row that another process holds: the others do not wait for it with them
        self.meeting = _Group(_at_once, STUCK)


_here = _Groups()


def _after_fork() -> None:
    global _here  # noqa: PLW0603 - a child has changes of its own
    _here = _Groups()


os.register_at_fork(after_in_child=_after_fork)


def commit(change: Change, *, single: bool = False, at: str = "", hot: bool = False) -> Any:
    """Run ``change(connection)`` in a transaction, shared with others where that helps.

    Returns its result. ``single`` promises that on PostgreSQL it is one statement, a ``Prepared``; ``at`` names the row
    for which it contends with others there; ``hot`` promises that its statements, one or more, are used all the time
    and look rows up by their ids. Raises what the change raises, or ``Unavailable``: then it may have happened or not.
    """
    return db.repeated(functools.partial(_commit, change, single=single, at=at, hot=hot))


def oldest() -> float:
    """How long this process's oldest uncommitted change has waited, seconds."""
    return max(group.oldest() for group in (_here.in_turn, _here.at_once, _here.meeting))


def _commit(change: Change, *, single: bool, at: str, hot: bool) -> Any:
    if db.is_sqlite():
        return _here.in_turn.commit(change, at)
    if single:
        return (_here.meeting if at else _here.at_once).commit(change, at)
    if at:
        return _here.in_turn.commit(change, at)
    with db.hot(single=False) if hot else db.write() as connection:
        return change(connection)
