"""Messages as values: a task, a chain, a chord, a batch."""

from dataclasses import dataclass

from tasks.messages.routing import URGENT


def permit_key(workspace_id: str, action_id: str) -> str:
    """The name of an action of a workspace among the actions of all."""
    return f"{workspace_id}/{action_id}" if workspace_id else action_id


@dataclass(frozen=True, kw_only=True)
class TaskMessage:
    """The message of one task for one execution."""

    execution_id: str
    queue: str
    #: what Flower shows: the id of the action or playbook, or the type of a step
    label: str
    timeout_ms: int = 0
    task: str = "tocsin.run"
    run_id: str | None = None
    #: whether it goes ahead of its queue (``tasks.broker``): it has waited before, and lost its worker
    ahead: bool = False
    #: of an execution that makes calls: the workspace of its action
    workspace_id: str = ""

    @property
    def permit(self) -> str:
        """What it needs a permit for (``tasks.fairness.concurrency``).

        Other workspaces may have actions of the same id.
        """
        return permit_key(self.workspace_id, self.label)

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

    @property
    def is_urgent(self) -> bool:
        """Whether a run begins with an urgent step, even beyond its allowance."""
        return any(message.queue == URGENT for message in self.messages[:2])


@dataclass(frozen=True)
class Chord:
    """Chains in parallel, and the task that joins them."""

    branches: tuple[tuple[TaskMessage, ...], ...]
    join: TaskMessage

    @property
    def first(self) -> str:
        """The execution that is joined."""
        return self.join.execution_id


@dataclass(frozen=True)
class Batch:
    """Independent executions of one queue in one message of this task."""

    task: str
    messages: tuple[TaskMessage, ...]
    #: the run that all belong to, if they belong to one
    run_id: str | None = None

    @property
    def first(self) -> str:
        """The first of its executions."""
        return self.messages[0].execution_id


Canvas = TaskMessage | Chain | Chord | Batch
