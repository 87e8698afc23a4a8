"""Task events for steps that a worker carries out in place.

Celery tells Flower of each message. A step that is carried out right behind another has no message of its own; so that
Flower shows it all the same, its events are sent here, under its own task id. Nothing is sent, and nothing paid, while
nobody listens.
"""

import time
from typing import Any

from config import logs
from tasks.messages.model import TaskMessage

_consumer: Any = None

log = logs.logger(__name__)


def send_through(consumer: Any) -> None:
    """Use the event dispatcher that this worker's consumer has: after each loss of the broker it has a new one."""
    global _consumer  # noqa: PLW0603 - one per worker process
    _consumer = consumer


def began(message: TaskMessage, parent_id: str) -> None:
    """A step is taken up."""
    _send(
        "task-received",
        message,
        name=message.task,
        args=f"({message.label!r}, {message.execution_id!r})",
        kwargs="{}",
        root_id=message.run_id,
        parent_id=parent_id,
        retries=0,
    )
    _send("task-started", message)


def ended(message: TaskMessage, word: str, started: float) -> None:
    """It has come to its end; ``started`` is the monotonic time at which it began."""
    _send("task-succeeded", message, result=word, runtime=time.monotonic() - started)


def _send(event: str, message: TaskMessage, **fields: Any) -> None:
    dispatcher = getattr(_consumer, "event_dispatcher", None)
    if dispatcher is None or not dispatcher.enabled:
        return
    try:
        dispatcher.send(event, uuid=message.execution_id, **fields)
    except Exception:  # who watches must never disturb what is watched
        log.debug("a task event was not sent", exc_info=True)
