"""The task that carries out triggered actions and dispatches.

In order of time: the message brings the id of an execution, or a batch of ids, each of which is carried out by itself
(``tasks.fairness.slots``); an attempt is made (``tasks.attempts.action``); Celery publishes a retry that is due soon,
tick a later one.
"""

from celery import Task

from store.engine.db import Row
from tasks.app import app
from tasks.attempts.action import CARRIED_BY_CELERY, attempt
from tasks.fairness import slots
from tasks.intake import notices, started_runs
from tasks.messages import canvas, requeue
from tasks.messages.current import off_loop
from tasks.messages.model import TaskMessage

notices.install()
started_runs.install()


@app.task(bind=True, name="tocsin.run", max_retries=None, throws=())
def run(self: Task, *execution_ids: str) -> str:
    """Carry out an execution, or several in parallel.

    Returns the result of the message.
    """
    if len(execution_ids) == 1:
        return slots.carry_out_single(self, lambda: _single(self, execution_ids[0]))
    return slots.carry_out_batch(self, _member)


def _single(task: Task, execution_id: str) -> str:
    ending = attempt(execution_id)
    if ending.retry_in is not None and ending.retry_in <= CARRIED_BY_CELERY:
        raise requeue.again_after(task, ending.retry_in)
    return str(ending.status)


def _member(execution_id: str) -> str:
    """Attempt a member of a batch; it has no own message."""
    claimed: list[Row] = []
    ending = attempt(execution_id, claimed.append)
    if ending.retry_in is not None and ending.retry_in <= CARRIED_BY_CELERY:
        row = claimed[0]
        message = TaskMessage(
            execution_id=row.id,
            label=row.action_id,
            queue=row.queue,
            timeout_ms=row.timeout_ms,
            workspace_id=row.workspace_id,
        )
        off_loop(canvas.publish, [message], countdown=ending.retry_in)  # if the broker is away, tick publishes it
    return str(ending.status)
