"""Attending to a step that holds others: a parallel, a loop, a for_each, a playbook.

Whoever ends a branch or a pass counts it down; then the holder is attended to: either more passes begin, or it has
come to its end and the run goes on behind it. Both are guarded in the database (``cursor``, ``open``), so that it does
no harm when several attend at once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from expressions.conditions.evaluation import ConditionError, holds
from playbooks.plan import Node
from providers.base import Json
from store.engine import db
from store.engine.db import Row
from store.executions import runs
from tasks.runs.planner import Advance
from tasks.runs.step_attempt import variables
from tasks.runs.step_entries import Place


@dataclass(frozen=True, kw_only=True)
class Attention:
    """What is to be written about the holder: ``begun`` more passes, a pause (ms) before the next one, or its end."""

    begun: int = 0
    pause: int = 0
    status: str = ""
    output: Json | None = None
    error: Json | None = None
    vars: Json | None = None


def attend(advance: Advance, row: Row) -> Attention | None:
    """Plan what a holder needs now; None when it only has to wait."""
    node = advance.run.plan.nodes[row.step_id]
    place = advance.place_of(row.step_id, row.parent_id, row.iteration)
    attention = {"parallel": _parallel, "loop": _loop, "for_each": _for_each, "playbook": _playbook}[row.type](
        advance, node, place, row
    )
    if attention is not None and attention.status:
        result = {"output": attention.output, "error": attention.error, "vars": attention.vars}
        advance.learn(node, place, attention.status, **result)
        advance.after(node.id, place, attention.status, attention.error)
    return attention


def _parallel(_advance: Advance, _node: Node, _place: Place, row: Row) -> Attention | None:
    if row.open > 0:
        return None
    output = {"branches": row.cursor, "failed": row.failures}
    if row.failures:
        return _failed(output, "branch_failed", f"{row.failures} of {row.cursor} branches failed.")
    return Attention(status="completed", output=output)


def _loop(advance: Advance, node: Node, place: Place, row: Row) -> Attention | None:
    if row.open > 0 or row.waiting_for == "interval":
        return None
    output = {"iterations": row.cursor}
    if row.failures:
        return _failed(output, "pass_failed", f"Pass {row.cursor} of the loop failed.")
    try:
        context = advance.context.of(node.id, (*place.iteration, max(row.cursor - 1, 0)), row.id)  # the last pass
        goes_on = holds(node.step["while"], {**context, "index": row.cursor})
    except ConditionError as fault:
        return _failed(output, "bad_expression", str(fault))
    if not goes_on:
        return Attention(status="completed", output=output)
    most = node.step.get("max_iterations", 100)
    if row.cursor >= most:
        return _failed(output, "loop_limit", f"The loop did not come to its end in {most} passes.")
    pause = int(node.step.get("interval_seconds", 0) * 1000)
    if pause and row.cursor and row.waiting_for != "rested":
        return Attention(pause=pause)
    _begin(advance, node, place, row, 1)
    return Attention(begun=1)


def _for_each(advance: Advance, node: Node, place: Place, row: Row) -> Attention | None:
    items = json.loads(row.input)["items"]
    advance.context.learn_items(row.id, items)
    given_up = row.failures and not node.step.get("continue_on_error")
    left = 0 if given_up else len(items) - row.cursor
    begun = max(0, min(advance.run.widths.passes[node.id] - row.open, left))
    if begun:
        _begin(advance, node, place, row, begun)
        return Attention(begun=begun)
    if row.open > 0:
        return None
    output = {"items": len(items), "failed": row.failures}
    if row.failures:
        return _failed(output, "pass_failed", f"{row.failures} of {len(items)} items failed.")
    return Attention(status="completed", output=output)


def _playbook(advance: Advance, node: Node, place: Place, row: Row) -> Attention | None:
    output = json.loads(row.output)
    with db.read() as connection:
        child = runs.read(connection, output["execution_id"])
    if row.open > 0 or child is None:
        return None
    output["status"] = child.status
    if child.status == "completed":
        output = {**(json.loads(child.output) if child.output else {}), **output}
        context = advance.context.of(node.id, place.iteration, row.previous_id)
        return Attention(
            status="completed", output=output, vars=variables(node.step, context, output, advance.context.redact)
        )
    error: Mapping[str, Any] = json.loads(child.error) if child.error else {}
    return _failed(output, "playbook_failed", f"The playbook {child.status}: {error.get('message', '')}".rstrip(": "))


def _begin(advance: Advance, node: Node, place: Place, row: Row, count: int) -> None:
    first = advance.run.plan.blocks[node.id].first
    for number in range(row.cursor, row.cursor + count):
        inside = Place(node.id, row.id, (*place.iteration, number))
        advance.enter(first, inside, row.id)


def _failed(output: Json, code: str, message: str) -> Attention:
    return Attention(status="failed", output=output, error={"code": code, "message": message, "outcome_unknown": False})
