"""Readers that wait for news of an execution share one query.

The query runs at short intervals for all of them together. Waiting readers are bounded, for each key and in all; one
beyond the bound gets the present state at once.

A waiter passes the state that it has seen; the watcher's thread runs only while there are waiters, asks the database
for the states of all executions waited for, and wakes those whose execution has another state by now. An error of a
query is logged, and the next query runs all the same.
"""

import threading
import time
from collections import Counter

from flask import current_app

from api.http.auth import caller
from api.http.load import HERE
from config import logs
from config.errors import Unavailable
from store.engine import db
from store.executions import transitions

#: between two queries, seconds
EVERY = 0.1

#: readers of one key, and of all keys, that may wait in a process at the same time
MOST_OF_ONE, MOST = 64, 500

State = tuple[str, int]

log = logs.logger(__name__)


def wait_for_news(execution_id: str, seen: State, seconds: float) -> bool:
    """Make the present request wait until the execution's state changes.

    The state is (status, attempt), and ``seen`` the one that the reader has. False where it may not wait, because too
    many do.
    """
    watcher: Watcher = current_app.extensions["tocsin.watcher"]
    with HERE.aside():
        return watcher.wait(execution_id, seen, seconds, caller().key_id)


class _Waiter:
    def __init__(self, execution_id: str, seen: State, who: str) -> None:
        self.who = who
        self.execution_id = execution_id
        self.seen = seen
        self.news = threading.Event()


class Watcher:
    """The watcher of executions for readers; one per process."""

    def __init__(self) -> None:
        #: set when the process is about to stop: no reader waits any longer
        self.draining = False
        self._waiters: set[_Waiter] = set()
        self._of: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wait(self, execution_id: str, seen: State, seconds: float, who: str = "") -> bool:
        """Return when the state of the execution is no longer ``seen``.

        The state is (status, attempt). The wait lasts at most ``seconds``. ``who`` is the key for which it waits;
        False, and at once, where too many wait already.
        """
        waiter = _Waiter(execution_id, seen, who)
        with self._lock:
            if len(self._waiters) >= MOST or self._of[who] >= MOST_OF_ONE:
                return False
            self._of[who] += 1
            self._waiters.add(waiter)
            if self._thread is None or not self._thread.is_alive():  # dead: something ended it from outside
                self._thread = threading.Thread(target=self._watch, name="longpoll", daemon=True)
                self._thread.start()
        try:
            waiter.news.wait(seconds)
        finally:
            with self._lock:
                self._waiters.discard(waiter)
                self._of[who] -= 1
                if not self._of[who]:
                    del self._of[who]
        return True

    def drain(self, seconds: float) -> bool:
        """Wait up to ``seconds`` until no reader waits.

        No query is under way then either; returns whether that is so.
        """
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return self._thread is None

    def _watch(self) -> None:
        while True:
            with self._lock:
                waiters = list(self._waiters)
                if not waiters:
                    self._thread = None
                    return
            for waiter in self._with_news(waiters):
                waiter.news.set()
            time.sleep(EVERY)

    def _with_news(self, waiters: list[_Waiter]) -> list[_Waiter]:
        if self.draining:
            return waiters
        try:
            with db.read() as connection:
                states = transitions.states(connection, {waiter.execution_id for waiter in waiters})
        except Unavailable:
            return []  # their time runs on; the database may come back before it ends
        except Exception:
            log.exception("looking for changes failed; trying again")
            return []
        return [waiter for waiter in waiters if states.get(waiter.execution_id) != waiter.seen]
