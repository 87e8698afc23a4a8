"""Flush the groups that are due: close each window, and accept its summary.

Any number of processes may flush at once: a window is claimed for a while by a guarded statement, and its summary is
accepted in the transaction that notes it as notified. A process that dies between the two leaves the window, which is
due again when the claim is over.
"""

from store.engine import db
from store.engine.rest import TIMES, Rests
from tasks.clock.duty import TimeSlice
from tasks.intake import summaries

#: windows in one bite, and how much longer than its bite a pause is
_BITE, _PAUSE = 200, TIMES
#: the same on PostgreSQL, where a bite locks nothing that others write
_BITE_OF_ROWS, _PAUSE_OF_ROWS = 500, 0.5


def flush_due(time_slice: TimeSlice) -> int:
    """Flush what is due, in bites that let others write; returns the number of windows.

    Raises:
        Unavailable: the database is away; the rest is left to the next tick.
    """
    bite, pause = (_BITE, _PAUSE) if db.is_sqlite() else (_BITE_OF_ROWS, _PAUSE_OF_ROWS)
    flushed, rests = 0, Rests(pause)
    while not time_slice.is_over():
        number = summaries.flush_due(limit=bite, rests=rests)
        flushed += number
        if number < bite:
            break
    return flushed
