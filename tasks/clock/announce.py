"""Announce again what no worker has announced yet.

A worker announces at once; this is for messages that were lost. So it looks every few seconds, and not at each tick.
"""

import time

from store.engine import db
from store.executions import announcements
from tasks.clock.duty import TimeSlice
from tasks.messages import publisher
from tasks.messages.announcement_messages import announcement

#: between two looks, seconds; announcements published in one
EVERY, BATCH = 5.0, 200

#: when this process looks next, on the monotonic clock
_next = 0.0


def announce_due(_: TimeSlice) -> int:
    """Publish due announcements every few seconds; returns their number.

    Raises:
        Unavailable: the database is away.
    """
    global _next  # noqa: PLW0603
    if time.monotonic() < _next:
        return 0
    found = publish_due()
    _next = time.monotonic() + (0 if found == BATCH else EVERY)
    return found


def publish_due() -> int:
    """Publish a batch of due announcements; returns their number.

    Raises:
        Unavailable: the database is away.
    """
    with db.read() as connection:
        due = announcements.due(connection, limit=BATCH)
    if not due:
        return 0
    with db.write(single=True) as connection:
        announcements.postpone(connection, due, at=db.now_ms() + 2 * announcements.PATIENCE)
    publisher.publish([announcement(row.execution_id, row.event) for row in due])
    return len(due)
