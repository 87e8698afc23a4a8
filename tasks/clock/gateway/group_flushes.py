"""Flush the groups that are due: close each window, and accept its summary.

Any number of processes may flush at once: a window is claimed for a while by a guarded statement, and its summary is
accepted in the transaction that notes it as notified. A process that dies between the two leaves the window, which is
due again when the claim is over.
"""

from store.engine.rest import Rests
from tasks.clock.duty import TimeSlice
from tasks.intake import summaries


def flush_due(time_slice: TimeSlice) -> int:
    """Flush what is due, in bites that let others write; returns the number of windows.

    Raises:
        Unavailable: the database is away; the rest is left to the next tick.
    """
    flushed, rests = 0, Rests()
    while not time_slice.is_over():
        number = summaries.flush_due(limit=summaries.BATCH, rests=rests)
        flushed += number
        if number < summaries.BATCH:
            break
    return flushed
