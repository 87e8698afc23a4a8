"""Once a second: look at every row that is due and do the one thing it needs.

Beat sends the message; any number of beats and control workers do no harm, because due rows are locked and each
is moved by a guarded transition (``tasks.clock.recovery``).

In order of time: a broker that was emptied gets every pending row again; schedules that have come round are kept
(``tasks.clock.schedules``); what a worker that died had taken off its queues is published (``tasks.clock.deaths``);
rows that the backlog explains are left alone; then the due rows are attended to, some at a time, for most of the
second.
"""

import time
from collections.abc import Mapping

from config import logs
from config.errors import Unavailable
from config.settings import settings
from store import redis as redis_store
from store.engine import db
from store.executions import recovery
from tasks.app import app
from tasks.clock import run_recovery, schedules
from tasks.clock.deaths import deaths, left_behind
from tasks.clock.reach import reach
from tasks.clock.recovery import AT_ONCE, BATCH, attend, measured, message_of
from tasks.messages import canvas, publisher
from tasks.messages.backlog import backlog
from tasks.messages.model import TaskMessage

#: for how long one tick goes on, seconds
PATIENCE = 0.9

log = logs.logger(__name__)


@app.task(name="tocsin.tick", ignore_result=True)
def tick() -> int:
    """Look after every due row; returns how many there were."""
    seen, asked = 0, reach.clock()
    try:
        _notice_empty_broker()
        _keep_schedules()
        started = time.monotonic()
        _go_on_for_the_dead()
        pauses = _await_turns(started + PATIENCE)
        while time.monotonic() - started < PATIENCE:
            messages, over, number = _look(pauses, asked)
            asked = reach.clock()
            seen += number
            run_recovery.end_steps(over)
            missed = canvas.publish(messages)
            if missed:
                publisher.republish_later(missed)
                log.warning("the broker is away; publishing again in a second", executions=len(missed))
                break
            if number < BATCH:
                break
    except Unavailable as error:
        if not isinstance(error, db.Contended):
            reach.missed()
        log.warning("tick skipped: the database is away", reason=str(error))
    return seen


def _notice_empty_broker() -> None:
    """A Redis that forgot our mark forgot our messages too: publish every pending row now."""
    if not settings().redis_is_broker or not redis_store.emptied():
        return
    number, bite, now = 0, AT_ONCE, db.now_ms()
    while bite == AT_ONCE:
        with db.write() as connection:
            bite = recovery.publish_soon(connection, at=now, limit=AT_ONCE)
        number += bite
    redis_store.set_mark()
    if number:
        log.warning("redis was emptied; publishing every pending execution again", executions=number)


def _keep_schedules() -> None:
    """Start what a schedule asks for; nothing in it may keep the other work from being done."""
    try:
        schedules.fire_due()
    except Unavailable:
        raise
    except Exception:
        log.exception("schedules could not be looked at")


def _go_on_for_the_dead() -> None:
    """Publish what a worker that died had taken off its queues."""
    for queue in deaths.bereaved():
        try:
            rows = left_behind(queue)
        except canvas.BrokerDown:
            return
        deaths.settled(queue)
        if rows:
            log.warning("a worker died; publishing what it had taken off a queue", queue=queue, executions=len(rows))
        if missed := canvas.publish([message_of(row, row.queue, ahead=True) for row in rows]):
            publisher.republish_later(missed)


def _await_turns(end: float) -> dict[str, int]:
    """Leave alone what has only not had its turn yet, until ``end`` on the monotonic clock.

    Returns by queue the pause between two publishings, ms, where it is longer than a lease.
    """
    pauses = backlog.pauses()
    for queue, pause in pauses.items():
        moved = AT_ONCE
        while moved == AT_ONCE and time.monotonic() < end:
            with db.write() as connection:
                moved = recovery.await_turns(connection, queue, pause, limit=AT_ONCE)
    return pauses


def _look(
    pauses: Mapping[str, int], asked: float | None = None
) -> tuple[list[TaskMessage], list[run_recovery.Over], int]:
    """Attend to some rows that are due; ``asked`` is since when the database was waited for."""
    over: list[run_recovery.Over] = []
    asked = reach.clock() if asked is None else asked
    with db.write() as connection:
        rows = recovery.due(connection, limit=BATCH)
        reach.reached(asked)
        messages = [
            measured(row, message) for row in rows if (message := attend(connection, row, pauses, over)) is not None
        ]
    return messages, over, len(rows)
