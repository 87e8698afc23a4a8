"""The bodies that show runs and their steps.

The same step is shown in two forms: in a run there is one item for each step of the playbook, which of a step in a loop
shows the last iteration; in the list of a run's steps there is one item for each execution, with all its details.
"""

import functools
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any, NamedTuple

from flask import Response

from api.http import pages
from api.http import times as http_times
from api.http.blueprint import finished, written
from api.runs import queries
from gateway import gate_column
from gateway.facts import CHAIN_PREFIX, PROVIDER_PREFIX
from gateway.redacted import redacted
from playbooks import timeline
from playbooks.plan import Node, Plan
from playbooks.progress import StepState, counts, current, progress
from playbooks.states import Mode, Status, WaitingFor
from store.callers import actors
from store.callers.actors import Actor
from store.engine import db
from store.engine.db import Row
from store.executions import runs, transitions
from store.executions.lists import run_listing
from tasks.definitions import revisions
from tasks.runs.context import parted

#: the waits of a step that answers show
_WAITS = frozenset({WaitingFor.APPROVAL, WaitingFor.GATE, WaitingFor.DELAY, WaitingFor.RETRY})
_WAITS_OF_A_PAUSED_RUN = frozenset({WaitingFor.APPROVAL, WaitingFor.GATE, WaitingFor.DELAY})


def answer_run(
    members: Mapping[str, Any], query: Mapping[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The answer with its members at the top level and under ``data``, or only there, as the query says."""
    return answer_written(written(members), query, status, headers)


def answer_written(
    text: str, query: Mapping[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The same of members that are written as JSON."""
    only_data = query["envelope"] == queries.DATA
    return finished(f'{{"data":{text}}}' if only_data else f'{text[:-1]},"data":{text}}}', status, headers)


def accepted(row: Mapping[str, Any]) -> dict[str, Any]:
    """A run as it was when it was accepted."""
    revision, _ = revisions.playbook(row["revision_id"])
    return {
        "execution_id": row["id"],
        "id": row["id"],
        "playbook_id": row["action_id"],
        "playbook_name": revision.definition["name"],
        "version": revision.version,
        "status": Status.PENDING,
        "dry_run": row["mode"] == Mode.DRY_RUN,
        "target_asset_id": row["target"],
        "created_at": http_times.stamp(row["created_at"]),
        "started_at": None,
        "steps": _untouched(row["revision_id"]),
    }


@functools.lru_cache(maxsize=256)
def _untouched(revision_id: str) -> list[dict[str, Any]]:
    """The steps of a pending run; callers must not change them."""
    _, plan = revisions.playbook(revision_id)
    return [_step(state, None) for state in progress(plan, Status.PENDING, ())]


def run_detail(row: Row, *, outputs: bool = True) -> dict[str, Any]:
    """A run in full, with one item for each step; those of a step are left out without ``outputs``.

    If the run ends between the queries, it is read again: an answer that says it has ended shows how.
    """
    revision, plan = revisions.playbook(row.revision_id)
    with db.read() as connection:
        rows = run_listing.of_run(connection, row.id)
        status = run_listing.shown_status(connection, row)
        if status in transitions.TERMINAL and row.status not in transitions.TERMINAL:
            row = runs.get(connection, row.workspace_id, row.id)
            rows, status = run_listing.of_run(connection, row.id), run_listing.shown_status(connection, row)
        states = progress(plan, row.status, [_mapping(step) for step in rows])
        reached = [state.row["id"] for state in states if state.row is not None]
        results = run_listing.outcomes(connection, reached, outputs=outputs)
        started_in = run_listing.parent_of(connection, row)
        who = actors.named(connection, [row.created_by])
    context = transitions.load(row.context)
    completed, total = counts(states)
    paused_by = _run_waits_for(row, status, rows)
    return {
        "execution_id": row.id,
        "id": row.id,
        "playbook_id": row.action_id,
        "playbook_name": revision.definition["name"],
        "version": revision.version,
        "status": status,
        "paused_by": paused_by,
        "waiting_for": paused_by,
        "current_step": current(states) if row.status in transitions.LIVE else None,
        "steps_completed": completed,
        "steps_total": total,
        **_common(row, who),
        "trigger": row.cause,
        "event": context["event"],
        "retry_of": row.retry_of,
        "parent": _parent(started_in) if started_in is not None else None,
        "output": transitions.load(row.output),
        "steps": [_step(state, results.get(state.row["id"]) if state.row else None) for state in states],
        **gate_column.shown(row.gate),
    }


def item(row: Row, paused_by: str | None, who: Mapping[str, Actor]) -> dict[str, Any]:
    """A run in a list, from ``store.executions.lists.run_listing.search``; ``who`` are those who started some."""
    shown = {
        "execution_id": row.id,
        "id": row.id,
        "playbook_id": row.action_id,
        "playbook_name": row.name,
        "version": row.version,
        "status": row.status,
        "paused_by": paused_by,
        **_common(row, who),
        "trigger": row.trigger,
        "retry_of": row.retry_of,
        "parent": _parent(row),
    }
    return shown if row.input is not None else {**shown, "parameters_omitted": True}


def _parent(row: Row) -> dict[str, Any] | None:
    """The run and the step that have started a run."""
    if row.parent_run_id is None:
        return None
    return {"execution_id": row.parent_run_id, "step_id": row.parent_step_id}


def _common(row: Row, who: Mapping[str, Actor]) -> dict[str, Any]:
    return {
        "target_asset_id": row.target,
        "parameters": _carried(row.action_id, row.input),
        "started_by": row.created_by,
        "started_by_actor": who.get(row.created_by),
        "dry_run": row.mode == Mode.DRY_RUN,
        "error": transitions.load(row.error),
        "created_at": http_times.stamp(row.created_at),
        "started_at": http_times.stamp(row.started_at),
        "completed_at": http_times.stamp(row.completed_at),
        "deadline": http_times.stamp(row.expires_at),
        "duration_seconds": http_times.seconds(row.started_at, row.completed_at),
        "duration_ms": http_times.milliseconds(row.started_at, row.completed_at),
    }


def _carried(reference: str, text: str | None) -> Any:
    """What is stored; of chains and of what goes out by a provider without what is named like a secret.

    Their payloads declare no secrets. ``reference`` names the playbook or the action.
    """
    value = transitions.load(text)
    return redacted(value) if reference.startswith((CHAIN_PREFIX, PROVIDER_PREFIX)) else value


def carried_by_step(run: Row, node: Node, text: str | None) -> Any:
    """What is stored of a step, as it is shown."""
    reference = node.step.get("action_ref") or ""
    return _carried(run.action_id if run.action_id.startswith(CHAIN_PREFIX) else reference, text)


def _run_waits_for(row: Row, status: str, steps: Iterable[Row]) -> str | None:
    """What a paused run waits for: operator, approval or delay.

    The operator who paused it comes first, then an approval, then a delay.
    """
    if status != Status.PAUSED:
        return None
    if row.status == Status.PAUSED:
        return WaitingFor.OPERATOR
    waits = {step.waiting_for for step in steps if step.status == Status.WAITING}
    # read a moment apart: it may just have been paused
    return min(waits & _WAITS_OF_A_PAUSED_RUN, default=WaitingFor.OPERATOR)


def _named(node: Node) -> dict[str, Any]:
    return {
        "index": node.index,
        "step_id": node.id,
        "step_name": node.name,
        "name": node.name,
        "action_id": node.step.get("action_ref"),
        "type": node.type,
    }


def _step(state: StepState, result: Row | None) -> dict[str, Any]:
    """A step of a playbook, from its last execution."""
    row = state.row or {}
    shown = {
        **_named(state.node),
        "execution_id": row.get("id"),
        "id": row.get("id"),
        "status": state.status,
        "passes": state.rows_count,
        "output": transitions.load(result.output) if result else None,
        "error": transitions.load(result.error) if result else None,
        "started_at": http_times.stamp(row.get("started_at")),
        "completed_at": http_times.stamp(row.get("completed_at")),
        "duration_ms": http_times.milliseconds(row.get("started_at"), row.get("completed_at")),
    }
    return _omitting(shown, result)


def steps_of(run: Row, rows: Iterable[Row]) -> list[StepState]:
    """Each execution of a run's steps, and the unreached steps, which have no row."""
    _, plan = revisions.playbook(run.revision_id)
    reached = [_mapping(row) for row in rows]
    states = progress(plan, run.status, reached)
    done = [StepState(plan.nodes[row["step_id"]], row, row["status"], 1) for row in reached]
    return done + [state for state in states if state.row is None]


def of_or_after(since: datetime | None, steps: Iterable[StepState]) -> Iterable[StepState]:
    """The steps that were reached, began or ended at this time or later."""
    if since is None:
        return steps
    moment = since.timestamp() * 1000
    times = ("created_at", "started_at", "completed_at")
    return [step for step in steps if step.row and max(step.row[name] or 0 for name in times) >= moment]


def place(step: StepState) -> list[Any]:
    """The place of a step among its run's: in the order in which they began, then the playbook's."""
    if step.row is None:
        return [1, step.node.index]
    return [0, step.row["created_at"], step.node.index, list(parted(step.row["iteration"]))]


def step_items(run: Row, steps: Iterable[StepState], results: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Some of ``steps_of`` in a list; those that were deleted meanwhile are left out."""
    _, plan = revisions.playbook(run.revision_id)
    return [
        _not_reached(plan, step)
        if step.row is None
        else _step_execution(run, plan, SimpleNamespace(**step.row), results[step.row["id"]])
        for step in steps
        if step.row is None or step.row["id"] in results
    ]


def step_execution(row: Row, run: Row) -> dict[str, Any]:
    """One execution of a step, from its whole row."""
    _, plan = revisions.playbook(run.revision_id)
    return _step_execution(run, plan, row, row)


def _step_execution(run: Row, plan: Plan, row: Any, result: Row) -> dict[str, Any]:
    node = plan.nodes[row.step_id]
    waits = row.status == Status.WAITING
    shown = {
        **_named(node),
        "execution_id": row.id,
        "id": row.id,
        "iteration": row.iteration,
        "parent": plan.blocks[node.block].container,
        "status": row.status,
        "attempt": row.attempt,
        "retries": max(0, row.attempt - 1),
        "waiting_for": row.waiting_for if waits and row.waiting_for in _WAITS else None,
        "waiting_until": http_times.stamp(http_times.waits_until(row.status, row.waiting_for, result.due_at)),
        "target": result.target,
        "input": carried_by_step(run, node, result.input),
        "output": transitions.load(result.output),
        "vars": carried_by_step(run, node, result.vars),
        "report": carried_by_step(run, node, result.report),
        "error": transitions.load(result.error),
        "created_at": http_times.stamp(row.created_at),
        "started_at": http_times.stamp(row.started_at),
        "completed_at": http_times.stamp(row.completed_at),
        "duration_ms": http_times.milliseconds(row.started_at, row.completed_at),
        **gate_column.shown(result.gate),
    }
    if result.input is None:
        shown["input_omitted"] = True
    return _omitting(shown, result)


def _not_reached(plan: Plan, state: StepState) -> dict[str, Any]:
    return {
        **_named(state.node),
        "execution_id": None,
        "id": None,
        "iteration": "",
        "parent": plan.blocks[state.node.block].container,
        "status": state.status,
        "attempt": 0,
        "retries": 0,
        **dict.fromkeys(("waiting_for", "waiting_until", "target", "input", "output", "vars", "report", "error")),
        **dict.fromkeys(("created_at", "started_at", "completed_at", "duration_ms")),
    }


def _omitting(shown: dict[str, Any], result: Row | None) -> dict[str, Any]:
    """Mark an output as omitted if too large for a list.

    A whole row has it in any case.
    """
    if result is not None and result.output is None and getattr(result, "has_output", False):
        shown["output_omitted"] = True
    return shown


class Line(NamedTuple):
    """A line of a step's log, and its place in that log."""

    shown: dict[str, Any]
    number: int


def log_lines(rows: Iterable[Row], since: datetime | None) -> list[Line]:
    """The lines of every step's log, of this time or later."""
    first = pages.stamp_of(since)
    return [
        Line({**line, "step_id": step.step_id, "iteration": step.iteration}, number)
        for step in rows
        for number, line in enumerate(transitions.load(step.logs))
        if str(line["timestamp"]) >= first
    ]


def line_place(line: Line) -> list[Any]:
    """The place of a line among its run's: by time."""
    shown = line.shown
    return [str(shown["timestamp"]), shown["step_id"], list(parted(shown["iteration"])), line.number]


def gantt(run: Row, steps: Iterable[StepState], history: Mapping[str, list[tuple[str, int]]]) -> dict[str, Any]:
    """Begin, end and use of time of each execution of steps."""
    _, plan = revisions.playbook(run.revision_id)
    now = db.now_ms()
    return {
        "started_at": http_times.stamp(run.started_at),
        "completed_at": http_times.stamp(run.completed_at),
        "steps": [_bar(plan, step.node, step.row, history, now) for step in steps if step.row is not None],
    }


def _bar(
    plan: Plan, node: Node, row: Mapping[str, Any], history: Mapping[str, list[tuple[str, int]]], now: int
) -> dict[str, Any]:
    begun, ended = row["started_at"], row["completed_at"]
    times = timeline.spent(history.get(row["id"], []), started_at=begun, ended_at=ended, now=now)
    return {
        "id": row["id"],
        "execution_id": row["id"],
        "step_id": node.id,
        "name": node.name,
        "iteration": row["iteration"],
        "parent": plan.blocks[node.block].container,
        "type": node.type,
        "status": row["status"],
        "attempts": row["attempt"],
        "retries": max(0, row["attempt"] - 1),
        "duration_ms": http_times.milliseconds(begun, ended),
        "queued_ms": times.queued_ms,
        "run_ms": times.run_ms,
        "waited_ms": times.waited_ms,
        "created_at": http_times.stamp(row["created_at"]),
        "started_at": http_times.stamp(begun),
        "completed_at": http_times.stamp(ended),
    }


def _mapping(row: Row) -> Mapping[str, Any]:
    found: Mapping[str, Any] = row._asdict()
    return found
