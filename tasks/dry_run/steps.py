"""Simulate one step: its templates, its condition, its action.

Each type of step has a function that works with the known values and notes, for the reader, what is proved and what had
to be assumed. A step that is known to fail raises the error with which a run would end it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from config.errors import ProviderNotFound
from config.types import Json
from expressions import references, templates
from expressions.conditions import evaluation
from playbooks.plan import Node
from playbooks.states import Status
from store.definitions.actions import Revision
from tasks.attempts import provider_calls
from tasks.attempts.conclude import Attempt
from tasks.attempts.lease import HeldLease, keeper
from tasks.attempts.perform import perform, prepare
from tasks.definitions import provided, revisions
from tasks.dry_run import verdicts
from tasks.dry_run.context import SimulatedContext
from tasks.dry_run.values import Assumed, assumed, below, fill, is_assumed, resolve, unknown, without_assumed
from tasks.messages import run_messages
from tasks.runs import deciders
from tasks.runs.context import asset
from tasks.runs.errors import StepError, no_list
from tasks.runs.run import Run
from tasks.runs.step_entries import MOST_ITEMS
from tasks.runs.verdicts import form_of, told
from tasks.secrets.redact import Redactor, masked

#: executors that call another system
_OUTWARD = frozenset({"webhook", "remote", "notification"})


@dataclass
class StepForecast:
    """The findings about a step.

    ``input`` and ``output`` go into its row, masked.
    """

    verdict: str = "would run"
    proved: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    input: Any = field(default_factory=dict)
    output: Any = None
    #: the output that later steps read
    known: Any = None
    #: whether it must be assumed that the step ends well
    presumed: bool = False


@dataclass(frozen=True)
class StepSimulation:
    """A step at its place in the simulation.

    ``row`` is its row so far.
    """

    run: Run
    node: Node
    row: Json
    context: Mapping[str, Any]
    results: SimulatedContext
    redact: Redactor

    def within(self, more: Mapping[str, Any]) -> "StepSimulation":
        """The same step with more values to read."""
        return replace(self, context={**self.context, **more})

    def asset(self) -> str | None:
        """The asset that the step is about."""
        template = self.node.step.get("target")
        if not template:
            return self.run.target
        open_ = unknown(references.paths(template), self.context)
        return templates.as_text(fill(template, self.context)) if open_ else asset(template, self.context, self.redact)

    def decide(self, expression: str, forecast: StepForecast, what: str) -> Any:
        """The value of a condition, None if unknown; the finding notes it."""
        paths = references.condition_paths(expression)
        if open_ := unknown(paths, self.context):
            forecast.assumed.append(f"{what} is true: it hangs on {_listed(open_)}")
            forecast.presumed = True
            return None
        value = evaluation.evaluate(expression, self.context)
        shown = templates.as_text(self.redact(value)) if isinstance(value, bool | int | float | None) else "decided"
        if leaning := self.results.presumed(paths, self.row["previous_id"]):
            forecast.assumed.append(f"{what} is {shown}: it hangs on {_listed(leaning)}, which is assumed")
            forecast.presumed = True
        else:
            forecast.proved.append(f"{what} is {shown} with the values given")
        return value

    def holds(self, expression: str, forecast: StepForecast, what: str) -> bool:
        """Decide a condition that must be true or false.

        An unknown one counts as true.
        """
        value = self.decide(expression, forecast, what)
        if value is not None and not isinstance(value, bool):
            return evaluation.holds(expression, self.context)  # raises the error of a run
        return value is None or value


def action(simulated: StepSimulation, forecast: StepForecast) -> str:
    """Fill in the parameters and have the executor describe its call."""
    step, run = simulated.node.step, simulated.run
    revision = revisions.action(run.context["pins"][step["action_ref"]])
    definition = revision.definition
    forecast.proved.append(f"the action '{step['action_ref']}' exists and is enabled (version {revision.version})")
    simulated.row.update(
        action_id=step["action_ref"],
        revision_id=revision.id,
        idempotent=definition["idempotent"],
        timeout_ms=run_messages.timeout_ms(step, definition),
    )
    rendered, values, open_ = _parameters(simulated, forecast, revision)
    form = form_of(revision, step["action_ref"], without_assumed(rendered), values, simulated.redact)
    foretold = verdicts.foretell(simulated, forecast, form, open_)
    if foretold is None:
        forecast.input = simulated.redact(masked(form.values, form.secret_names))
        return simulated.node.on_success
    revision, values, names = foretold.revision, foretold.values, foretold.secret_names
    hidden = {name: value for name, value in values.items() if name in names and value is not None}
    row: Any = SimpleNamespace(**simulated.row)
    attempt = Attempt(row=row, owner="", retry={}, logs=[], redact=Redactor(()))
    held = HeldLease(simulated.row["id"], 0, keeper(), time.monotonic(), repeatable=True)
    ending = perform(prepare(attempt, revision, held, values, {**run.hidden, **hidden}), held)
    forecast.input = attempt.redact(masked(values, names))
    error = attempt.redact(dict(ending.error or {}))
    if ending.status == Status.COMPLETED:
        forecast.output = {"simulated": True, "plan": attempt.redact(ending.output)}
        forecast.proved.append("what it would do can be said: see plan")
    elif open_:
        forecast.output = {"simulated": True, "plan": None}
        forecast.assumed.append(f"what it would do can be said once {_listed(open_)} is known ({error['message']})")
    else:
        raise StepError(error["code"], error["message"])
    _assume_success(simulated, forecast, revision.definition)
    return simulated.node.on_success


def _parameters(simulated: StepSimulation, forecast: StepForecast, revision: Revision) -> tuple[Json, Json, list[str]]:
    """The parameters as the step writes them, as the action gets them, and the names of the unknown ones.

    Sets the row's target.
    """
    step, target = simulated.node.step, simulated.asset()
    simulated.row["target"] = str(target) if target is not None else None
    rendered = fill(step.get("parameters", {}), simulated.context)
    given = provider_calls.parameters_of(revision, step["action_ref"], rendered)
    values, open_, problems = resolve(revision.definition["parameters"], given)
    if is_assumed(target):
        open_.append("target")
    if problems:
        raise StepError("invalid_parameters", told(problems))
    forecast.proved.append("the parameters that are known are filled in and fit" if open_ else "its parameters fit")
    if open_:
        forecast.assumed.append(f"the values of {_listed(open_)} fit: they come from steps that have not run")
    return rendered, values, open_


def _assume_success(simulated: StepSimulation, forecast: StepForecast, definition: Mapping[str, Any]) -> None:
    """Note what must be assumed of an action that can be described."""
    forecast.presumed = True
    forecast.known = assumed("steps", simulated.node.id, "output")
    if definition["executor"] in _OUTWARD:
        forecast.assumed.append("the other side may be reached and can be")
    if seconds := simulated.node.step.get("delay_seconds"):
        forecast.assumed.append(f"the {seconds:g} seconds before it pass before the run's time is up")
    if definition["executor"] == "approval":
        forecast.verdict = "would wait"
        _notice(definition["config"], forecast)
        forecast.assumed.append("a person approves it")
    forecast.assumed.append("the action succeeds")


def condition(simulated: StepSimulation, forecast: StepForecast) -> str:
    """Decide a condition.

    If it depends on an unknown value, it counts as true.
    """
    result = simulated.holds(simulated.node.step["expression"], forecast, "the condition")
    following = simulated.node.on_true if result else simulated.node.on_false
    forecast.output = forecast.known = {"result": result, "next": following}
    return following


def switch(simulated: StepSimulation, forecast: StepForecast) -> str:
    """Decide a switch.

    If it depends on an unknown value, the first case is taken.
    """
    node, expression = simulated.node, simulated.node.step["expression"]
    if open_ := unknown(references.condition_paths(expression), simulated.context):
        case, following = next(iter(node.cases.items()), ("", node.default))
        forecast.assumed.append(f"the case '{case}' is taken: the value hangs on {_listed(open_)}")
        value: Any = open_[0]
        forecast.presumed = True
    else:
        value = simulated.decide(expression, forecast, "the value")
        following = node.cases.get(templates.as_text(value), node.default)
    forecast.known = forecast.output = simulated.redact({"value": value, "next": following})
    return following


def delay(simulated: StepSimulation, forecast: StepForecast) -> str:
    """Describe a delay, which is assumed to pass."""
    forecast.verdict = "would wait"
    forecast.assumed.append(f"the {simulated.node.step['seconds']:g} seconds pass before the run's time is up")
    return simulated.node.on_success


def approval(simulated: StepSimulation, forecast: StepForecast) -> str:
    """Describe an approval, which is assumed to be granted."""
    step = simulated.node.step
    message = fill(step.get("message", ""), simulated.context)
    forecast.verdict, forecast.presumed = "would wait", True
    forecast.proved.append("the message is filled in")
    _notice(step, forecast)
    forecast.assumed.append("the approval is granted")
    forecast.output = simulated.redact(deciders.question(step, message))
    decision = {name: assumed("steps", simulated.node.id, "output", name) for name in ("by", "note")}
    forecast.known = {**forecast.output, "decision": "approved", **decision}
    return simulated.node.on_success


def _notice(asked: Mapping[str, Any], forecast: StepForecast) -> None:
    """Note by which provider an approval would be made known."""
    name = asked.get("notify")
    if name is None:
        return
    try:
        provided.require(str(name))
    except ProviderNotFound:
        forecast.assumed.append(f"it becomes known without a notice: there is no provider {name}")
        return
    forecast.proved.append(f"its notice would go out by the provider {name}")


def items(simulated: StepSimulation, forecast: StepForecast) -> list[Any]:
    """The items of a for_each; one item stands for an unknown list."""
    name = simulated.node.step.get("as") or "item"
    given = simulated.redact(fill(simulated.node.step["items"], simulated.context))
    forecast.input = {"items": given}
    if isinstance(given, Assumed):
        forecast.assumed.append(f"the list is not known: one {name} stands for all")
        return [below(given, 0)]
    if not isinstance(given, list):
        raise no_list(given)
    if len(given) > MOST_ITEMS:
        raise StepError("bad_items", f"items has {len(given)} entries; at most {MOST_ITEMS} can be gone through.")
    forecast.proved.append(f"there are {len(given)} items to go through")
    return given


def _listed(names: list[Any]) -> str:
    return ", ".join(str(name) for name in names[:5]) + (" ..." if len(names) > 5 else "")  # noqa: PLR2004 - a few do
