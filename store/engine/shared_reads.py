"""One read for all who ask the same at the same time.

``read_one`` runs its statement at once unless the same one is under way. That one may have begun before a change that
the caller knows of, so the caller waits for its end; then a single read, which begins after all of them have asked,
answers everybody who waits. Each sees what a read of its own would have seen, and a burst of triggers of one action
costs PostgreSQL and the process two reads a round trip, not one for each. On SQLite, where a read is a call within the
process, nothing is shared.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Any, Concatenate, ParamSpec, TypeVar

from event_loop.waiting import Event
from store.engine import db
from store.engine.db import Connection

#: a read under way for longer waits for something: the next ones do not wait for it, seconds
STUCK = 0.05

Given = ParamSpec("Given")
Found = TypeVar("Found")


class _Read:
    """A read, and what it has found once it is done."""

    def __init__(self) -> None:
        self.done = Event()
        self.succeeded = False
        self.found: Any = None


class Reads:
    """The shared reads of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, _Read] = {}
        self._next: dict[Hashable, _Read] = {}

    def read(self, key: Hashable, look: Callable[[], Found]) -> Found:
        """What ``look`` returns, from a call that begins after this one has.

        Raises:
            Whatever ``look`` raises: a read that failed answers only its own caller, the others look for themselves.
        """
        with self._lock:
            before = self._under_way.get(key)
            ours = None if before is None else self._next.get(key)
            if ours is None:
                mine = _Read()
                (self._under_way if before is None else self._next)[key] = mine
        if ours is not None:
            ours.done.wait()
            return ours.found if ours.succeeded else look()
        try:
            if before is not None:
                before.done.wait(STUCK)
                self._begin(key, mine)
            mine.found = look()
            mine.succeeded = True
        finally:
            self._end(key, mine)
        return mine.found  # type: ignore[no-any-return]

    def _begin(self, key: Hashable, mine: _Read) -> None:
        """Callers from now on wait for the next read."""
        with self._lock:
            del self._next[key]
            self._under_way[key] = mine

    def _end(self, key: Hashable, mine: _Read) -> None:
        with self._lock:
            for waiting in (self._under_way, self._next):
                if waiting.get(key) is mine:
                    del waiting[key]
        mine.done.set()


_reads = Reads()


def read_one(query: Callable[Concatenate[Connection, Given], Found], *args: Given.args, **more: Given.kwargs) -> Found:
    """As ``db.read_one``, shared with those who ask the same at the same time; ``args`` are hashable.

    Raises:
        Unavailable: the database cannot be reached.
    """
    return _shared(query, args, more, lambda: db.read_one(query, *args, **more))


def look_up(query: Callable[Concatenate[Connection, Given], Found], *args: Given.args, **more: Given.kwargs) -> Found:
    """As ``db.look_up``, shared in the same way.

    Raises:
        Unavailable: the database cannot be reached.
    """
    return _shared(query, args, more, lambda: db.look_up(query, *args, **more))


def _shared(query: Hashable, args: tuple[Any, ...], more: dict[str, Any], look: Callable[[], Found]) -> Found:
    if db.is_sqlite():
        return look()
    return _reads.read((query, args, tuple(sorted(more.items()))), look)
