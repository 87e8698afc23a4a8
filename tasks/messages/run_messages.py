"""The messages of a run: begin, step, join, follow."""

from collections.abc import Mapping
from typing import Any

from playbooks.plan import Plan
from store.engine.db import Row
from tasks.definitions import revisions
from tasks.messages.model import TaskMessage
from tasks.messages.routing import queue_of


def join_message(container_id: str) -> TaskMessage:
    """The task that decides whether a container goes on or ends."""
    run_id = container_id.partition(".")[0]
    return TaskMessage(task="tocsin.join", execution_id=container_id, label="join", queue="steps", run_id=run_id)


def follow_message(step_row_id: str, label: str) -> TaskMessage:
    """The task that plans the successors of an ended step."""
    run_id = step_row_id.partition(".")[0]
    return TaskMessage(task="tocsin.follow", execution_id=step_row_id, label=label, queue="steps", run_id=run_id)


def follow_message_of(row: Row) -> TaskMessage:
    """The same for a step's row."""
    return follow_message(row.id, row.type or "step")


def begin_message(run_id: str, playbook_id: str, queue: str) -> TaskMessage:
    """The task that begins a run."""
    return TaskMessage(task="tocsin.begin", execution_id=run_id, label=playbook_id, queue=queue, run_id=run_id)


def step_message(
    plan: Plan, pins: Mapping[str, str], workspace_id: str, run_id: str, step_id: str, iteration: str
) -> TaskMessage:
    """The task that carries out an action step."""
    return TaskMessage(
        execution_id=row_id(run_id, step_id, iteration),
        run_id=run_id,
        workspace_id=workspace_id,
        **_common(plan, pins, step_id),
    )


def _common(plan: Plan, pins: Mapping[str, str], step_id: str) -> dict[str, Any]:
    """The fields of a step's message, equal in every run."""
    step = plan.nodes[step_id].step
    definition = revisions.action(pins[step["action_ref"]]).definition
    return {
        "task": "tocsin.step",
        "label": step["action_ref"],
        "queue": queue_of(definition),
        "timeout_ms": timeout_ms(step, definition),
    }


def row_id(run_id: str, step_id: str, iteration: str) -> str:
    """The id of a step's row, one for each iteration."""
    return f"{run_id}.{step_id}.{iteration}" if iteration else f"{run_id}.{step_id}"


def timeout_ms(step: Mapping[str, Any], definition: Mapping[str, Any]) -> int:
    """How long one attempt at a step may take."""
    return int((step.get("timeout_seconds") or definition["timeout_seconds"]) * 1000)
