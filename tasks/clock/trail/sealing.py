"""Seal what is settled of the audit trail, each second.

In order of time: a writer commits rows, and waits for nothing; tick asks in one statement whether any lie behind the
last block, reads those that are settled, and adds their seal, one block after the other while its time lasts. A seal's
number can exist once, so that any number of control workers make one chain. After a stop the first ticks catch up.
"""

from config import logs
from store.blocks import seals
from store.blocks.seals import End
from store.engine import db
from tasks.clock.duty import TimeSlice

log = logs.logger(__name__)


def seal(time_slice: TimeSlice) -> int:
    """Seal the settled rows; returns their number.

    Raises:
        Unavailable: the database is away; the next round seals.
    """
    end, sealed = db.read_one(seals.due), 0
    end = _trusted(end) if end is not None else None
    while end is not None:
        rows, end = _seal_block(end)
        sealed += rows
        if rows < seals.MOST_ROWS or time_slice.is_over():
            break
    return sealed


def _trusted(end: End) -> End:
    """The end of the chain; a seal there that is not ours is not vouched for by the next."""
    found = seals.trusted(end)
    if found is not end:
        log.error("last seal of the audit trail is signed by no key of this installation", seal=end.number)
    return found


def _seal_block(end: End) -> tuple[int, End | None]:
    """Seal one block; the number of its rows, and where the chain ends then.

    0 rows where none is settled, or another process was faster.
    """
    with db.read() as connection:
        entries = seals.read_block(connection, end)
    if not entries:
        return 0, None
    row = seals.seal_of(end, entries)
    with db.write() as connection:
        if not seals.add(connection, row):
            return 0, None
    return len(entries), seals.after_adding(row)
