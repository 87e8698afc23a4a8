"""The walk of a dry run: reached steps first, then the others.

``Walk.block`` goes through one list of steps: first along the links that a run would follow, then through the rest, as
if each were reached. Containers are entered by walking their steps: every branch, the first iteration of a loop, the
first items of a for_each. A step that has a mock (``tasks.dry_run.mocks``) ends with it. The walk is bounded: all steps
in addition to those of the playbook itself (further items, the steps of playbooks that it starts) are taken from one
``DryRunBudget``.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from config.errors import CallerError, Unavailable
from config.types import Json
from expressions.conditions.evaluation import ConditionError
from expressions.templates import TemplateError
from playbooks.plan import END, Node, every_step
from playbooks.states import Mode, Status
from store.engine import db
from store.executions import transitions
from store.executions.rows import NewRow
from tasks.dry_run import mocks, playbooks, steps
from tasks.dry_run.context import SimulatedContext
from tasks.dry_run.mocks import Mock
from tasks.dry_run.playbooks import Above, DryRunBudget
from tasks.dry_run.steps import StepForecast, StepSimulation
from tasks.dry_run.values import Assumed, assumed, fill
from tasks.messages.run_messages import row_id
from tasks.runs.context import joined
from tasks.runs.errors import StepError, because, error_of
from tasks.runs.run import Run
from tasks.runs.step_entries import Place, new_step

NO_MOCKS: Mapping[str, Mock] = {}
#: the members of a row that the walk writes
_WRITTEN = ("input", "output", "error", "vars", "report")
#: the most items of a for_each that are simulated one by one
MOST_ITERATIONS = 10

_SIMULATIONS = {
    "action": steps.action,
    "condition": steps.condition,
    "switch": steps.switch,
    "delay": steps.delay,
    "approval": steps.approval,
}


class TooMuch(Exception):  # noqa: N818 - reads as the condition it is
    """The walk has taken more than it may: it ends as a whole, whichever step it is in."""


def at_once(_written: int = 0) -> None:
    """Go on without a rest."""


def summary(rows: list[Json], error: Json | None) -> Json:
    """The summary of a simulated run."""
    reports = [transitions.load(row["report"]) for row in rows]
    return {
        "predicted_status": Status.COMPLETED if error is None else Status.FAILED,
        "predicted_error": error,
        "steps": len(rows),
        "proved": sum(len(report["proved"]) for report in reports),
        "assumed": sum(len(report["assumed"]) for report in reports),
    }


class Walk:
    """One walk over the plan of a run.

    ``above`` are the runs above it; ``mocked`` gives outcomes of its steps; ``rest`` is called before each step.
    """

    def __init__(
        self,
        run: Run,
        budget: DryRunBudget,
        above: Above,
        *,
        mocked: Mapping[str, Mock] = NO_MOCKS,
        rest: Callable[..., None] = at_once,
    ) -> None:
        self.run = run = replace(run, mode=Mode.DRY_RUN)  # whatever the mode of the original: nothing may go out
        self.budget = budget
        self.mocked, self.rest = mocked, rest
        self.above = (*above, (run.playbook_id, run.target))
        self.context = SimulatedContext(run)
        self.redact = self.context.redact
        #: the rows so far
        self.rows: list[Json] = []

    def block(self, place: Place, *, taken: bool) -> Json | None:
        """Walk a block to its end, then its other steps.

        Returns the error of a failure.
        """
        plan = self.run.plan
        block = plan.blocks[place.block]
        target, previous = block.first if taken else END, place.parent_id
        failure: Json | None = None
        seen = set()
        while target != END:
            node = plan.nodes[target]
            seen.add(target)
            following, error = self._step(node, place, previous, taken=True)
            previous = row_id(self.run.id, node.id, joined(place.iteration))
            if following is None:
                failure = failure or because(node, error, "would fail")
                exceptional = not place.block and node.id not in plan.exceptional
                following, previous = (plan.exception_step if exceptional else None) or END, None
            target = following
        for step_id in block.steps:
            if step_id not in seen:
                self._step(plan.nodes[step_id], place, None, taken=False)
        return failure

    def _step(self, node: Node, place: Place, previous: str | None, *, taken: bool) -> tuple[str | None, Json | None]:
        """Describe one step.

        Returns the next link (None: the block fails) and its error.
        """
        self.rest()
        row, forecast, error = self._added(node, place, previous), StepForecast(), None
        following: str | None = node.on_success
        held_at = len(self.rows)
        context: Mapping[str, Any] = {}
        try:
            context = (
                self.context.of(node.id, place.iteration, previous)
                if taken
                else self.context.supposed(node.id, place.iteration)
            )
            simulated = StepSimulation(self.run, node, row, context, self.context, self.redact)
            if "when" in node.step and not simulated.holds(node.step["when"], forecast, "'when'"):
                forecast.verdict = "would be skipped"
            else:
                following = self._enter(simulated, forecast, place, taken=taken)
        except Unavailable:
            raise
        except (StepError, TemplateError, ConditionError, CallerError) as fault:
            error, following = error_of(fault), node.on_failure
            forecast.verdict = "would fail"
            forecast.proved.append(f"{error['code']}: {error['message']}")
        if len(self.rows) == held_at:
            self._inside_untaken(node, place, row)
        self._close(row, forecast, error, context, taken=taken)
        return following, error

    def _added(self, node: Node, place: Place, previous: str | None) -> Json:
        """Add the row of an ended step, like a real run."""
        now = db.now_ms()
        ended: NewRow = {"status": Status.COMPLETED, "created_at": now, "started_at": now, "completed_at": now}
        row: Any = new_step(self.run, node, place, previous, ended)
        self.rows.append(row)
        step: Json = row
        return step

    def _close(
        self, row: Json, forecast: StepForecast, error: Json | None, context: Mapping[str, Any], *, taken: bool
    ) -> None:
        """Write the findings into the row, and remember them for later steps."""
        status = (
            Status.FAILED if error else Status.SKIPPED if forecast.verdict == "would be skipped" else Status.COMPLETED
        )
        node = self.run.plan.nodes[row["step_id"]]
        variables = _variables(node, context, forecast.known) if status == Status.COMPLETED and taken else None
        if taken:
            vars_ = variables or None
            self.context.record(
                row, presumed=forecast.presumed, status=str(status), output=forecast.known, error=error, vars=vars_
            )
        report = {"taken": taken, "verdict": forecast.verdict, "proved": forecast.proved, "assumed": forecast.assumed}
        row.update(
            status=status if taken else Status.SKIPPED,
            input=transitions.dump(forecast.input),
            output=transitions.dump(forecast.output),
            error=transitions.dump(error) if taken else None,
            vars=transitions.dump(self.redact(variables)) if variables else None,
            report=transitions.dump(self.redact(report)),
        )
        self.rest(sum(len(row[name] or "") for name in _WRITTEN))
        if row["status"] == Status.SKIPPED:
            row["started_at"] = None

    # containers

    def _enter(self, simulated: StepSimulation, forecast: StepForecast, place: Place, *, taken: bool) -> str:
        kind = simulated.node.type
        if kind in _SIMULATIONS or kind == "playbook":
            following = self._described(simulated, forecast, kind)
            if forecast.verdict != "would be skipped":
                mocks.apply(self.mocked.get(simulated.node.id), forecast)
            return following
        forecast.presumed = True
        {"parallel": self._parallel, "loop": self._loop, "for_each": self._for_each}[kind](
            simulated, forecast, place, taken
        )
        return simulated.node.on_success

    def _described(self, simulated: StepSimulation, forecast: StepForecast, kind: str) -> str:
        if kind != "playbook":
            return _SIMULATIONS[kind](simulated, forecast)
        return playbooks.enter(simulated, forecast, self.budget, self.above, self._start)

    def _start(self, run: Run) -> Json:
        """Simulate a started playbook; returns only its summary."""
        walk = Walk(run, self.budget, self.above, rest=self.rest)
        error = walk.block(Place("", None, ()), taken=True)
        return summary(walk.rows, error)

    def _parallel(self, simulated: StepSimulation, forecast: StepForecast, place: Place, taken: bool) -> None:
        branches = self.run.plan.branches(simulated.node.id)
        failed = 0
        for block in branches:
            error = self.block(Place(block.id, simulated.row["id"], place.iteration), taken=taken)
            failed += error is not None and not block.forgiven
        forecast.output = forecast.known = {"branches": len(branches), "failed": failed}
        forecast.proved.append(f"{len(branches)} branches run in parallel")
        if failed:
            raise StepError("branch_failed", f"{failed} of {len(branches)} branches failed.")

    def _loop(self, simulated: StepSimulation, forecast: StepForecast, place: Place, taken: bool) -> None:
        goes_on = simulated.within({"index": 0}).holds(
            simulated.node.step["while"], forecast, "'while', before the first iteration,"
        )
        error = self._iteration(simulated, place, 0, taken=taken and goes_on)
        forecast.output = {"iterations": int(goes_on)}
        forecast.known = {"iterations": assumed("steps", simulated.node.id, "output", "iterations") if goes_on else 0}
        if error is not None:
            raise StepError("pass_failed", "Iteration 1 of the loop failed.")
        if goes_on:
            most = simulated.node.step.get("max_iterations", 100)
            forecast.assumed.append(f"the loop ends within {most} iterations; one stands for all")

    def _for_each(self, simulated: StepSimulation, forecast: StepForecast, place: Place, taken: bool) -> None:
        items = steps.items(simulated, forecast)
        self.context.learn_items(simulated.row["id"], items or [self._some_item(simulated.node)])
        forgiving, failed, iterations = simulated.node.step.get("continue_on_error"), 0, 0
        for number in range(min(len(items), MOST_ITERATIONS) or 1):
            if number and not (taken and self.budget.take(_inner_steps(simulated.node))):
                break
            error = self._iteration(simulated, place, number, taken=taken and bool(items))
            failed, iterations = failed + (error is not None), number + 1
            if error is not None and not forgiving:
                break
        forecast.output = forecast.known = {"items": len(items), "failed": failed}
        if isinstance(forecast.input["items"], Assumed):
            forecast.output = forecast.known = {
                "items": assumed("steps", simulated.node.id, "output", "items"),
                "failed": failed,
            }
        if failed:
            raise StepError("pass_failed", f"{failed} of {len(items)} items failed.")
        if iterations < len(items):
            forecast.assumed.append(f"the other {len(items) - iterations} items go the same way")

    def _iteration(self, simulated: StepSimulation, place: Place, number: int, *, taken: bool) -> Json | None:
        inside = Place(simulated.node.id, simulated.row["id"], (*place.iteration, number))
        return self.block(inside, taken=taken)

    def _inside_untaken(self, node: Node, place: Place, row: Json) -> None:
        """Describe the steps in a container that is not entered."""
        if node.type == "parallel":
            for block in self.run.plan.branches(node.id):
                self.block(Place(block.id, row["id"], place.iteration), taken=False)
        elif node.type in ("loop", "for_each"):
            self.context.learn_items(row["id"], [self._some_item(node)])
            self.block(Place(node.id, row["id"], (*place.iteration, 0)), taken=False)

    @staticmethod
    def _some_item(node: Node) -> Any:
        return assumed(node.step.get("as") or "item")


def _inner_steps(node: Node) -> int:
    return sum(1 for _ in every_step([node.step])) - 1


def _variables(node: Node, context: Mapping[str, Any], output: Any) -> Json:
    """The variables set by a step's ``outputs``.

    One that cannot be filled in stays unset.
    """
    values = {}
    for name, template in node.step.get("outputs", {}).items():
        try:
            values[name] = fill(template, {**context, "output": output})
        except TemplateError:
            continue
    return values
