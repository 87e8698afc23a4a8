"""What the rules would decide about a step, foretold: nothing is counted, kept or waited for."""

from types import SimpleNamespace
from typing import Any

from config.times import stamp
from gateway.verdicts import Chain, RequireApproval, Reroute, Schedule
from store.engine import db
from tasks.dry_run.values import is_assumed
from tasks.policy import checks, words
from tasks.policy.judge import Decision
from tasks.runs.errors import StepError
from tasks.runs.verdicts import Form, changed, decision_of
from tasks.secrets.redact import masked


def foretell(simulated: Any, forecast: Any, form: Form, open_: list[str]) -> Form | None:
    """The form as the rules would leave it; None: the step would be skipped.

    ``simulated`` is the step (``tasks.dry_run.steps``), ``open_`` names its unknown values, which rules read as absent.

    Raises:
        StepError: the step would fail. Unavailable: the database is away.
    """
    row = SimpleNamespace(**simulated.row)

    def shown() -> dict[str, Any]:
        known = {name: None if name in open_ or is_assumed(value) else value for name, value in form.values.items()}
        return dict(simulated.redact(masked(known, form.secret_names)))

    decision = decision_of(simulated.run, row, form, shown)
    if decision is None:
        return form
    rule = decision.verdict.rule
    about = f"the rule '{rule}' says {decision.verdict.kind}" if rule else "no rule of those in force matches"
    (forecast.assumed if open_ else forecast.proved).append(about)
    ended = words.stopped(decision)
    gate = words.account(decision) if ended is None else ended.gate
    simulated.row["gate"] = gate.text()
    if ended is not None and ended.code == "denied":
        raise StepError(ended.code, ended.message)
    if ended is not None:
        forecast.verdict = "would be skipped"
        return None
    form, fault = changed(form, decision, simulated.redact)
    if fault is not None and fault.error is not None and not open_:
        raise StepError(fault.error["code"], fault.error["message"])
    if not _passes(simulated, forecast, decision):
        return None
    if isinstance(decision.verdict.effect, Chain):
        forecast.verdict = "would start a chain in its place"
        forecast.proved.append(
            f"the chain '{decision.verdict.effect.chain_name}' would run, which is not foretold here"
        )
        return None
    return form


def _passes(simulated: Any, forecast: Any, decision: Decision) -> bool:
    """Whether the step would go out, at once or later."""
    verdict, tenant = decision.verdict, simulated.run.workspace_id
    with db.read() as connection:
        refusal = checks.foretold(connection, tenant, verdict.checks, simulated.row["id"])
    if refusal is not None:
        ended = words.refused(decision, refusal)
        simulated.row["gate"] = ended.gate.text()
        forecast.proved.append(ended.message)
        if refusal.of is not None:
            forecast.verdict = "would be skipped"
            return False
        forecast.verdict = "would wait"
    elif verdict.checks:
        forecast.assumed.append("no others use up before it what the rule allows")
    if verdict.quiet is not None and not isinstance(verdict.effect, RequireApproval):
        forecast.verdict = "would wait"
        forecast.proved.append(f"the silence '{verdict.quiet.id}' would hold it until {stamp(verdict.quiet.until)}")
    if isinstance(verdict.effect, Schedule):
        forecast.verdict = "would wait"
        forecast.assumed.append(f"the {verdict.effect.delay_seconds} seconds that the rule asks for pass in time")
    if isinstance(verdict.effect, RequireApproval):
        forecast.verdict = "would wait"
        forecast.assumed.append("it is approved in time")
    if isinstance(verdict.effect, Reroute):
        forecast.proved.append(f"it would go out by the provider '{verdict.effect.target_provider}'")
    return True
