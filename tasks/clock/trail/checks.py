"""Check the whole sealed trail once a day, in slices, and keep the result for ``/health`` and ``/metrics``.

In order of time: a day after the last check began, maintenance begins one; each round goes on for a while, with a pause
behind each slice, and notes how far it has come, so that any control worker goes on from there. A fault is logged when
it is found.
"""

import time
from typing import Any

from config import logs
from store.blocks import checking, walks
from store.blocks.findings import Progress, Want
from store.engine import db, rest
from tasks.clock.duty import TimeSlice

#: from the beginning of one check to that of the next, ms
EVERY = 86_400_000

log = logs.logger(__name__)


def check(time_slice: TimeSlice) -> int:
    """Go on with the check of today; returns the rows that were checked now.

    Raises:
        Unavailable: the database is away; the next round goes on.
    """
    walk = _present()
    if walk is None:
        return 0
    begun_at, done = walk
    rows = done.records
    while not done.ended:
        began, before, faults = time.monotonic(), done.number, len(done.faults)
        with db.read() as connection:
            done = checking.check(connection, done, Want())
        for fault in done.faults[faults:]:
            log.error("audit trail is not as it was sealed", fault=fault.kind, seal=fault.seal, record=fault.record_id)
        with db.write() as connection:
            if not walks.note(connection, begun_at, before, done):
                break  # another process goes on
        if time_slice.is_over():
            break
        rest.after_bite(began)
    if done.ended:
        log.info("audit trail checked", valid=done.valid, records=done.records, seals=done.seals)
    return done.records - rows


def _present() -> tuple[int, Progress] | None:
    """The check that is to go on; None where the last one is not a day old."""
    found: list[Any] = db.read_one(walks.newest)
    newest = found[0] if found else None
    if newest is not None and newest.ended_at is None:
        return newest.begun_at, walks.progress(newest)
    if newest is not None and db.now_ms() - newest.begun_at < EVERY:
        return None
    with db.write() as connection:
        return walks.begin(connection), Progress()
