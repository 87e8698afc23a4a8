"""Delete what is old of the audit trail, in whole sealed blocks, where the operator wants that (``TOCSIN_AUDIT_DAYS``).

In order of time: once a day the mark moves behind the last block that is old as a whole, which the trail records; then
the rows below it are deleted, bite by bite. Their seals stay, so that what is left is still one chain.
"""

import time
from typing import Any

from config import logs
from config.settings import settings
from store import audit
from store.blocks import floor, seals
from store.engine import db, rest
from store.engine.db import Connection
from tasks.clock.duty import TimeSlice

_DAY = 86_400_000
#: seals that are read at once
_SEALS = 500

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
        _move(db.now_ms() - days * _DAY)
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


def _move(before: int) -> None:
    seal = db.read_one(floor.candidate, before)
    if seal is None:
        return
    if not _is_ours(seal):
        log.error("audit trail not shortened: the seal is not as it was made", seal=seal.number)
        return
    if db.change(lambda connection: _moved(connection, seal)):
        log.info("audit trail shortened: rows up to this seal are deleted", seal=seal.number)


def _moved(connection: Connection, seal: Any) -> bool:
    mark = floor.read(connection)
    if mark is not None and mark.seal >= seal.number:
        return False
    floor.move(connection, seal, audit.SYSTEM)
    return True


def _is_ours(seal: Any) -> bool:
    """Whether a seal says what it said when it was made: one that an intruder makes older would let young rows go."""
    last, found = seal, seals.vouched(seal, ())
    while found is None:
        began = time.monotonic()
        following = db.read_one(seals.behind, last.number, _SEALS)
        if not following:
            return False
        found, last = seals.vouched(last, following), following[-1]
        rest.after_bite(began)
    return found
