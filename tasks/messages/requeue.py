"""Messages passed on before anything of them was claimed: to another queue, or back to the tail of their own.

The message goes on as it is, with its id, the links of its chain and its place in a chord; the copy in hand is cut off
from both, so that Celery neither publishes the next link nor counts a member that has yet to come. A bundle has no
place in a chord but for its first message: the members that go on leave the chord, whose body may then come before
they end; it finds the join not due, and whoever ends last brings it about (the count is in the database).
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from celery import Task

from tasks.messages import publisher
from tasks.messages.canvas import BrokerDown
from tasks.messages.model import Batch, TaskMessage

#: task of a bundle → task of one member that comes alone
_ALONE = {"tocsin.branches": "tocsin.step"}
_LABEL = re.compile(r"\('([^']*)'")


class Member(NamedTuple):
    """An execution in a bundle, and what people look for in Flower: the action's id, or the playbook's."""

    id: str
    label: str


class Bundle(NamedTuple):
    """What must be known of a message with several executions, on threads that have no request of their own."""

    task: str
    message_id: str
    queue: str
    root_id: str | None
    members: tuple[Member, ...]

    @classmethod
    def of(cls, task: Task) -> Self:
        """The message in hand."""
        request = task.request
        members = tuple(map(Member, request.args, labels(request)))
        return cls(str(task.name), str(request.id), queue_of(request), request.root_id, members)

    def message(self, execution_id: str, queue: str = "") -> TaskMessage:
        """One of its executions as a message of its own carries it."""
        label = next(member.label for member in self.members if member.id == execution_id)
        task, run_id = _ALONE.get(self.task, self.task), execution_id.partition(".")[0]
        return TaskMessage(task=task, execution_id=execution_id, label=label, queue=queue or self.queue, run_id=run_id)


def labels(request: Any) -> list[str]:
    """What each execution of a message is of: its header ``lanes``, else what Flower shows of its arguments."""
    given = getattr(request, "lanes", None)
    if given is None:
        found = _LABEL.match(getattr(request, "argsrepr", None) or "")
        given = found[1] if found else ""
    return [given] * len(request.args) if isinstance(given, str) else [*given]


def queue_of(request: Any) -> str:
    """The queue over which a message came."""
    return str((request.delivery_info or {}).get("routing_key") or "steps")


def hand_on(task: Task, queue: str) -> None:
    """Publish a message once more, to another queue, with all that hangs on it, and cut the copy in hand off."""
    request = task.request
    try:
        shown = {"argsrepr": request.argsrepr, "kwargsrepr": "{}"}
        again = task.signature_from_request(request, queue=queue, immutable=True, **shown)
        again.apply_async(retry=False, add_to_parent=False)
    except BrokerDown:
        publisher.republish_later([str(execution_id) for execution_id in request.args])
    request.chain = request.chord = None


def again_after(task: Task, pause: float) -> Exception:
    """Have Celery carry a message once more after ``pause`` seconds; returns what is then to be raised.

    What Flower shows of it goes along, and with it the action for which it will ask for a turn.
    """
    shown = {"argsrepr": task.request.argsrepr, "kwargsrepr": "{}"}
    retry: Exception = task.retry(countdown=pause, retry=False, throw=False, **shown)
    return retry


def publish(bundle: Bundle, members: Sequence[Member], queue: str) -> None:
    """Publish some members of a bundle that have not begun, as a message of their own."""
    messages = tuple(bundle.message(member.id, queue) for member in members)
    publisher.publish([messages[0] if len(messages) == 1 else Batch(bundle.task, messages, run_id=bundle.root_id)])
