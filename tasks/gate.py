"""The gate in front of every outside call of an execution.

In order of time: the values of an execution are known and valid; the caller calls ``ask``, before an executor gets
anything; the execution goes on only when ``ask`` returns. A trigger passes the gate once, when it is accepted. A step
of a run passes it at each of its attempts, because each calls the receiver. Dry runs call nothing and do not pass it.

There are no rules yet: ``ask`` lets everything pass, without a query and without reading the facts.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

Origin = Literal["trigger", "step"]


def ask(
    origin: Origin,
    workspace_id: str,
    executor: str,
    action_id: str,
    facts: Callable[[], Mapping[str, Any]],
) -> None:
    """Ask whether an execution may go out; returns when it may.

    ``facts`` returns what the condition of a rule reads (the parameters with secrets masked, the target, the run and
    its step). It is called only when a rule concerns the execution.
    """
