"""Which queue an action's executions go to."""

from collections.abc import Mapping
from typing import Any

#: the queue that is served first, and never refused
URGENT = "urgent"

#: action type → queue; what is not named goes to ``steps``
_QUEUE_OF_TYPE = {"remediation": URGENT, "containment": URGENT, "notification": "notices"}


def queue_of(definition: Mapping[str, Any]) -> str:
    """The queue an action goes to: what may have to be killed apart, what contains harm first."""
    if definition["executor"] == "local":
        return "scripts"
    return _QUEUE_OF_TYPE.get(definition["type"], "steps")
