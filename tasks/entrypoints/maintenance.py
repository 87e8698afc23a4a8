"""What keeps the house clean: old records go, old seals are renewed, idle workers are given something to take."""

import threading
import time
from collections.abc import Callable, Iterator

from config import logs
from config.errors import Unavailable
from config.settings import settings
from store import worker_processes
from store.engine import db
from store.engine.db import Connection
from store.executions import idempotency, recovery
from store.renewal import Bite
from tasks.app import app
from tasks.messages import canvas
from tasks.secrets import reseal

_DAY = 86_400_000
_HOUR = 3_600_000

#: the longest pause between two bites, seconds
MOST_REST = 1.0
#: bites of sealed values that are renewed each time: tick waits behind it
_RENEWED = 20
#: when everything has been looked at, it is looked at again after so long, seconds
_LOOKED_AT_EVERY = 3600.0

log = logs.logger(__name__)


@app.task(name="tocsin.upkeep", ignore_result=True)
def upkeep() -> int:
    """Delete what is older than the retention time, and secrets of what has ended; returns how many executions went."""
    executions_before = db.now_ms() - settings().retention_days * _DAY
    keys_before = db.now_ms() - settings().idempotency_hours * _HOUR
    sealed_before = db.now_ms() - settings().sealed_hours * _HOUR
    gone = 0
    try:
        for bite in _bites(lambda connection: recovery.forget(connection, before=executions_before)):
            gone += bite
        for _ in _bites(lambda connection: recovery.drop_sealed(connection, before=sealed_before)):
            pass
        for _ in _bites(lambda connection: idempotency.forget(connection, before=keys_before)):
            pass
        with db.write() as connection:
            worker_processes.sweep(connection)
        _renewal.go_on()
    except Unavailable as error:
        log.warning("upkeep skipped: the database is away", reason=str(error))
    return gone


class _Renewal:
    """A walk over all that is sealed, some bites at a time."""

    def __init__(self) -> None:
        self._walk: Iterator[tuple[str, Bite]] | None = None
        self._rests_until = 0.0
        self._lock = threading.Lock()

    def go_on(self) -> None:
        """Take some bites, unless everything was looked at lately.

        Raises:
            Unavailable: the database is away; the next time starts again.
        """
        with self._lock:
            self._go_on()

    def _go_on(self) -> None:
        if self._walk is None:
            if time.monotonic() < self._rests_until:
                return
            self._walk = reseal.walk()
        for _ in range(_RENEWED):
            try:
                name, bite = next(self._walk)
            except StopIteration:
                self._walk, self._rests_until = None, time.monotonic() + _LOOKED_AT_EVERY
                return
            except BaseException:
                self._walk = None
                raise
            if bite.done:
                log.info("sealed anew", table=name, rows=bite.done)
            if bite.broken:
                log.warning("cannot be opened or was altered", table=name, rows=bite.broken)


_renewal = _Renewal()


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
            names = [row.name for row in worker_processes.living(connection)]
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
