"""Readers that wait for news of an execution: one query at short intervals for all of them together.

A waiter says which state it has seen; the watcher's thread runs only while there are waiters, asks the database
for the states of all executions waited for, and wakes those whose execution is elsewhere by now. Whatever a look runs
into is logged, and the next look is taken all the same.
"""

import threading
import time

from config import logs
from config.errors import Unavailable
from store import db, executions

#: between two looks, seconds
EVERY = 0.1

State = tuple[str, int]

log = logs.logger(__name__)


class _Waiter:
    def __init__(self, execution_id: str, seen: State) -> None:
        self.execution_id = execution_id
        self.seen = seen
        self.news = threading.Event()


class Watcher:
    """Watches executions for readers; one per process."""

    def __init__(self) -> None:
        #: set when the process is about to stop: nobody waits any longer
        self.draining = False
        self._waiters: set[_Waiter] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wait(self, execution_id: str, seen: State, seconds: float) -> None:
        """Return when the (status, attempt) of the execution is no longer ``seen``, at the latest after ``seconds``."""
        waiter = _Waiter(execution_id, seen)
        with self._lock:
            self._waiters.add(waiter)
            if self._thread is None or not self._thread.is_alive():  # dead: something ended it from outside
                self._thread = threading.Thread(target=self._watch, name="longpoll", daemon=True)
                self._thread.start()
        waiter.news.wait(seconds)
        with self._lock:
            self._waiters.discard(waiter)

    def drain(self, seconds: float) -> bool:
        """Wait until nobody waits and nothing is looked up any more, at most ``seconds``; whether it is so."""
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
                states = executions.states(connection, {waiter.execution_id for waiter in waiters})
        except Unavailable:
            return []  # their time runs on; the database may come back before it ends
        except Exception:
            log.exception("looking for news failed; it is tried again")
            return []
        return [waiter for waiter in waiters if states.get(waiter.execution_id) != waiter.seen]
