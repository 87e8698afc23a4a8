"""Events that Tocsin emits itself start playbooks: ends of actions and runs, pauses, approvals.

In order of time: when an execution is about to end, ``tasks.definitions.listeners`` says whether any playbook of the
workspace listens (looked up at most every two seconds, so that other workspaces pay nothing). If so, the end is
committed with a mark (``store.executions.completions`` for an action, ``store.executions.announcements`` for the rest),
and ``tocsin.announce`` is published. It starts the playbooks and clears the mark in one transaction; until then tick
keeps publishing it.

No playbook can start itself, or a circle of playbooks, over and over: only what is done in earnest is announced; of
actions those triggered by themselves, and not steps; of runs those that no step has started; and nothing that a
``playbook`` event has led to (``playbooks.definitions.events.may_follow``).
"""

import functools
from collections.abc import Callable

from config import logs
from config.errors import Unavailable
from store.engine import db
from store.engine.db import Connection
from store.executions import announcements, completions
from tasks.app import app
from tasks.intake import emitted, events
from tasks.intake.events import TriggerEvent
from tasks.messages import publisher

log = logs.logger(__name__)

#: an event, None if what it is about is gone; and what clears its mark
Marked = tuple[TriggerEvent | None, Callable[[Connection], bool]]


@app.task(name="tocsin.announce", ignore_result=True)
def announce(execution_id: str) -> str:
    """Start the playbooks that listen for what has happened to an execution.

    Returns the message's result.
    """
    try:
        results = [_announce(this, take) for this, take in _waiting(execution_id)]
    except Unavailable:
        log.warning(
            "action.completed not announced: database unavailable; tick will announce it", execution_id=execution_id
        )
        return "unavailable"
    return "announced" if any(results) else "stale"


def _waiting(execution_id: str) -> list[Marked]:
    """What is to be announced of an execution, oldest first."""
    with db.read() as connection:
        ended, more = completions.read(connection, execution_id), announcements.of(connection, execution_id)
    clear = functools.partial(completions.take, execution_id=execution_id)
    found: list[Marked] = [(emitted.of_action(ended), clear)] if ended is not None else []
    found += [(emitted.of_announcement(row), functools.partial(announcements.take, row=row)) for row in more]
    return found


def _announce(this: TriggerEvent | None, take: Callable[[Connection], bool]) -> bool:
    """Start the playbooks that listen; false when another worker was faster."""
    found = []
    if this is not None:
        found = events.choose(this).candidates
    with db.write() as connection:
        if not take(connection):
            return False
        messages = events.admit(connection, this, found).messages if this is not None else []
    publisher.publish_after_commit(*messages)
    return True
