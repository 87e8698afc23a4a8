"""Requests that wait for the end of what they have dispatched.

In order of time: a request asks for a place before it accepts anything; what it accepts carries the name of this
process; the worker that ends it tells this process (``store.gateway.replies``), and the request reads the row. One
thread hears the news of all requests. It also looks at the database, every half a second, and ten times a second while
Redis is away: a worker may die between its commit and the news, and tick and a cancel send none.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Collection, Iterator

from flask import current_app
from redis.client import PubSub
from redis.exceptions import RedisError

from api.http.load import HERE
from config import logs
from config.errors import Unavailable
from config.settings import settings
from store.engine import db
from store.executions import outcomes
from store.gateway import replies

#: between two looks at the database while news come, and while none can come, seconds
LOOK, LOOK_ALONE = 0.5, 0.1
#: after the last request the thread stays for this long, seconds: the next finds it listening
STAYS = 60.0

log = logs.logger(__name__)


class Waiting:
    """A request that waits for the ends of some executions."""

    def __init__(self, execution_ids: Collection[str]) -> None:
        self.named = set(execution_ids)
        self._ended: set[str] = set()
        #: those it waits for; None until it is known which were accepted
        self._wanted: set[str] | None = None
        self.over = threading.Event()

    def ended(self, execution_id: str) -> None:
        """One of its executions has ended."""
        self._ended.add(execution_id)
        self._look()

    def only(self, execution_ids: Collection[str]) -> None:
        """Wait for these and no others."""
        self._wanted = set(execution_ids)
        self._look()

    def _look(self) -> None:
        if self._wanted is not None and self._wanted <= self._ended:
            self.over.set()


class Ends:
    """The requests of this process that wait for ends."""

    def __init__(self) -> None:
        #: the name under which workers tell this process of ends
        self.process = secrets.token_hex(6)
        #: set when the process is about to stop: no request waits any longer
        self.draining = False
        self._places = 0
        #: execution → those who wait for its end: more than one may ask for the same
        self._of: dict[str, set[Waiting]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._quiet_since = 0.0

    @contextlib.contextmanager
    def place(self, execution_ids: Collection[str], seconds: float) -> Iterator[Waiting | None]:
        """A place for the present request, before it accepts these executions.

        It hears of their ends. None where it is not ready to wait, or as many wait as may.
        """
        with self._lock:
            if not seconds or self.draining or self._places >= settings().dispatch_waiters:
                waiting = None
            else:
                waiting = Waiting(execution_ids)
                self._places += 1
                self._add(waiting)
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._listen, name="dispatch-ends", daemon=True)
                    self._thread.start()
        if waiting is None:
            yield None
            return
        try:
            yield waiting
        finally:
            with self._lock:
                self._places -= 1
                self._remove(waiting)

    def wait(self, waiting: Waiting, execution_ids: Collection[str], seconds: float) -> None:
        """Wait until these have ended, at most for so long."""
        with self._lock:
            waiting.named.update(execution_ids)
            self._add(waiting)
        waiting.only(execution_ids)
        if not self.draining:
            with HERE.aside():
                waiting.over.wait(seconds)

    def _add(self, waiting: Waiting) -> None:
        for execution_id in waiting.named:
            self._of.setdefault(execution_id, set()).add(waiting)

    def _remove(self, waiting: Waiting) -> None:
        for execution_id in waiting.named:
            others = self._of.get(execution_id, set())
            others.discard(waiting)
            if not others:
                self._of.pop(execution_id, None)

    def drain(self, seconds: float) -> bool:
        """Let every request go; returns whether the thread ends in time."""
        self.draining = True
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def _listen(self) -> None:
        self._quiet_since = time.monotonic()
        while not self.draining:
            try:
                with replies.listening(self.process) as news:
                    if self._hear(news):
                        return
            except (RedisError, OSError):
                if self._alone():
                    return
            except Exception:
                log.exception("listening for ends failed; looking at the database instead")
                if self._alone():
                    return
        self._let_go()

    def _let_go(self) -> None:
        with self._lock:
            waiting = set().union(*self._of.values())
        for one in waiting:
            one.over.set()

    def _hear(self, news: PubSub) -> bool:
        """Hear the news; true when no request has come for a while."""
        self._look()  # what has ended before it listened
        looked = time.monotonic()
        while not self.draining:
            execution_id = replies.heard(news, LOOK)
            if execution_id is not None:
                self._tell(execution_id)
            if time.monotonic() - looked >= LOOK:
                self._look()
                looked = time.monotonic()
                if self._leaves(looked):
                    return True
        return False

    def _alone(self) -> bool:
        """Look at the database for a second; true as for ``_hear``."""
        until = time.monotonic() + 1
        while time.monotonic() < until and not self.draining:
            time.sleep(LOOK_ALONE)
            self._look()
        return self._leaves(time.monotonic())

    def _leaves(self, now: float) -> bool:
        """Whether the thread ends: no request has come for a while.

        ``place`` begins another.
        """
        with self._lock:
            if self._places:
                self._quiet_since = now
            if now - self._quiet_since <= STAYS:
                return False
            self._thread = None
            return True

    def _look(self) -> None:
        with self._lock:
            wanted = list(self._of)
        if not wanted:
            return
        try:
            with db.read() as connection:
                ended = outcomes.ended(connection, wanted)
        except Unavailable:
            return
        for execution_id in ended:
            self._tell(execution_id)

    def _tell(self, execution_id: str) -> None:
        with self._lock:
            waiting = list(self._of.get(execution_id, ()))
        for one in waiting:
            one.ended(execution_id)


def ends() -> Ends:
    """The requests of this process that wait for ends."""
    found: Ends = current_app.extensions["tocsin.ends"]
    return found
