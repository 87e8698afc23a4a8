"""The messages of a run that name a step whose work is not an action's: what follows it, or what it holds."""

from tasks.messages.canvas import Ring


def join_ring(holder_id: str) -> Ring:
    """The task that attends to a step that holds others."""
    return Ring(
        task="tocsin.join", execution_id=holder_id, label="join", queue="steps", run_id=holder_id.partition(".")[0]
    )


def follow_ring(step_row_id: str, label: str) -> Ring:
    """The task that goes on after a step that ended where nobody planned what follows."""
    run_id = step_row_id.partition(".")[0]
    return Ring(task="tocsin.follow", execution_id=step_row_id, label=label, queue="steps", run_id=run_id)
