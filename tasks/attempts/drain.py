"""Give up what a stopping worker has not finished in time.

In order of time: no effect begins in this process any more; the processes of its pool are frozen, so that none begins
there either; the executions that they hold are handed back if a repetition does no harm, so that other workers claim
them at once and without a lapse; the lease of the others ends now, and tick ends them with an unknown outcome; the
frozen processes are killed. This process must end right after that. A process of a pool that gets the signal itself
leaves in the same way, wherever it was when the signal came.
"""

import contextlib
import os
import signal
from collections.abc import Iterable

from config import logs
from config.errors import Unavailable
from store.engine import db
from store.engine.db import Connection
from store.executions import leases
from tasks.attempts import lease

log = logs.logger(__name__)


def leave(children: Iterable[int] = ()) -> None:
    """Give up what this process and its pool hold.

    Tick does it if the database is away.
    """
    pids, keep = list(children), lease.keeper()
    keep.close()
    _send(signal.SIGSTOP, pids)
    owners = [lease.owners_of(pid) for pid in (os.getpid(), *pids)]

    def give_up(connection: Connection) -> tuple[int, int]:
        handed_back = lapsed = 0
        for row in leases.held_by(connection, owners):
            begun = not keep.never_began(row)
            if row.idempotent or not begun:
                handed_back += leases.hand_back(connection, row.id, row.owner, row.attempt, begun=begun)
            else:
                leases.lapse(connection, row.id, row.attempt)
                lapsed += 1
        return handed_back, lapsed

    try:
        handed_back, lapsed = db.change(give_up)
    except Unavailable:
        log.warning("executions not handed back: database unavailable")
    else:
        log.info("drain time expired", handed_back=handed_back, given_up=lapsed)
    _send(signal.SIGKILL, pids)


def _send(number: signal.Signals, pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
