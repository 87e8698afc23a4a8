"""A playbook that a step would start, simulated within a budget."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from config.errors import AlreadyRunning
from config.types import Json
from playbooks.definitions import parameters
from playbooks.states import Status
from store.definitions import playbooks
from store.engine import db
from tasks.definitions import revisions
from tasks.definitions.pins import pins
from tasks.dry_run.steps import StepForecast, StepSimulation
from tasks.dry_run.values import assumed, fill, is_assumed, resolve
from tasks.intake.run_start import DEEPEST
from tasks.runs.errors import StepError
from tasks.runs.run import Run
from tasks.secrets.redact import MASK

#: the most levels of started playbooks that are simulated
MOST_LEVELS = 3
#: the most steps that one dry run describes in addition to those of its own playbook
MOST_MORE = 2_000

#: playbook and target of each run that would be under way
Above = tuple[tuple[str, str | None], ...]


@dataclass
class DryRunBudget:
    """The number of further steps that one dry run may describe."""

    left: int = MOST_MORE

    def take(self, count: int) -> bool:
        """Take ``count`` steps from the budget, if it has them."""
        if count > self.left:
            return False
        self.left -= count
        return True


def enter(
    simulated: StepSimulation, forecast: StepForecast, budget: DryRunBudget, above: Above, start: Callable[[Run], Json]
) -> str:
    """Check that the playbook can be started, and simulate it.

    Raises:
        StepError: it would fail. NotFound, Conflict: it cannot be started. TemplateError.
    """
    step = simulated.node.step
    given = fill(step.get("parameters", {}), simulated.context)
    forecast.input = simulated.redact(given)
    target = simulated.asset()
    child = _child(simulated, given, target, forecast)
    if target is not None and not is_assumed(target) and (child.playbook_id, target) in above:
        raise AlreadyRunning(child.playbook_id, target, None)  # a dry run is no run that others could look at
    plan: Json = {"playbook_id": child.playbook_id}
    if len(above) > MOST_LEVELS or not budget.take(len(child.plan.nodes)):
        forecast.assumed.append("the playbook it starts ends well: it is not looked into any more")
    else:
        plan |= start(child)
        said = f"{plan['proved']} things proved and {plan['assumed']} assumed"
        forecast.proved.append(f"the playbook it starts was simulated: {said} in {plan['steps']} steps")
    forecast.output = {"simulated": True, "plan": plan}
    if plan.get("predicted_status") == Status.FAILED:
        raise StepError("playbook_failed", f"The playbook failed: {plan['predicted_error']['message']}")
    forecast.presumed = True
    forecast.assumed.append("the playbook it starts succeeds")
    forecast.known = assumed("steps", simulated.node.id, "output")
    return simulated.node.on_success


def _child(simulated: StepSimulation, given: Any, target: str | None, forecast: StepForecast) -> Run:
    """The run that the step would start."""
    run, name = simulated.run, simulated.node.step["playbook_ref"]
    playbook = db.read_one(playbooks.get, run.workspace_id, name)
    if not playbook.enabled:
        raise StepError("playbook_disabled", f"The playbook {name!r} is disabled; enable it first.")
    revision, plan = revisions.playbook(playbook.revision.id)
    if revision.definition["target_required"] and not target:
        raise StepError("target_required", "The asset is missing.")
    if run.context["depth"] >= DEEPEST:
        raise StepError("too_deep", f"Playbooks start playbooks more than {DEEPEST} deep.")
    forecast.proved.append(f"the playbook '{name}' exists and is enabled (version {revision.version})")
    secrets = {key for key, value in given.items() if simulated.redact(value) != value}
    values = _values(revision.definition["parameters"], given, forecast)
    names = {*parameters.secret_names(revision.definition["parameters"]), *secrets}
    return replace(
        run,
        id=simulated.row["id"],
        playbook_id=name,
        revision_id=revision.id,
        plan=plan,
        definition=revision.definition,
        target=target,
        parameters=values,
        hidden={key: value for key, value in values.items() if key in names and value not in (None, MASK)},
        context={
            **run.context,
            "pins": pins(run.workspace_id, revision.id),
            "depth": run.context["depth"] + 1,
            "carried": [],
        },
        parent_id=simulated.row["id"],
    )


def _values(declared: list[Json], given: Any, forecast: StepForecast) -> Json:
    """The parameters of the started playbook; one that declares none takes any."""
    if not declared:
        return dict(given)
    values, open_, problems = resolve(declared, given)
    if problems:
        faults = "; ".join(f"{one.pointer}: {one.detail}" for one in problems[:5])
        raise StepError("invalid_parameters", faults)
    if open_:
        forecast.assumed.append(f"the values of {', '.join(open_[:5])} fit: they come from steps that have not run")
    else:
        forecast.proved.append("its parameters fit")
    return values
