"""What keeps the house clean: old records go, idle workers are given something to take."""

from config import logs
from config.errors import Unavailable
from config.settings import settings
from store import db, idempotency, processes, recovery
from tasks import canvas
from tasks.app import app

_DAY = 86_400_000
_HOUR = 3_600_000

log = logs.logger(__name__)


@app.task(name="tocsin.upkeep", ignore_result=True)
def upkeep() -> int:
    """Delete what is older than the retention time, and secrets of what ended, in small bites.

    Returns how many executions went.
    """
    now, gone = db.now_ms(), 0
    try:
        while True:
            with db.write() as connection:
                bite = recovery.forget(connection, before=now - settings().retention_days * _DAY)
            gone += bite
            if bite == 0:
                break
        while _drop_sealed(now - settings().sealed_hours * _HOUR):
            pass
        with db.write() as connection:
            idempotency.forget(connection, before=now - settings().idempotency_hours * _HOUR)
            processes.sweep(connection)
    except Unavailable as error:
        log.warning("upkeep skipped: the database is away", reason=str(error))
    return gone


def _drop_sealed(before: int) -> int:
    with db.write() as connection:
        return recovery.drop_sealed(connection, before=before)


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
