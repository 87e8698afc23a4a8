"""Requeue unclaimed messages: on another queue, or at their own tail.

The new message has the same id, the links of its chain and its place in a chord. The copy in hand loses both, so that
Celery neither publishes the next link nor counts a member that has yet to run. In a chord only the first message of a
batch has a place: requeued members leave the chord, whose body may then arrive before they end. It finds that the join
is not due, and the member that ends last brings the join about (the count is in the database).
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from celery import Task

from tasks.messages import publisher
from tasks.messages.canvas import BrokerDown
from tasks.messages.current import off_loop
from tasks.messages.model import Batch, TaskMessage

#: task of a batch → task of one member in a message of its own
_ALONE = {"tocsin.branches": "tocsin.step"}
_LABEL = re.compile(r"\('([^']*)'")


class Member(NamedTuple):
    """An execution in a batch, with its action (and workspace) or playbook."""

    id: str
    permit: str


class ReceivedBatch(NamedTuple):
    """A message with several executions, for threads that have no Celery request."""

    task: str
    message_id: str
    queue: str
    root_id: str | None
    members: tuple[Member, ...]

    @classmethod
    def of(cls, task: Task) -> Self:
        """The message that a task carries out."""
        request = task.request
        members = tuple(map(Member, request.args, permits(request)))
        return cls(str(task.name), str(request.id), queue_of(request), request.root_id, members)

    def message(self, execution_id: str, queue: str = "") -> TaskMessage:
        """The message that one of its executions would have by itself."""
        permit = next(member.permit for member in self.members if member.id == execution_id)
        workspace_id, _, label = permit.rpartition("/")
        return TaskMessage(
            task=_ALONE.get(self.task, self.task),
            execution_id=execution_id,
            label=label,
            queue=queue or self.queue,
            run_id=execution_id.partition(".")[0],
            workspace_id=workspace_id,
        )


def permits(request: Any) -> list[str]:
    """The action of each execution of a message, with its workspace, or the playbook.

    It is in the header ``lanes``; in messages of the release before it lacks the workspace, and that of a single
    execution is in what Flower shows of the arguments.
    """
    given = getattr(request, "lanes", None)
    if given is None:
        found = _LABEL.match(getattr(request, "argsrepr", None) or "")
        given = found[1] if found else ""
    return [given] * len(request.args) if isinstance(given, str) else [*given]


def queue_of(request: Any) -> str:
    """The queue from which a message came."""
    return str((request.delivery_info or {}).get("routing_key") or "steps")


def requeue(task: Task, queue: str) -> None:
    """Publish a message on another queue, detached here from chain and chord."""
    request = task.request
    try:
        shown = _kept(request)
        again = task.signature_from_request(request, queue=queue, immutable=True, **shown)
        off_loop(again.apply_async, retry=False, add_to_parent=False)
    except BrokerDown:
        publisher.republish_later([str(execution_id) for execution_id in request.args])
    request.chain = request.chord = None


def again_after(task: Task, pause: float) -> Exception:
    """Have Celery deliver a message again after ``pause`` seconds.

    Returns the exception to raise.

    The new message keeps what Flower shows, and with it the action for which it asks for a permit.
    """
    shown = _kept(task.request)
    retry: Exception = off_loop(task.retry, countdown=pause, retry=False, throw=False, **shown)
    return retry


def _kept(request: Any) -> dict[str, Any]:
    """What a new message of an execution has from the one in hand: what Flower shows, and the permit's name."""
    kept: dict[str, Any] = {"argsrepr": request.argsrepr, "kwargsrepr": "{}"}
    if getattr(request, "lanes", None) is not None:
        kept["headers"] = {"lanes": request.lanes}
    return kept


def publish(batch: ReceivedBatch, members: Sequence[Member], queue: str) -> None:
    """Publish members that have not begun in a new message."""
    messages = tuple(batch.message(member.id, queue) for member in members)
    publisher.publish([messages[0] if len(messages) == 1 else Batch(batch.task, messages, run_id=batch.root_id)])
