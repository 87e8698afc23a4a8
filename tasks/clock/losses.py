"""Republish the messages lost with an emptied broker or dead worker.

The rows of lost messages are pending. A Redis without the mark that tick keeps there has lost the messages too, so
every pending row becomes due, and the sweep handles it (``tasks.clock.sweep``). The executions that a dead worker had
taken off its queues are published at once (``tasks.clock.deaths``).
"""

import time

from config import logs
from config.settings import settings
from store import redis as redis_store
from store.engine import db, rest
from store.executions import recovery
from tasks.clock.deaths import deaths, left_behind
from tasks.clock.duty import TimeSlice
from tasks.clock.recovery import AT_ONCE, message_of
from tasks.messages import canvas, publisher

log = logs.logger(__name__)


def republish_all(_: TimeSlice) -> int:
    """Make every pending row due if the broker was emptied.

    Returns the number.

    Raises:
        Unavailable: the database is away; without its mark the broker still counts as emptied.
    """
    if not settings().redis_is_broker or not redis_store.emptied():
        return 0
    number, bite, now = 0, AT_ONCE, db.now_ms()
    while bite == AT_ONCE:
        began = time.monotonic()
        with db.write() as connection:
            bite = recovery.publish_soon(connection, at=now, limit=AT_ONCE)
        number += bite
        rest.after_bite(began)
    redis_store.set_mark()
    if number:
        log.warning("Redis was emptied; publishing all pending executions again", executions=number)
    return number


def republish_left_behind(_: TimeSlice) -> int:
    """Republish what dead workers had taken off their queues; returns the number.

    Raises:
        Unavailable: the database is away.
    """
    number = 0
    for queue in deaths.bereaved():
        try:
            rows = left_behind(queue)
        except canvas.BrokerDown:
            break
        deaths.settled(queue)
        if rows:
            log.warning(
                "worker died; publishing again what it had taken from a queue", queue=queue, executions=len(rows)
            )
            publisher.publish([message_of(row, row.queue, ahead=True) for row in rows])
        number += len(rows)
    return number
