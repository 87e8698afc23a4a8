"""What keeps the house clean: old records go, idle workers are given something to take."""

import time
from collections.abc import Callable, Iterator

from config import logs
from config.errors import Unavailable
from config.settings import settings
from store import db, idempotency, processes, recovery
from store.db import Connection
from tasks import canvas
from tasks.app import app

_DAY = 86_400_000
_HOUR = 3_600_000

#: the longest pause between two bites, seconds
MOST_REST = 1.0

log = logs.logger(__name__)


@app.task(name="tocsin.upkeep", ignore_result=True)
def upkeep() -> int:
    """Delete what is older than the retention time; returns how many executions went."""
    executions_before = db.now_ms() - settings().retention_days * _DAY
    keys_before = db.now_ms() - settings().idempotency_hours * _HOUR
    gone = 0
    try:
        for bite in _bites(lambda connection: recovery.forget(connection, before=executions_before)):
            gone += bite
        for _ in _bites(lambda connection: idempotency.forget(connection, before=keys_before)):
            pass
        with db.write() as connection:
            processes.sweep(connection)
    except Unavailable as error:
        log.warning("upkeep skipped: the database is away", reason=str(error))
    return gone


def _bites(forget: Callable[[Connection], int]) -> Iterator[int]:
    """Delete bite by bite, each in a transaction of its own; between two, others have as long as one took.

    Raises:
        Unavailable: the database is away.
    """
    gone = 1
    while gone:
        began = time.monotonic()
        with db.write() as connection:
            gone = forget(connection)
        yield gone
        time.sleep(min(MOST_REST, time.monotonic() - began) if gone else 0)


@app.task(name="tocsin.probe_workers", ignore_result=True)
def probe_workers() -> int:
    """Send every living worker process a probe; returns how many."""
    try:
        with db.read() as connection:
            names = [row.name for row in processes.living(connection)]
        for name in names:
            canvas.probe(name)
    except (Unavailable, *canvas.BrokerDown) as error:
        log.warning("workers were not probed", reason=str(error))
        return 0
    return len(names)


@app.task(name="tocsin.probe", ignore_result=True)
def probe() -> str:
    """Something to take: the worker's main process notes that it consumed."""
    return "ok"
