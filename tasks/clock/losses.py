"""Messages that were lost: with a broker that was emptied, and with a worker that died.

The rows of such messages are pending and their messages are gone. A Redis that forgot the mark which tick keeps there
forgot the messages too, so every pending row becomes due and is attended to (``tasks.clock.sweep``). What a worker that
died had taken off its queues is published at once (``tasks.clock.deaths``).
"""

from config import logs
from config.settings import settings
from store import redis as redis_store
from store.engine import db
from store.executions import recovery
from tasks.clock.deaths import deaths, left_behind
from tasks.clock.duty import TimeSlice
from tasks.clock.recovery import AT_ONCE, message_of
from tasks.messages import canvas, publisher

log = logs.logger(__name__)


def republish_all(_: TimeSlice) -> int:
    """Make every pending row due when the broker was emptied; returns how many became due.

    Raises:
        Unavailable: the database is away; without its mark the broker still counts as emptied.
    """
    if not settings().redis_is_broker or not redis_store.emptied():
        return 0
    number, bite, now = 0, AT_ONCE, db.now_ms()
    while bite == AT_ONCE:
        with db.write() as connection:
            bite = recovery.publish_soon(connection, at=now, limit=AT_ONCE)
        number += bite
    redis_store.set_mark()
    if number:
        log.warning("redis was emptied; publishing every pending execution again", executions=number)
    return number


def republish_left_behind(_: TimeSlice) -> int:
    """Publish what workers that died had taken off their queues; returns how many executions.

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
            log.warning("a worker died; publishing what it had taken off a queue", queue=queue, executions=len(rows))
            publisher.publish([message_of(row, row.queue, ahead=True) for row in rows])
        number += len(rows)
    return number
