"""Publishes task events to monitors, such as Flower.

A monitor asks for the events of tasks by a command that every worker gets (``enable_events``). Before that nothing is
published. Many events share a message of the broker, as Celery's own do in a worker with an event loop.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tasks.app import app

#: events in one message
BATCH = 50

_consumer: Any = None


class TaskEvent(NamedTuple):
    """An event of one task, under the name of a worker."""

    #: Celery's name of it, ``task-failed``
    type: str
    task_id: str
    worker: str
    #: ms since the epoch
    at: int
    fields: Mapping[str, Any]


def send_through(consumer: Any) -> None:
    """Use the settings of this worker's consumer, new after each outage."""
    global _consumer  # noqa: PLW0603 - one per worker process
    _consumer = consumer


def wanted() -> str:
    """The name of this worker if a monitor has asked for events, else empty."""
    dispatcher = getattr(_consumer, "event_dispatcher", None)
    return str(_consumer.hostname) if dispatcher is not None and "task" in dispatcher.groups else ""


def publish(events: Sequence[TaskEvent]) -> None:
    """Publish events in their order.

    Raises one of ``tasks.messages.canvas.BrokerDown`` when the broker is away.
    """
    if not events:
        return
    with app.producer_or_acquire() as producer:
        dispatcher = app.events.Dispatcher(
            producer.connection, buffer_group={"task"}, buffer_limit=BATCH, buffer_while_offline=False
        )
        for event in events:
            dispatcher.hostname = event.worker
            dispatcher.send(event.type, uuid=event.task_id, timestamp=event.at / 1000, **event.fields)
        dispatcher.flush()
