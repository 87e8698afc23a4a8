"""What the rules decide about an attempt at a step.

Rules are asked at each attempt, because each calls the receiver. A rule may end the attempt (the step fails or is
skipped), make it wait without counting a failure, change its values, or send it to a provider. What rules remember is
changed in one small transaction right before the call, together with the gate's account in the step's row: if the
attempt was taken from this worker meanwhile, nothing is remembered. Where a rule starts a chain in place of the step,
the chain's run is accepted in the transaction that ends the step, which has completed: its output names the run.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from config.errors import CallerError, Problem
from config.types import Json
from gateway import facts, gate_column, merge_patch
from gateway.facts import CHAIN_PREFIX, PROVIDER_PREFIX, Attempted, StepPlace
from gateway.gate_column import Gate
from gateway.verdicts import Chain, RequireApproval, Reroute, Schedule
from playbooks.definitions import parameters
from playbooks.states import Mode, Status, WaitingFor
from providers.base import Abandoned
from store.definitions.actions import Revision
from store.engine import db
from store.engine.db import Connection
from store.executions import steps
from tasks.attempts import provider_calls
from tasks.attempts.conclude import Attempt, Ending, failed
from tasks.attempts.patience import commit_with_patience, with_patience
from tasks.intake import chain_starts, reroutes, verdicts
from tasks.intake.chain_starts import ChainStart
from tasks.intake.notices import Question
from tasks.policy import checks, questions, words
from tasks.policy.checks import Passed, Refused, Turn
from tasks.policy.judge import Decision, judge
from tasks.runs import gated
from tasks.runs.budget import refuse_too_many_runs
from tasks.runs.errors import StepError, error_of
from tasks.runs.run import Run
from tasks.secrets.redact import Redactor, masked

#: a slot that any later attempt may use: a delay that a rule asks for is waited for once
_ANY = 0


@dataclass(frozen=True, kw_only=True)
class Form:
    """What an attempt is to carry out: of which revision, with which values, and what the gate says of it."""

    revision: Revision
    values: Json
    secret_names: Collection[str]
    gate: Gate | None = None
    #: the run of a chain that a rule starts in its place
    chain: ChainStart | None = None
    #: the approval that a rule asks for before the step goes out
    question: Question | None = None
    #: of a provider that stands for an action: the step as a dispatch, whose payload the values are
    dispatch: Json | None = None

    def members(self, values: Json) -> Json:
        """What rules read of a step with these values: of one that names a provider, those of a dispatch."""
        return values if self.dispatch is None else {**self.dispatch, "payload": values}


def form_of(revision: Revision, action_id: str, rendered: Json, values: Json, redact: Redactor) -> Form:
    """The form of a step before any rule; ``rendered`` are its parameters as written, templates filled in."""
    stands = action_id.startswith(PROVIDER_PREFIX) and not provider_calls.is_provider(revision)
    names = parameters.secret_names(revision.definition["parameters"])
    return Form(revision=revision, values=values, secret_names=names, dispatch=redact(rendered) if stands else None)


def decision_of(run: Run, row: Any, form: Form, shown: Callable[[], Json]) -> Decision | None:
    """What the rules decide; ``shown`` returns the values with secrets masked, where a rule concerns the step.

    Raises:
        Abandoned: the database stayed away.
    """
    definition = form.revision.definition
    key = _key(run, row, form)

    def seen() -> facts.Facts:
        at = db.now_ms()
        attempted = Attempted(run.workspace_id, at, form.members(shown()), row.target, run.created_by, row.id)
        place = StepPlace(run.playbook_id, row.step_id, run.id, tuple(run.definition.get("tags", ())))
        return facts.of_step(definition, row.action_id, attempted, place)

    found = with_patience(lambda: (judge(key, seen),))
    if found is None:
        raise Abandoned
    return found[0]


def of_chain(run: Run, row: Any, step: Mapping[str, Any]) -> Gate | None:
    """The account of an attempt before any rule is asked: of a chain's step who it is, of another one none."""
    if not run.playbook_id.startswith(CHAIN_PREFIX):
        return None
    return Gate(
        origin="chain",
        namespace=str(run.parameters["origin"].get("namespace") or facts.PLAYBOOKS),
        provider=row.action_id.removeprefix(PROVIDER_PREFIX),
        action_type=str(step.get("parameters", {}).get("action_type", "")),
    )


def _key(run: Run, row: Any, form: Form) -> facts.Key:
    said = form.members(form.values)
    return facts.step_key(form.revision.definition, row.action_id, run.workspace_id, said, run.playbook_id)


def obeyed(
    run: Run, this: Attempt, form: Form, decision: Decision | None, redact: Redactor
) -> tuple[Form, Ending | None]:
    """The form as the rules leave it, and how they end the attempt, if they do; ``redact`` masks the run's secrets.

    Raises:
        Abandoned: the attempt was taken, or the database stayed away.
    """
    before = gate_column.read(this.row.gate)
    if decision is None:
        return replace(form, gate=before and _undecided(before)), None
    if this.row.mode != Mode.LIVE:  # nothing goes out: nothing is counted or waited for
        decision = decision._replace(verdict=verdicts.unheld(decision.verdict._replace(checks=())))
    form, fault = changed(form, decision, redact)
    if fault is not None:
        return form, fault
    ended = words.stopped(decision)
    if ended is not None:
        form = replace(form, gate=ended.gate)
        if ended.code != "denied":
            return form, _skipped(this, ended.message)
        return form, failed(ended.code, ended.message)
    if isinstance(decision.verdict.effect, Chain):
        form, fault = _with_chain(run, form, _seen(form, decision, redact), decision.verdict.effect.chain_name)
        if fault is not None:
            return form, fault
    if this.row.mode == Mode.LIVE:
        form, ending = _checked(this, form, decision, before.slots if before is not None else {}, redact)
        if ending is not None:
            return replace(form, chain=None), ending
    return form, None if form.chain is None else _replaced(form.chain, decision)


def _with_chain(run: Run, form: Form, decision: Decision, name: str) -> tuple[Form, Ending | None]:
    """The form with the run of a chain; a failure where it cannot be started."""
    more = {
        "workspace_id": run.workspace_id,
        "actor": run.created_by,
        "mode": run.mode,
        "request_id": run.request_id,
        "led_by": run.led_by,
        "depth": run.context["depth"] + 1,
        "hops": run.context["hops"],
        "root": run.root,
    }

    def prepare() -> ChainStart:
        refuse_too_many_runs(run)
        return chain_starts.prepared(name, chain_starts.origin_of(decision), **more)

    try:
        chain = with_patience(prepare)
    except (StepError, CallerError) as refusal:
        error = error_of(refusal)
        return form, failed(error["code"], error["message"])
    if chain is None:
        raise Abandoned
    return replace(form, chain=chain), None


def _replaced(chain: ChainStart, decision: Decision) -> Ending:
    """The end of a step in whose place a chain runs."""
    said = f"The rule {decision.verdict.rule!r} has started the chain {chain.outcome.chain_name!r} in its place."
    return Ending(Status.COMPLETED, output=chain.output, done=said)


def _seen(form: Form, decision: Decision, redact: Redactor) -> Decision:
    """The decision with the values as rules have changed them; secrets masked."""
    if not decision.verdict.patches:
        return decision
    shown = redact(masked(form.values, form.secret_names))
    payload = shown["payload"] if provider_calls.is_provider(form.revision) else shown
    return decision._replace(facts=decision.facts._replace(payload=payload))


def _patched(form: Form, patches: Iterable[Json]) -> Json:
    """The values with the changes of rules: of a dispatch, its payload is changed."""
    if provider_calls.is_provider(form.revision):
        return {**form.values, "payload": merge_patch.all_patched(dict(form.values.get("payload") or {}), patches)}
    patched: Json = merge_patch.all_patched(form.values, patches)
    return patched


def _undecided(before: Gate) -> Gate:
    """The account of an attempt that no rule concerns any more, after one that a rule did."""
    return replace(
        before,
        provider=before.original_provider or before.provider,
        original_provider=None,
        asked_provider=None,
        verdict="allow",
        rule=None,
        reason=None,
        outcome=None,
        of=None,
        until=None,
        slots={},
    )


def _skipped(this: Attempt, message: str) -> Ending:
    this.log("INFO", message)
    return Ending(Status.SKIPPED)


def _waits(until: int) -> Ending:
    left = max(0, until - db.now_ms()) + 0.5  # rounded up: a slot must have come when the step is asked about again
    return Ending(Status.WAITING, waiting_for=WaitingFor.DELAY, wait_seconds=left / 1000)


def changed(form: Form, decision: Decision, redact: Redactor) -> tuple[Form, Ending | None]:
    """The form with the changes of rules, checked again, and with the provider of a rule."""
    verdict, definition = decision.verdict, form.revision.definition
    gate = words.account(decision)
    form = replace(form, gate=gate)
    if verdict.patches:
        values, problems = parameters.resolve(definition["parameters"], _patched(form, verdict.patches))
        if problems:
            return form, failed(
                "invalid_parameters", f"The rule {verdict.rule!r} has changed the values: {told(problems)}"
            )
        form = replace(form, values=values)
        decision = _seen(form, decision, redact)
    if not isinstance(verdict.effect, Reroute):
        return form, None
    try:
        sent = with_patience(lambda: reroutes.sent(decision, form.secret_names))
    except CallerError as refusal:
        return form, failed(refusal.code, f"{refusal} {told(refusal.problems)}".strip())
    if sent is None:
        raise Abandoned
    stands = None if provider_calls.is_provider(sent.revision) else words.provider_parameters(decision)
    form = Form(revision=sent.revision, values=sent.values, secret_names=sent.secret_names, gate=gate, dispatch=stands)
    return form, None


def told(problems: Sequence[Problem]) -> str:
    """Some problems in one sentence."""
    return "; ".join(f"{one.pointer}: {one.detail}" for one in problems[:5])


def _checked(
    this: Attempt, form: Form, decision: Decision, slots: Mapping[str, list[int]], redact: Redactor
) -> tuple[Form, Ending | None]:
    """Make the checks; the form with the account, and the end of an attempt that does not pass."""
    row, verdict = this.row, decision.verdict
    kept = {rule: slot for rule, slot in slots.items() if slot[1] == _ANY}
    gate = replace(form.gate, slots=kept) if form.gate is not None else words.account(decision)
    effect, rule = verdict.effect, str(verdict.rule)
    before, digest = gate_column.read(row.gate), ""
    if questions.asking(verdict):
        shown = redact(masked(form.values, form.secret_names))
        gate = gated.about(gate, row.action_id, verdict)
        digest = gated.digest_of(decision, gate, form.revision.id, shown, row.target)
        wanted = gated.left(verdict.checks, before, digest)
        decision = decision._replace(verdict=verdict._replace(checks=wanted))
        verdict = decision.verdict
        if before is not None and before.approved.get("digest") == digest:
            gate = replace(gate, approval=before.approval, approved=before.approved)
    if isinstance(effect, RequireApproval) and not gated.is_approved(before, digest, rule):
        gate, ending, asks = gated.asked(row, decision, effect, rule, verdict.reason, gate, digest)
        return replace(form, gate=gate, question=asks), ending
    if verdict.quiet is not None and not isinstance(effect, RequireApproval):
        at, gate = gated.held(row, decision, verdict.quiet, gate)
        return replace(form, gate=gate), _skipped(
            this, f"The silence {verdict.quiet.id!r} holds no more."
        ) if at is None else _waits(at)
    if isinstance(effect, Schedule) and rule not in kept:  # before the checks, which count what goes out
        at = db.now_ms() + effect.delay_seconds * 1000
        return replace(form, gate=replace(gate, slots={**kept, rule: [at, _ANY]}, until=at)), _waits(at)
    made = _made(row, decision, Turn(row.attempt, slots), gate) if verdict.checks else Passed()
    if isinstance(made, Refused) and (overrule := questions.by_check(made.check)) is not None:
        check = made.check
        gate, ending, asks = gated.asked(row, decision, overrule, check.rule, check.reason, gate, digest)
        return replace(form, gate=gate, question=asks), ending
    if isinstance(made, Refused):
        ended = words.refused(decision, made)
        form = replace(form, gate=replace(ended.gate, slots={**kept, **made.slots}))
        if made.waits and made.until is not None:
            this.log("INFO", ended.message)
            return replace(form, gate=replace(form.gate, outcome=None) if form.gate else None), _waits(made.until)
        if made.of is not None:
            return form, _skipped(this, ended.message)
        return form, failed(ended.code, ended.message)
    return replace(form, gate=gate), None


def _made(row: Any, decision: Decision, turn: Turn, gate: Gate) -> Passed | Refused:
    """Make the checks, if the attempt is still this worker's; with the account of one that passes."""
    tenant, wanted = row.workspace_id, decision.verdict.checks

    def change(connection: Connection) -> Passed | Refused:
        made = checks.make(connection, tenant, wanted, row.id, turn=turn)
        if isinstance(made, Passed) and not steps.note_gate(connection, row.id, row.attempt, gate.text()):
            raise Abandoned  # undoes the checks
        return made

    known = checks.full(tenant, wanted)
    if known is not None:
        return replace(known, waits=True)
    made = commit_with_patience(change, single=False, at=wanted[0].key)
    if made is None:
        raise Abandoned
    if isinstance(made, Refused):
        checks.learn(tenant, made)
    result: Passed | Refused = made
    return result
