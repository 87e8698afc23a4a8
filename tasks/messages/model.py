"""What can be put on a queue: a task, a chain of tasks, a chord, a pile of them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TaskMessage:
    """What must be known of an execution to put it on its queue."""

    execution_id: str
    queue: str
    #: what people look for in Flower: the action's id, the playbook's, the type of a step
    label: str
    timeout_ms: int = 0
    task: str = "tocsin.run"
    run_id: str | None = None
    #: whether it goes before what waits on its queue (``tasks.broker``): it had its turn, and lost its worker
    ahead: bool = False

    @property
    def first(self) -> str:
        """The execution with which it begins."""
        return self.execution_id


@dataclass(frozen=True)
class Chain:
    """Tasks one after the other."""

    messages: tuple[TaskMessage, ...]

    @property
    def first(self) -> str:
        """The execution with which it begins."""
        return self.messages[0].execution_id


@dataclass(frozen=True)
class Chord:
    """Chains side by side, and the task that joins them."""

    branches: tuple[tuple[TaskMessage, ...], ...]
    join: TaskMessage

    @property
    def first(self) -> str:
        """The execution that it is for."""
        return self.join.execution_id


@dataclass(frozen=True)
class Batch:
    """Executions that have nothing to wait for in each other, of one queue, in one message of this task."""

    task: str
    messages: tuple[TaskMessage, ...]
    #: the run they are all of, if they are of one
    run_id: str | None = None

    @property
    def first(self) -> str:
        """The execution that comes first in it."""
        return self.messages[0].execution_id


Canvas = TaskMessage | Chain | Chord | Batch
