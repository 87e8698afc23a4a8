"""The sweep over the due rows, which handles each once.

In order of time: rows whose wait the backlog explains are postponed; then the due rows are handled in batches, one
transaction each, and the messages are published after the commit, until nothing is due or the time slice is over. Any
number of sweeps at once do no harm, because due rows are locked and each changes by a guarded transition
(``tasks.clock.recovery``).
"""

import time
from collections.abc import Mapping

from config import logs
from store.engine import db, rest
from store.executions import recovery
from tasks.clock import run_recovery
from tasks.clock.duty import TimeSlice
from tasks.clock.reach import reach
from tasks.clock.recovery import AT_ONCE, BATCH, handle, on_fair_queue
from tasks.messages import publisher
from tasks.messages.backlog import backlog
from tasks.messages.model import TaskMessage

log = logs.logger(__name__)


def handle_due(time_slice: TimeSlice) -> int:
    """Handle the due rows; returns their number.

    Raises:
        Unavailable: the database is away.
    """
    seen, asked = 0, time_slice.since
    pauses = _postpone_backlog(time_slice)
    while not time_slice.is_over():
        messages, over, number = handle_batch(pauses, asked)
        asked = reach.clock()
        seen += number
        run_recovery.end_steps(over)
        missed = publisher.publish(messages)
        if missed:
            log.warning("broker unavailable; publishing again in a second", executions=len(missed))
            break
        if number < BATCH:
            break
    return seen


def _postpone_backlog(time_slice: TimeSlice) -> dict[str, int]:
    """Postpone the rows whose wait the backlog of their queue explains.

    Returns by queue the time between two publishings of a row, ms, if it is longer than a lease.
    """
    pauses = backlog.pauses()
    for queue, pause in pauses.items():
        moved = AT_ONCE
        while moved == AT_ONCE and not time_slice.is_over():
            began = time.monotonic()
            with db.write() as connection:
                moved = recovery.await_turns(connection, queue, pause, limit=AT_ONCE)
            if moved:
                rest.after_bite(began)
    return pauses


def handle_batch(
    pauses: Mapping[str, int], asked: float | None = None
) -> tuple[list[TaskMessage], list[run_recovery.Over], int]:
    """Handle a batch of due rows in one transaction.

    ``asked`` is since when the sweep has waited for the database. Returns the messages to publish, the runs and
    containers whose steps must end, and the number of rows that were due.

    Raises:
        Unavailable: the database is away.
    """
    over: list[run_recovery.Over] = []
    asked = reach.clock() if asked is None else asked
    with db.write() as connection:
        rows = recovery.due(connection, limit=BATCH)
        reach.reached(asked)
        messages = [
            on_fair_queue(row, message)
            for row in rows
            if (message := handle(connection, row, pauses, over)) is not None
        ]
    return messages, over, len(rows)
