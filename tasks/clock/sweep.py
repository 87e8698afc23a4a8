"""The sweep over the rows that are due: each gets the one thing that it needs.

In order of time: rows that the backlog explains are put off; then the due rows are attended to, some in one
transaction, and what that asks for is published after the commit, until nothing is due any more or the time slice is
over. Any number of sweeps at once do no harm, because due rows are locked and each is moved by a guarded transition
(``tasks.clock.recovery``).
"""

from collections.abc import Mapping

from config import logs
from store.engine import db
from store.executions import recovery
from tasks.clock import run_recovery
from tasks.clock.duty import TimeSlice
from tasks.clock.reach import reach
from tasks.clock.recovery import AT_ONCE, BATCH, attend, measured
from tasks.messages import publisher
from tasks.messages.backlog import backlog
from tasks.messages.model import TaskMessage

log = logs.logger(__name__)


def attend_due(time_slice: TimeSlice) -> int:
    """Attend to the rows that are due; returns how many there were.

    Raises:
        Unavailable: the database is away.
    """
    seen, asked = 0, time_slice.since
    pauses = _await_turns(time_slice)
    while not time_slice.is_over():
        messages, over, number = look(pauses, asked)
        asked = reach.clock()
        seen += number
        run_recovery.end_steps(over)
        missed = publisher.publish(messages)
        if missed:
            log.warning("the broker is away; publishing again in a second", executions=len(missed))
            break
        if number < BATCH:
            break
    return seen


def _await_turns(time_slice: TimeSlice) -> dict[str, int]:
    """Put off rows whose turn on their queue has not come yet.

    Returns by queue the pause between two publishings, ms, where it is longer than a lease.
    """
    pauses = backlog.pauses()
    for queue, pause in pauses.items():
        moved = AT_ONCE
        while moved == AT_ONCE and not time_slice.is_over():
            with db.write() as connection:
                moved = recovery.await_turns(connection, queue, pause, limit=AT_ONCE)
    return pauses


def look(
    pauses: Mapping[str, int], asked: float | None = None
) -> tuple[list[TaskMessage], list[run_recovery.Over], int]:
    """Attend to some rows that are due, in one transaction; ``asked`` is since when the database was waited for.

    Returns what is to be published, whose steps are to be ended, and how many rows were due.

    Raises:
        Unavailable: the database is away.
    """
    over: list[run_recovery.Over] = []
    asked = reach.clock() if asked is None else asked
    with db.write() as connection:
        rows = recovery.due(connection, limit=BATCH)
        reach.reached(asked)
        messages = [
            measured(row, message) for row in rows if (message := attend(connection, row, pauses, over)) is not None
        ]
    return messages, over, len(rows)
