"""The pool of the worker ``scripts``: processes while there is work for them.

In order of time: the pool starts with none; an execution for which no process is free has one forked, up to the pool's
size; when nothing has run for ``REST`` seconds, all are asked to end, and their memory is free. The worker itself
stays, so what comes next waits for a fork, not for imports. All else is Celery's own pool: each process carries out one
execution at a time, is killed at its limits, and is replaced, here only while there is work.

A fork waits until no other thread of the worker uses a connection (``worker.forked.forks``), and closes those to SQLite
before: SQLite's locks belong to a process, and a child that inherits its memory of them would believe that it holds
them.
"""

import time
from typing import Any

from celery.concurrency import prefork
from celery.concurrency.asynpool import AsynPool
from kombu.asynchronous import get_event_loop

from config import logs
from store.engine import db
from worker.forked.forks import between_forks

#: seconds without work after which the processes end
REST = 60.0
#: seconds between two looks whether they may
_LOOK_EVERY = 5.0

log = logs.logger(__name__)


class OnDemand(AsynPool):  # type: ignore[misc]
    """Celery's pool, whose processes are forked when there is work."""

    def __init__(self, processes: int, **options: Any) -> None:
        self._leaving: set[Any] = set()
        self._used_at = time.monotonic()
        super().__init__(0, **options)
        self._processes = processes
        self.on_grow(processes)  # makes their pipes

    @property
    def timers(self) -> dict[Any, float]:
        """What the event loop calls, each with the seconds in between."""
        return {**super().timers, self.rest: _LOOK_EVERY}

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Hand over an execution; fork a process for it where none is free."""
        job = super().apply_async(*args, **options)
        self._used_at = time.monotonic()
        if len(self._pool) < self._wanted():
            try:
                self._create_worker_process(self._avail_index())
            except OSError:  # no memory, or too many processes: the pool's own timer tries again
                log.exception("process of the pool not started; trying again")
        return job

    def rest(self) -> None:
        """Ask the processes to end when they have had nothing to do for ``REST`` seconds."""
        now = time.monotonic()
        if self._cache:
            self._used_at = now
        if now - self._used_at < REST:
            return
        hub: Any = get_event_loop()
        for process in self._pool:
            if process.inqW_fd in self._all_inqueues:  # it is up, and has not been asked
                self._leaving.add(process)
                self._all_inqueues.discard(process.inqW_fd)  # it gets no further work
                hub.remove_writer(process.inqW_fd)
                process._controlled_termination = True  # noqa: SLF001 - Celery logs no error then
                process.inq.put(None)

    def _wanted(self) -> int:
        """How many processes there is work for, and those that are about to end."""
        return min(self._processes, len(self._cache) + len(self._leaving))

    def _repopulate_pool(self, exitcodes: list[int]) -> None:
        """Replace processes that have ended, as far as there is work."""
        self._leaving.intersection_update(self._pool)
        most = self._processes
        self._processes = max(len(self._pool), self._wanted())
        try:
            super()._repopulate_pool(exitcodes)
        finally:
            self._processes = most

    def _create_worker_process(self, i: int) -> Any:
        with between_forks():
            if db.is_sqlite():
                db.dispose()
            return super()._create_worker_process(i)


class TaskPool(prefork.TaskPool):  # type: ignore[misc]
    """The pool as Celery's worker starts it."""

    Pool = OnDemand

    @property
    def idle(self) -> bool:
        """Whether nothing is being carried out: a probe is no reason to fork, nor to keep a process."""
        return not self._pool._cache  # noqa: SLF001 - the library's record of what is under way
