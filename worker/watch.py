"""Ends a worker process whose scheduler's ticks no longer run.

In order of time: each heartbeat makes a check; a tick that has begun since the last check satisfies it, because ticks
that do not finish soon fill the pool, and no other begins. Without one it asks whether the broker takes a message over
a new connection and the database has taken the heartbeat. When both did at ``LOOKS`` checks in a row something in this
process is broken that a new one has not: it ends, and its supervisor starts it again. Checks are counted because a
machine may be suspended: that is one check, however long it takes. A process whose ticks another machine carries out is
well as long as it sends its own and carries out the other tasks it is sent.
"""

import os
from typing import Any

from celery.worker import state

from config import logs
from config.errors import Unavailable
from store import worker_processes
from store.engine import db
from tasks.messages import canvas

#: checks without a tick until the process ends; one each 5 s: 30 s
LOOKS = 7

_TICK = "tocsin.tick"

log = logs.logger(__name__)


class Watch:
    """Counts the ticks and messages of the worker ``name``.

    ``scheduler`` is Celery's service that sends, if the worker has one.
    """

    def __init__(self, name: str, scheduler: Any) -> None:
        self._name = name
        self._scheduler = scheduler
        self._seen = (0, 0, 0)
        self._missed = 0

    def look(self, *, database: bool) -> None:
        """Make one check; it may end the process.

        ``database`` says that the database has just answered.
        """
        if self._scheduler is None or state.should_stop is not None:
            return
        alive = getattr(self._scheduler, "is_alive", None)
        if alive is not None and not alive():
            _end("scheduler died; ending this worker so that both restart")
        before, self._seen = self._seen, (state.total_count[_TICK], state.all_total_count[0], self._sent())
        ticks, any_task, sent = (now > then for now, then in zip(self._seen, before, strict=True))
        if ticks or not database or not canvas.takes_probe(self._name) or (any_task and sent and self._has_company()):
            self._missed = 0
            return
        self._missed += 1
        if self._missed > 1:  # the first check may come before the first tick
            log.warning("no tick has started recently", looks=self._missed, of=LOOKS)
        if self._missed >= LOOKS:
            _end("ticks hang although broker and database answer; ending this worker so that it restarts")

    def _sent(self) -> int:
        """How many messages the scheduler of this process has sent."""
        service = getattr(self._scheduler, "service", None)
        return getattr(vars(service).get("scheduler"), "sent", 0) if service is not None else 0

    def _has_company(self) -> bool:
        """Whether another process takes ticks too."""
        try:
            with db.read() as connection:
                rows = worker_processes.living(connection)
        except Unavailable:
            return True
        return any(row.name != self._name and "control" in row.queues.split(",") for row in rows)


def _end(reason: str) -> None:
    log.error(reason)
    os._exit(1)
