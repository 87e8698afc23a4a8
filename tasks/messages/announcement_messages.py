"""The message that has announcements made: playbooks that listen are started."""

from tasks.messages.model import TaskMessage


def announcement(execution_id: str, label: str) -> TaskMessage:
    """The task that announces what has happened to an execution."""
    return TaskMessage(task="tocsin.announce", execution_id=execution_id, label=label, queue="steps")
