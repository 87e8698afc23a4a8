"""The messages of a run that name a step whose work is not an action's: what follows it, or what it holds."""

from collections.abc import Mapping
from typing import Any

from playbooks.plan import Plan
from store.engine.db import Row
from tasks.definitions import revisions
from tasks.messages.model import TaskMessage
from tasks.messages.routing import queue_of


def join_message(holder_id: str) -> TaskMessage:
    """The task that attends to a step that holds others."""
    return TaskMessage(
        task="tocsin.join", execution_id=holder_id, label="join", queue="steps", run_id=holder_id.partition(".")[0]
    )


def follow_message(step_row_id: str, label: str) -> TaskMessage:
    """The task that goes on after a step that ended where nobody planned what follows."""
    run_id = step_row_id.partition(".")[0]
    return TaskMessage(task="tocsin.follow", execution_id=step_row_id, label=label, queue="steps", run_id=run_id)


def follow_message_of(row: Row) -> TaskMessage:
    """The same for a step's row."""
    return follow_message(row.id, row.type or "step")


def begin_message(run_id: str, playbook_id: str, queue: str) -> TaskMessage:
    """The task that begins a run."""
    return TaskMessage(task="tocsin.begin", execution_id=run_id, label=playbook_id, queue=queue, run_id=run_id)


def step_message(plan: Plan, pins: Mapping[str, str], run_id: str, step_id: str, iteration: str) -> TaskMessage:
    """The task that carries out an action step."""
    return TaskMessage(execution_id=row_id(run_id, step_id, iteration), run_id=run_id, **_common(plan, pins, step_id))


def _common(plan: Plan, pins: Mapping[str, str], step_id: str) -> dict[str, Any]:
    """What the messages of an action step have in common, whatever the run."""
    step = plan.nodes[step_id].step
    definition = revisions.action(pins[step["action_ref"]]).definition
    return {
        "task": "tocsin.step",
        "label": step["action_ref"],
        "queue": queue_of(definition),
        "timeout_ms": timeout_ms(step, definition),
    }


def row_id(run_id: str, step_id: str, iteration: str) -> str:
    """The id of a step's row; the step of each pass of a loop has its own."""
    return f"{run_id}.{step_id}.{iteration}" if iteration else f"{run_id}.{step_id}"


def timeout_ms(step: Mapping[str, Any], definition: Mapping[str, Any]) -> int:
    """How long one attempt at a step may take."""
    return int((step.get("timeout_seconds") or definition["timeout_seconds"]) * 1000)
