"""Outcomes of steps that the caller of a simulation gives, in place of assumed ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import Problem
from config.pointers import step
from config.types import Json
from expressions.suggestions import did_you_mean
from playbooks.plan import Plan
from tasks.dry_run.steps import StepForecast
from tasks.runs.errors import StepError

#: the types of steps whose outcome is not known before a run
MOCKABLE = ("action", "approval", "delay", "playbook")


@dataclass(frozen=True, kw_only=True)
class Mock:
    """What a step ends with: an output, or an error."""

    output: Any = None
    error: Json | None = None


def read(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Mock]:
    """Mocks as a body gives them: step → ``{output}`` or ``{error: {code, message}}``."""
    found = {}
    for step_id, one in given.items():
        error = one.get("error")
        known = None if error is None else {"code": "mocked", "message": "The mock says so.", **error}
        found[step_id] = Mock(output=one.get("output"), error=known)
    return found


def faults(mocked: Mapping[str, Mock], plan: Plan) -> list[Problem]:
    """What is wrong with mocks for a plan; pointers are relative to them."""
    problems = []
    for step_id in mocked:
        node = plan.nodes.get(step_id)
        if node is None:
            hint = did_you_mean(step_id, plan.nodes)
            problems.append(Problem(step(step_id), f"is no step of the playbook{hint}"))
        elif node.type not in MOCKABLE:
            kinds = ", ".join(MOCKABLE)
            problems.append(Problem(step(step_id), f"is a {node.type}, which is decided; mocks are for {kinds}"))
    return problems


def apply(mock: Mock | None, forecast: StepForecast) -> None:
    """Let a step that was described end with its mock, if it has one.

    Raises:
        StepError: the mock is an error.
    """
    if mock is None:
        return
    if mock.error is not None:
        forecast.assumed = ["it ends with the error of its mock"]
        raise StepError(mock.error["code"], mock.error["message"])
    forecast.known, forecast.presumed = mock.output, False
    forecast.assumed.append("its output is that of its mock")
