"""The task that carries out triggered actions.

In order of time: the message brings an id, or several of executions that were accepted together, each of which goes its
way by itself (``tasks.fairness.slots``); an attempt is made (``tasks.attempts.action``); a retry that is due soon is
published by Celery, later ones by tick.
"""

import functools
import time

from celery import Task

from store.engine.db import Row
from tasks.app import app
from tasks.attempts.action import CARRIED_BY_CELERY, attempt
from tasks.fairness import slots
from tasks.messages import canvas, flower_events, requeue
from tasks.messages.model import TaskMessage


@app.task(bind=True, name="tocsin.run", max_retries=None, throws=())
def run(self: Task, *execution_ids: str) -> str:
    """Carry out an execution, or several side by side; returns a word about how this message ended."""
    if len(execution_ids) == 1:
        return slots.alone(self, lambda: _alone(self, execution_ids[0]))
    return slots.side_by_side(self, functools.partial(_beside_others, str(self.request.id)))


def _alone(task: Task, execution_id: str) -> str:
    ending = attempt(execution_id)
    if ending.retry_in is not None and ending.retry_in <= CARRIED_BY_CELERY:
        raise requeue.again_after(task, ending.retry_in)
    return str(ending.status)


def _beside_others(message_id: str, execution_id: str) -> str:
    """The same for a member of a bundle: it has no message of its own that could be tried again or shown in Flower."""
    started, messages = time.monotonic(), list[TaskMessage]()

    def taken(row: Row) -> None:
        messages.append(
            TaskMessage(execution_id=row.id, label=row.action_id, queue=row.queue, timeout_ms=row.timeout_ms)
        )
        flower_events.began(messages[0], message_id)

    ending = attempt(execution_id, taken)
    for message in messages:
        flower_events.ended(message, str(ending.status), started)
        if ending.retry_in is not None and ending.retry_in <= CARRIED_BY_CELERY:
            canvas.publish([message], countdown=ending.retry_in)  # should the broker be away, tick sees to it
    return str(ending.status)
