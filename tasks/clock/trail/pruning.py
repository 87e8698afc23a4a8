"""Delete what is old of the audit trail, in whole sealed blocks, where the operator wants that (``TOCSIN_AUDIT_DAYS``).

In order of time: once a day the mark moves behind the last block that is old as a whole, which the trail records; then
the rows below it are deleted, bite by bite. Their seals stay, so that what is left is still one chain.
"""

import time

from config import logs
from config.settings import settings
from store import audit
from store.blocks import floor
from store.engine import db, rest
from store.engine.db import Connection
from tasks.clock.duty import TimeSlice

_DAY = 86_400_000

log = logs.logger(__name__)


def prune(time_slice: TimeSlice) -> int:
    """Delete old rows; returns their number.

    Raises:
        Unavailable: the database is away; the next round goes on.
    """
    mark = db.read_one(floor.read)
    if mark is not None:
        with db.write() as connection:
            floor.renew(connection)
    days = settings().audit_days
    if days and (mark is None or db.now_ms() - mark.moved_at >= _DAY):
        db.change(lambda connection: _move(connection, db.now_ms() - days * _DAY))
    if not days and mark is None:
        return 0
    number, bite = 0, 1
    while bite and not time_slice.is_over():
        began = time.monotonic()
        with db.write() as connection:
            bite = floor.forget(connection)
        number += bite
        if bite:
            rest.after_bite(began)
    return number


def _move(connection: Connection, before: int) -> None:
    seal, mark = floor.candidate(connection, before), floor.read(connection)
    if seal is not None and (mark is None or mark.seal < seal.number):
        floor.move(connection, seal, audit.SYSTEM)
        log.info("audit trail shortened: rows up to this seal are deleted", seal=seal.number)
