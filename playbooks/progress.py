"""The progress of a run: the state of every step.

A step that was entered has a row and shows the row's status; inside loops that is the row of its last iteration. A step
without a row is ``pending`` while the run can still reach it and ``skipped`` once it cannot: another branch was taken,
its block has ended, or the run has. The graph decides whether it can, from the steps that are in progress; where this
cannot be known, because a step may fail or not, it counts as reachable.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playbooks.plan import END, Block, Node, Plan
from playbooks.states import Status

#: a row: id, step_id, iteration, status, parent_id (the row of the step around it, or None)
Row = Mapping[str, Any]

_LIVE = frozenset({Status.PENDING, Status.RUNNING, Status.WAITING})
_ENDED_RUNS: dict[str, Status] = {
    Status.COMPLETED: Status.SKIPPED,
    Status.FAILED: Status.SKIPPED,
    Status.CANCELLED: Status.CANCELLED,
}
_UNDER_WAY = frozenset({Status.RUNNING, Status.WAITING})


@dataclass(frozen=True, slots=True)
class StepState:
    """A step of the definition, its row, and its number of rows.

    Without a row it was never entered.
    """

    node: Node
    row: Row | None
    status: str
    rows_count: int


def progress(plan: Plan, run_status: str, rows: Iterable[Row]) -> list[StepState]:
    """The state of every step, in the order of the definition.

    ``rows`` are all step rows of the run.
    """
    by_step: dict[str, list[Row]] = {}
    for row in rows:
        if row["step_id"] in plan.nodes:
            by_step.setdefault(row["step_id"], []).append(row)
    ended = _ENDED_RUNS.get(run_status)
    possible = _possible(plan, by_step) if ended is None else set()
    states = []
    for step_id, node in plan.nodes.items():
        found = by_step.get(step_id, [])
        last = max(found, key=_iteration_numbers, default=None)
        unentered = Status.PENDING if step_id in possible else ended or Status.SKIPPED
        states.append(StepState(node, last, str(last["status"]) if last else unentered, len(found)))
    return states


def counts(states: Sequence[StepState]) -> tuple[int, int]:
    """The number of completed steps, and of all steps."""
    return sum(state.status == Status.COMPLETED for state in states), len(states)


def current(states: Sequence[StepState]) -> str | None:
    """The first step running or waiting, else the first queued, else None.

    An inner step comes before the one around it.
    """
    under_way = [state.node for state in states if state.status in _UNDER_WAY]
    under_way += [state.node for state in states if state.row is not None and state.status == Status.PENDING]
    inner = (node.id for node in under_way if node.type not in ("parallel", "loop", "for_each"))
    return next(inner, under_way[0].id if under_way else None)


def _iteration_numbers(row: Row) -> tuple[int, ...]:
    """The iteration of a row in numbers: "2.10" comes after "2.9".

    One number for each loop around the row.
    """
    return tuple(int(number) for number in str(row["iteration"] or "").split(".") if number)


def _possible(plan: Plan, by_step: Mapping[str, Sequence[Row]]) -> set[str]:
    """The steps that a running run may still enter, perhaps again."""
    found: set[str] = set()
    for block in _outer_first(plan):
        if block.container is None:
            found |= _ahead(plan, _entries(plan, block, by_step))
        elif block.container in found:
            found.update(block.steps)
        else:
            found |= _possible_inside(plan, block, by_step)
    return found


def _outer_first(plan: Plan) -> list[Block]:
    position = {step_id: number for number, step_id in enumerate(plan.nodes)}
    return sorted(plan.blocks.values(), key=lambda block: -1 if block.container is None else position[block.container])


def _entries(plan: Plan, block: Block, by_step: Mapping[str, Sequence[Row]]) -> set[str]:
    """The steps that a running run's top level may enter next."""
    entries = {block.first}
    ran = [row for step_id in block.steps for row in by_step.get(step_id, ())]
    if ran:
        live = [row for row in ran if row["status"] in _LIVE]
        # between two steps none may be in progress: then the one that was entered last decides
        at = live or [max(reversed(ran), key=lambda row: row["created_at"])]
        entries = {link for row in at for link in plan.nodes[row["step_id"]].links()}
    if plan.exception_step is not None and plan.exception_step not in by_step:
        entries.add(plan.exception_step)
    return entries - {END}


def _possible_inside(plan: Plan, block: Block, by_step: Mapping[str, Sequence[Row]]) -> set[str]:
    """The steps of a block that its container's rows may still enter."""
    container = str(block.container)
    live = {row["id"] for row in by_step.get(container, ()) if row["status"] in _LIVE}
    if not live:
        return set()
    if plan.nodes[container].type != "parallel":
        return set(block.steps)  # another iteration may reach any of them
    inside = [row for step_id in block.steps for row in by_step.get(step_id, ()) if row["parent_id"] in live]
    if live - {row["parent_id"] for row in inside}:
        return set(block.steps)  # the branch has not begun
    at = {row["step_id"] for row in inside if row["status"] in _LIVE}
    return _ahead(plan, {link for step_id in at for link in plan.nodes[step_id].links()})


def _ahead(plan: Plan, entries: Iterable[str]) -> set[str]:
    """The steps that can be reached from some, these included."""
    found = set(entries)
    waiting = list(found)
    while waiting:
        ahead = plan.nodes[waiting.pop()].links() - found
        found |= ahead
        waiting += ahead
    return found
