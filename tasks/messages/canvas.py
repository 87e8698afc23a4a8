"""The one file that composes Celery signatures and publishes them.

A message carries the id of an execution and nothing else. Its task id *is* the execution id, so that Flower, logs and
the database show the same id; the root id of every message of a run is the run's id.

The join of a chord is counted in the database (``store.executions.steps.count_finished``), so it happens once even when
Redis has lost the chord; the chord's body only makes it prompt. Therefore no task of a chord may raise, be revoked or
expire: it returns a word, whatever happens.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from amqp.exceptions import AMQPError  # type: ignore[import-untyped]
from celery import Signature
from kombu.exceptions import BatchPublishError, OperationalError
from kombu.messaging import Producer
from redis.exceptions import RedisError

from tasks.app import app
from tasks.messages.model import Batch, Canvas, Chain, Chord, TaskMessage
from tasks.messages.routing import present, with_former

#: added to an action's timeout before its process must stop (soft) and is killed (hard), seconds
SOFT_GRACE = 0.2
HARD_GRACE = 5

#: queues whose processes can be killed; Celery's time limits have no effect on the others
KILLABLE = frozenset(with_former(("scripts", "quarantine")))

#: the most actions or runs in a batch, of those that have piled up
BATCH_SIZE = 24

#: the branches of a wide parallel step travel in this many batches, so that as many workers share them ...
BRANCH_BATCHES = 4
#: ... or in more: a batch has at most this many branches
MOST_BRANCHES = 25

#: the errors of publishing when the broker is away
BrokerDown = (OperationalError, BatchPublishError, RedisError, AMQPError, OSError, RuntimeError)


def signature(message: TaskMessage) -> Signature:
    """The task that carries out one execution."""
    options: dict[str, Any] = {
        "task_id": message.execution_id,
        "queue": present(message.queue),
        "argsrepr": f"({message.label!r}, {message.execution_id!r})",
        "kwargsrepr": "{}",
        "add_to_parent": False,
        "ignore_result": True,  # else each call subscribes to a result that is never read
    }
    if message.run_id:
        options["root_id"] = message.run_id
    headers: dict[str, Any] = {"lanes": [message.permit]} if message.workspace_id else {}
    if message.ahead:
        headers["ahead"] = True
    if headers:
        options["headers"] = headers
    if message.queue in KILLABLE:
        seconds = message.timeout_ms / 1000
        options |= {"soft_time_limit": seconds + SOFT_GRACE, "time_limit": seconds + HARD_GRACE}
    return app.signature(message.task, args=(message.execution_id,), immutable=True, options=options)


def publish(canvases: Iterable[Canvas], *, countdown: float | None = None) -> list[str]:
    """Publish executions in one round trip.

    Returns the ids that tick must publish later.

    Actions and beginning runs that are published together share messages; a single one has its own. When the broker
    fails on the way, it is not known which messages it has; all count as missed, and a duplicate message does no harm.
    ``countdown`` (seconds) delays the first message of each chain.
    """
    wanted = list(canvases)
    if not wanted:
        return []
    options: dict[str, Any] = {} if countdown is None else {"countdown": countdown}
    try:
        with app.producer_or_acquire() as producer, producer.batch():
            for canvas in _batched(wanted) if countdown is None else wanted:
                if isinstance(canvas, Batch):
                    _send(_batch(canvas, f"{canvas.first}.together"), producer)
                elif isinstance(canvas, Chord):
                    _publish_chord(canvas, producer)
                else:
                    messages = canvas.messages if isinstance(canvas, Chain) else (canvas,)
                    _publish_chain([signature(message) for message in messages], producer, **options)
    except BrokerDown:
        return [execution_id for canvas in wanted for execution_id in _all_of(canvas)]
    return []


def _batched(canvases: list[Canvas]) -> Iterator[Canvas]:
    """The same canvases, with those that may share a message in batches.

    A run in a batch loses the rest of its chain: the worker that claims it goes on in place, or publishes the rest.
    """
    batches: dict[tuple[str, str], list[TaskMessage]] = {}
    alone: dict[str, Canvas] = {}
    for canvas in canvases:
        message = canvas.messages[0] if isinstance(canvas, Chain) else canvas
        shares = (
            isinstance(message, TaskMessage) and message.task in ("tocsin.run", "tocsin.begin") and not message.ahead
        )
        if isinstance(message, TaskMessage) and shares and message.queue not in KILLABLE:
            batches.setdefault((message.task, message.queue), []).append(message)
            alone[message.execution_id] = canvas
        else:
            yield canvas
    for messages in batches.values():
        for at in range(0, len(messages), BATCH_SIZE):
            some = tuple(messages[at : at + BATCH_SIZE])
            yield Batch(some[0].task, some) if len(some) > 1 else alone[some[0].execution_id]


def _all_of(canvas: Canvas) -> list[str]:
    """The executions that are ready to begin."""
    if isinstance(canvas, Chord):
        return [branch[0].execution_id for branch in canvas.branches]
    if isinstance(canvas, Batch):
        return [message.execution_id for message in canvas.messages]
    return [canvas.first]


def _publish_chain(links: list[Signature], producer: Producer, **options: Any) -> None:
    """Send the first message, which carries the others.

    ``celery.chain`` sends the same message; it copies every link twice on the way and keeps a result for each.
    """
    first, *others = links
    if others:
        options["chain"] = [dict(link) for link in reversed(others)]
    _send(first, producer, **options)


def _send(task: Signature, producer: Producer, **options: Any) -> None:
    """Send the message of a task.

    The first one of a connection declares its queue.

    kombu remembers declared queues too, but copies the queue for each message before it looks.
    """
    if hash(app.amqp.queues[task.options["queue"]]) in producer.connection.declared_entities:
        options["declare"] = []
    task.apply_async(producer=producer, retry=False, **options)


def _publish_chord(chord: Chord, producer: Producer) -> None:
    """Send the messages of ``celery.chord``, without its result objects."""
    group_id = chord.join.execution_id
    body = signature(chord.join)
    body.options["task_id"] = f"{group_id}.join"
    headers = _headers(chord)
    app.backend.set_chord_size(group_id, len(headers))
    for index, links in enumerate(headers):
        links[-1].options |= {"chord": body, "group_id": group_id, "group_index": index}
        _publish_chain(links, producer)


def _headers(chord: Chord) -> list[list[Signature]]:
    """The chains of a chord.

    Those of a wide chord are batches of the first steps. The later steps of a batched branch follow in place or in new
    chains.
    """
    firsts = [branch[0] for branch in chord.branches]
    queues = {message.queue for message in firsts}
    if len(firsts) <= BRANCH_BATCHES or len(queues) > 1 or queues & KILLABLE:
        return [[signature(message) for message in branch] for branch in chord.branches]
    size = min(MOST_BRANCHES, -(-len(firsts) // BRANCH_BATCHES))
    return [[_branches(chord, firsts[at : at + size], at)] for at in range(0, len(firsts), size)]


def _branches(chord: Chord, messages: list[TaskMessage], at: int) -> Signature:
    branches = Batch("tocsin.branches", tuple(messages), run_id=chord.join.run_id)
    return _batch(branches, f"{chord.join.execution_id}.branches.{at}")


def _batch(batch: Batch, name: str) -> Signature:
    """The task of a batch.

    Its header ``lanes`` names the action of each execution with its workspace, or the playbook
    (``tasks.messages.requeue``).
    """
    messages = batch.messages
    options: dict[str, Any] = {
        "task_id": name,
        "queue": present(messages[0].queue),
        "headers": {"lanes": [message.permit for message in messages]},
        "argsrepr": f"({messages[0].label!r}, {len(messages)} from {batch.first!r})",
        "kwargsrepr": "{}",
        "add_to_parent": False,
        "ignore_result": True,
    }
    if batch.run_id:
        options["root_id"] = batch.run_id
    ids = tuple(message.execution_id for message in messages)
    return app.signature(batch.task, args=ids, immutable=True, options=options)


def revoke(execution_id: str) -> bool:
    """Have the workers drop the message of an ended execution.

    False when the broker is away.
    """
    try:
        app.control.revoke(execution_id, connection=None, reply=False, retry=False)
    except BrokerDown:
        return False
    return True


def probe(worker: str) -> None:
    """Send an idle worker a message through a queue of its own.

    It never expires.

    Raises one of ``BrokerDown`` when the broker is away.
    """
    app.signature("tocsin.probe", immutable=True).apply_async(queue=f"{worker}.dq2", retry=False)


def takes_probe(worker: str) -> bool:
    """Whether the broker takes a probe over a new connection.

    An earlier fault can have broken an old connection.
    """
    try:
        with app.connection_for_write() as connection:
            app.signature("tocsin.probe", immutable=True).apply_async(
                queue=f"{worker}.dq2", retry=False, connection=connection
            )
    except BrokerDown:
        return False
    return True
