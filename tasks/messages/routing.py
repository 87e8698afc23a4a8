"""The queue of an action's executions, and the former names of queues.

During a rolling upgrade processes of the release before still publish to three queues by their former names, and write
these names into rows. This release publishes nothing to them: ``tasks.messages.canvas`` puts the present name into each
message. Its workers consume them until they are empty, each right after the queue that has taken its place. A row keeps
the name that it was written with: until it ends that is the queue on which its message lies.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

#: the queue that workers ask first
URGENT = "urgent"

#: action type → queue; what is not named goes to ``steps``
_QUEUE_OF_TYPE = {"remediation": URGENT, "containment": URGENT, "notification": "notifications"}

#: former name of a queue → its name
FORMER = {"notices": "notifications", "patient": "slow", "suspects": "quarantine"}


def queue_of(definition: Mapping[str, Any]) -> str:
    """The queue of an action or a provider, which may name one itself.

    A local action may have to be killed, so it needs a process; an action that contains harm goes first.
    """
    if definition["executor"] == "local":
        return "scripts"
    if definition.get("queue"):
        return str(definition["queue"])
    return _QUEUE_OF_TYPE.get(definition["type"], "steps")


def present(queue: str) -> str:
    """The present name of a queue, given that or a former."""
    return FORMER.get(queue, queue)


def with_former(queues: Iterable[str]) -> Iterator[str]:
    """These queues, each followed by its former name where it has one."""
    for queue in queues:
        yield queue
        yield from (former for former, name in FORMER.items() if name == queue)
