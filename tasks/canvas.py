"""The one file that composes Celery signatures and publishes them.

A message carries the id of an execution and nothing else; its task id *is* the execution id, so that Flower,
logs and the database speak of the same thing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from celery import Signature
from kombu.exceptions import BatchPublishError, OperationalError

from tasks.app import app

#: added to an action's timeout before a process is made to stop it (soft) and is killed (hard), seconds
SOFT_GRACE = 0.2
HARD_GRACE = 5

#: queues whose processes can be stopped from outside; time limits mean nothing to the others
KILLABLE = frozenset({"scripts", "suspects"})

#: what publishing raises when the broker is away
BrokerDown = (OperationalError, BatchPublishError, OSError, RuntimeError)


@dataclass(frozen=True, kw_only=True)
class Ring:
    """What must be known of an execution to put it on its queue."""

    execution_id: str
    action_id: str
    queue: str
    timeout_ms: int


def signature(ring: Ring) -> Signature:
    """The task that carries out one execution."""
    options: dict[str, Any] = {
        "task_id": ring.execution_id,
        "queue": ring.queue,
        "argsrepr": f"({ring.action_id!r}, {ring.execution_id!r})",
        "kwargsrepr": "{}",
    }
    if ring.queue in KILLABLE:
        seconds = ring.timeout_ms / 1000
        options |= {"soft_time_limit": seconds + SOFT_GRACE, "time_limit": seconds + HARD_GRACE}
    return app.signature("tocsin.run", args=(ring.execution_id,), immutable=True, options=options)


def publish(rings: Iterable[Ring]) -> list[Ring]:
    """Put executions on their queues in one round trip; returns those that tick must publish later.

    When the broker fails on the way nobody knows which messages it has; all count as missed, and a message too
    many does no harm.
    """
    wanted = list(rings)
    if not wanted:
        return []
    try:
        with app.producer_or_acquire() as producer, producer.batch():
            for ring in wanted:
                signature(ring).apply_async(producer=producer, retry=False)
    except BrokerDown:
        return wanted
    return []


def revoke(execution_id: str) -> bool:
    """Tell the workers to drop the message of an execution that is over; false when the broker is away."""
    try:
        app.control.revoke(execution_id, connection=None, reply=False, retry=False)
    except BrokerDown:
        return False
    return True


def probe(worker: str) -> None:
    """Send an idle worker something to take, through a queue of its own.

    Raises one of ``BrokerDown`` when the broker is away.
    """
    app.signature("tocsin.probe", immutable=True).apply_async(queue=f"{worker}.dq2", expires=30, retry=False)
