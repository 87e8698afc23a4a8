"""Decide how a container goes on: parallel, loop, for_each, playbook.

The end of a branch or an iteration counts it down; then the container is handled: either more iterations begin, or it
has ended and the run goes on after it. Both are guarded in the database (``cursor``, ``open``), so that several
workers may handle it at once.
"""

import json
from collections.abc import Mapping
from typing import Any

from config.types import Json
from expressions.conditions.evaluation import ConditionError, holds
from playbooks.plan import Node
from playbooks.states import Status, WaitingFor
from store.engine import db
from store.engine.db import Row
from store.executions import runs
from store.executions.run_transition import ContainerHandled, JoinDecision
from tasks.attempts.failure import failure
from tasks.runs.planner import Planner
from tasks.runs.step_attempt import variables
from tasks.runs.step_entries import Place


def decide(planner: Planner, row: Row) -> ContainerHandled | None:
    """Plan how a container goes on; None if it only waits."""
    node = planner.run.plan.nodes[row.step_id]
    place = planner.place_of(row.step_id, row.parent_id, row.iteration)
    decision = _DECISIONS[row.type](planner, node, place, row)
    if decision is None:
        return None
    if decision.status != Status.RUNNING:
        result = {"output": decision.output, "error": decision.error, "vars": decision.vars}
        planner.learn(node, place, decision.status, **result)
        planner.after(node.id, place, decision.status, decision.error)
    due_at = row.expires_at or planner.run.deadline
    return ContainerHandled(row_id=row.id, cursor=row.cursor, due_at=due_at, decision=decision)


def _parallel(_planner: Planner, _node: Node, _place: Place, row: Row) -> JoinDecision | None:
    if row.open > 0:
        return None
    output = {"branches": row.cursor, "failed": row.failures}
    if row.failures:
        return _failed(output, "branch_failed", f"{row.failures} of {row.cursor} branches failed.")
    return JoinDecision(status=Status.COMPLETED, output=output)


def _loop(planner: Planner, node: Node, place: Place, row: Row) -> JoinDecision | None:
    if row.open > 0 or row.waiting_for == WaitingFor.INTERVAL:
        return None
    output = {"iterations": row.cursor}
    if row.failures:
        return _failed(output, "pass_failed", f"Iteration {row.cursor} of the loop failed.")
    try:
        context = planner.context.of(node.id, (*place.iteration, max(row.cursor - 1, 0)), row.id)  # the last iteration
        goes_on = holds(node.step["while"], {**context, "index": row.cursor})
    except ConditionError as fault:
        return _failed(output, "bad_expression", planner.redact(str(fault)))
    if not goes_on:
        return JoinDecision(status=Status.COMPLETED, output=output)
    most = node.step.get("max_iterations", 100)
    if row.cursor >= most:
        return _failed(output, "loop_limit", f"The loop did not end within {most} iterations.")
    pause = int(node.step.get("interval_seconds", 0) * 1000)
    if pause and row.cursor and row.waiting_for != WaitingFor.RESTED:
        return JoinDecision(pause=pause)
    _begin(planner, node, place, row, 1)
    return JoinDecision(begun=1)


def _for_each(planner: Planner, node: Node, place: Place, row: Row) -> JoinDecision | None:
    items = json.loads(row.input)["items"]
    planner.context.learn_items(row.id, items)
    given_up = row.failures and not node.step.get("continue_on_error")
    left = 0 if given_up else len(items) - row.cursor
    begun = max(0, min(planner.run.widths.iterations[node.id] - row.open, left))
    if begun:
        _begin(planner, node, place, row, begun)
        return JoinDecision(begun=begun)
    if row.open > 0:
        return None
    output = {"items": len(items), "failed": row.failures}
    if row.failures:
        return _failed(output, "pass_failed", f"{row.failures} of {len(items)} items failed.")
    return JoinDecision(status=Status.COMPLETED, output=output)


def _playbook(planner: Planner, node: Node, place: Place, row: Row) -> JoinDecision | None:
    output = json.loads(row.output)
    with db.read() as connection:
        child = runs.read(connection, output["execution_id"])
    if row.open > 0 or child is None:
        return None
    output["status"] = child.status
    if child.status == Status.COMPLETED:
        output = {**(json.loads(child.output) if child.output else {}), **output}
        context = planner.context.of(node.id, place.iteration, row.previous_id)
        return JoinDecision(
            status=Status.COMPLETED, output=output, vars=variables(node.step, context, output, planner.context.redact)
        )
    error: Mapping[str, Any] = json.loads(child.error) if child.error else {}
    return _failed(output, "playbook_failed", f"The playbook {child.status}: {error.get('message', '')}".rstrip(": "))


def _begin(planner: Planner, node: Node, place: Place, row: Row, count: int) -> None:
    first = planner.run.plan.blocks[node.id].first
    for number in range(row.cursor, row.cursor + count):
        inside = Place(node.id, row.id, (*place.iteration, number))
        planner.enter(first, inside, row.id)


def _failed(output: Json, code: str, message: str) -> JoinDecision:
    return JoinDecision(status=Status.FAILED, output=output, error=failure(code, message))


#: type of container → how its next state is decided
_DECISIONS = {"parallel": _parallel, "loop": _loop, "for_each": _for_each, "playbook": _playbook}
