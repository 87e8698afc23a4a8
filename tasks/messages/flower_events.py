"""Task events for steps that a worker carries out in place.

Celery sends events for each message. A step that a worker carries out right after another has no message of its own; so
that Flower shows it too, its events are sent here, under its own task id. While Flower does not listen, nothing is sent
and nothing computed.
"""

import time
from typing import Any

from config import logs
from tasks.messages.model import TaskMessage

_consumer: Any = None

log = logs.logger(__name__)


def send_through(consumer: Any) -> None:
    """Use the event dispatcher of this worker's consumer, new after each outage."""
    global _consumer  # noqa: PLW0603 - one per worker process
    _consumer = consumer


def began(message: TaskMessage, parent_id: str) -> None:
    """Send the events of a step that begins."""
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
    """Send the event of a step that has ended.

    ``started`` is the monotonic time of its begin.
    """
    _send("task-succeeded", message, result=word, runtime=time.monotonic() - started)


def _send(event: str, message: TaskMessage, **fields: Any) -> None:
    dispatcher = getattr(_consumer, "event_dispatcher", None)
    if dispatcher is None or not dispatcher.enabled:
        return
    try:
        dispatcher.send(event, uuid=message.execution_id, **fields)
    except Exception:  # monitoring must never disturb an execution
        log.debug("task event not sent", exc_info=True)
