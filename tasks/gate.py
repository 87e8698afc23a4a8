"""The gate in front of everything that goes out: one place where each execution is asked about.

In order of time: the values of an execution are known and valid; ``ask`` is called, before an executor gets
anything; only when it returns does the execution go on. A trigger is asked about once, when it is accepted. A step of
a run is asked about at each of its attempts, since each of them calls the receiver. Dry runs call nothing and are
not asked about.

There are no rules yet: ``ask`` lets everything pass, without a query and without looking at the facts.
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

    ``facts`` makes what the condition of a rule reads (the parameters with secrets masked, the target, the run and
    its step). It is called only when a rule concerns the execution.
    """
