"""The heartbeat of a worker process: it writes its row in ``processes``.

It writes every few seconds, and tells apart a worker that lives from one that works: ``consumed_at`` changes only when
Celery's consumer has received a message, and tick's probes make sure that there is one to receive.
"""

import os
import threading
import time
from typing import Any

from celery.worker import state

from config import logs
from config.errors import Unavailable
from event_loop import loop
from store import worker_processes
from store.engine import clock, db
from worker.forked.forks import between_forks
from worker.watch import Watch

#: seconds between two heartbeats
EVERY = 5.0

log = logs.logger(__name__)


class Heartbeat(threading.Thread):
    """The thread that writes the row until it is stopped."""

    def __init__(self, name: str, queues: list[str], scheduler: Any = None) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.worker = name
        self.queues = queues
        self._watch = Watch(name, scheduler)
        self._ended = threading.Event()
        self._received = 0
        self._consumed_at = self._started_at = db.now_ms()

    def run(self) -> None:
        """Beat until stopped.

        A database that is away is tried again at the next beat.
        """
        while not self._ended.is_set():
            started = time.monotonic()
            with between_forks():
                self._watch.look(database=self._beat())
            self._ended.wait(max(0.1, EVERY - (time.monotonic() - started)))

    def stop(self) -> None:
        """End, and delete the row."""
        self._ended.set()
        try:
            with db.write() as connection:
                worker_processes.leave(connection, self.worker)
        except Unavailable:
            log.info("heartbeat row not deleted: database unavailable; maintenance will delete it")

    def _beat(self) -> bool:
        """Write the row; whether the database took it."""
        received = sum(state.total_count.values())
        if received != self._received:
            self._received, self._consumed_at = received, db.now_ms()
        try:
            with db.write() as connection:
                worker_processes.beat(
                    connection,
                    self.worker,
                    queues=",".join(self.queues),
                    pid=os.getpid(),
                    started_at=self._started_at,
                    consumed_at=self._consumed_at,
                    running=len(state.active_requests),
                    skew_ms=clock.skew_ms(),
                    stalled_ms=round(loop.stood_still() * 1000),
                )
        except Unavailable:
            log.warning("heartbeat not written: database unavailable")
            return False
        return True
