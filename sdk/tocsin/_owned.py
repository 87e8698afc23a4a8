"""Connections belong to the process that opened them and, where they are asynchronous, to its event loop.

In order of time: who asks first makes the thing, of threads that ask together exactly one; who asks after a fork, or
from another event loop, gets one of its own; what belonged to an event loop that has ended is forgotten.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any, Callable, Dict, Generic, Optional, Tuple, TypeVar

Thing = TypeVar("Thing")
Owner = Tuple[int, Any]


class Owned(Generic[Thing]):
    """One thing for each owner."""

    def __init__(self, make: Callable[[], Thing], owner: Callable[[], Owner]) -> None:
        self._make, self._owner = make, owner
        self._things: Dict[Owner, Thing] = {}
        #: of each process: a lock that another thread holds during a fork is never released in the child
        self._locks: Dict[int, threading.Lock] = {}

    def get(self) -> Thing:
        """The thing of who asks."""
        owner = self._owner()
        found = self._things.get(owner)
        if found is None:
            with self._locks.setdefault(owner[0], threading.Lock()):
                found = self._things.get(owner)
                if found is None:
                    found = self._make()
                    for other in [one for one in self._things if _is_gone(one)]:
                        del self._things[other]
                    self._things[owner] = found
        return found

    def pop(self) -> Optional[Thing]:
        """The thing of who asks, if there is one; the next who asks gets another."""
        return self._things.pop(self._owner(), None)


def of_process() -> Owner:
    """The process."""
    return os.getpid(), None


def of_loop() -> Owner:
    """The process, and the event loop that runs in this thread."""
    return os.getpid(), sys.modules["asyncio"].get_running_loop()


def _is_gone(owner: Owner) -> bool:
    process, loop = owner
    return process != os.getpid() or (loop is not None and loop.is_closed())
