"""What the rules decide about a trigger becomes its execution.

A trigger is always accepted, with an execution that shows verdict, rule and reason: one that is refused has ended at
once, one that has to wait waits. Rules that remember something are asked in the transaction that accepts it.
Where a rule starts a chain in its place, the chain's run is accepted with it, and the execution has completed: its
output names the run. It announces nothing, because nothing of the action was carried out.

A dry run and a sandbox run call nothing, so they are neither counted nor remembered. A dry run only shows what the
rules would decide, and the values that they would change; a sandbox run is also stopped as the real one would be.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, NamedTuple

from config.errors import Unprocessable
from gateway import facts, merge_patch
from gateway.facts import TRIGGER, Attempted, Cause
from gateway.gate_column import Gate
from gateway.rules.decide import ALLOWED
from gateway.verdicts import Chain, RequireApproval, Reroute, Schedule, Verdict
from playbooks.definitions import parameters
from playbooks.states import Mode, Status, WaitingFor
from store.definitions.actions import Revision
from store.engine import db
from store.engine.db import Connection
from store.executions import transitions
from store.executions.rows import NewRow
from tasks.attempts import completion
from tasks.attempts.failure import failure
from tasks.definitions import listeners
from tasks.intake import chain_starts, holds, notices, reroutes, run_start
from tasks.intake.chain_starts import ChainStart
from tasks.intake.notices import Question
from tasks.messages.model import Canvas
from tasks.policy import checks, questions, words
from tasks.policy.checks import Refused
from tasks.policy.judge import Decision, judge
from tasks.policy.words import Ended
from tasks.secrets.redact import masked

#: of an execution that has ended when it is accepted
_END: NewRow = {"sealed": None, "publishes": 0, "due_at": None}


@dataclass(frozen=True, kw_only=True)
class Form:
    """What is to be carried out: of which revision, with which values."""

    revision: Revision
    values: Mapping[str, Any]
    secret_names: Collection[str]
    #: what the rules decide; None where none has anything to say
    decision: Decision | None = None
    known: Refused | None = None
    #: the run of a chain that a rule starts in its place
    chain: ChainStart | None = None
    #: rule → the approval that it asks for, with its notices
    questions: Mapping[str, Question] = field(default_factory=dict)
    #: the events that Tocsin emits and a playbook listens for, where a decision may end it at once
    awaited: frozenset[str] = frozenset()

    @property
    def is_single(self) -> bool:
        """Whether it is written by adding its row alone."""
        verdict = self.decision.verdict if self.decision is not None else ALLOWED
        quiet = verdict.quiet is not None or verdict.clears is not None
        return not self.checked and self.chain is None and not self.questions and not quiet

    @property
    def checked(self) -> bool:
        """Whether accepting it makes checks in the database."""
        return self.decision is not None and bool(self.decision.verdict.checks) and self.known is None

    @property
    def meets_at(self) -> str:
        """The row at which others contend with it; "" for none."""
        return self.decision.verdict.checks[0].key if self.decision is not None and self.checked else ""


class Settled(NamedTuple):
    """A row as it is accepted, and the check that has refused it, if one has."""

    row: NewRow
    refused: Refused | None = None
    #: the run that is accepted with it, and its first messages; or those of notices
    run: NewRow | None = None
    messages: Sequence[Canvas] = ()


def judged(
    form: Form,
    action_id: str,
    workspace_id: str,
    mode: Mode,
    attempted: Callable[[], Attempted],
    cause: Cause = TRIGGER,
) -> Form:
    """The form as the rules leave it; ``attempted`` is called where a rule concerns it.

    Raises:
        Unprocessable: values that a rule has changed, or sends on, do not fit. Conflict: the provider of a rule is
        disabled.
        Unavailable: the database is away.
    """
    definition = form.revision.definition
    key = facts.trigger_key(definition, action_id, workspace_id, cause)
    decision = judge(key, lambda: facts.of_trigger(definition, action_id, attempted(), cause))
    if decision is None:
        return form
    if mode != Mode.LIVE:
        decision = decision._replace(verdict=unheld(decision.verdict._replace(checks=())))
    if decision.verdict.patches:
        form = _patched(form, decision)
        shown = masked(form.values, form.secret_names)
        decision = decision._replace(facts=decision.facts._replace(payload=shown))
    if isinstance(decision.verdict.effect, Reroute):
        form = _rerouted(decision, form.secret_names)
    known, awaited = checks.full(workspace_id, decision.verdict.checks), listeners.awaited(workspace_id)
    return replace(form, decision=decision, known=known, awaited=awaited)


def unheld(verdict: Verdict) -> Verdict:
    """The verdict about what is not done in earnest: nothing of it is held back for a time."""
    return verdict if words.is_silenced(verdict) else verdict._replace(quiet=None)


def with_chain(form: Form, mode: Mode, actor: str, request_id: str | None) -> Form:
    """The form with the run of the chain that a rule starts in its place, if one does.

    A dry run starts none; a sandbox run one that is a sandbox run, too.

    Raises:
        Conflict: a provider of the chain cannot be used. Unavailable: the database is away.
    """
    decision = form.decision
    if decision is None or not isinstance(decision.verdict.effect, Chain) or mode == Mode.DRY_RUN:
        return form
    name, tenant = decision.verdict.effect.chain_name, decision.facts.tenant
    more = {"workspace_id": tenant, "actor": actor, "mode": mode, "request_id": request_id}
    return replace(form, chain=chain_starts.prepared(name, chain_starts.origin_of(decision), **more))


def with_questions(form: Form, row: NewRow) -> Form:
    """The form with the approval that a rule asks for, if one does: only of what is done in earnest.

    Raises:
        Unavailable: the database is away.
    """
    decision = form.decision
    if decision is None or row["mode"] != Mode.LIVE:
        return form
    if not questions.asking(decision.verdict) or words.stopped(decision) is not None:
        return form
    return replace(form, questions=notices.asked_by(decision, row, words.account(decision)))


def _patched(form: Form, decision: Decision) -> Form:
    """The form with the changes of rules in its real values, which are checked again."""
    changed = merge_patch.all_patched(dict(form.values), decision.verdict.patches)
    values, problems = parameters.resolve(form.revision.definition["parameters"], changed)
    if problems:
        text = f"The values do not fit any more once the rule {decision.verdict.rule!r} has changed them."
        raise Unprocessable(text, problems=[problem.under("/parameters") for problem in problems])
    return replace(form, values=values)


def _rerouted(decision: Decision, secret_names: Collection[str]) -> Form:
    """The form of the provider to which a rule sends it."""
    revision, values, names = reroutes.sent(decision, secret_names)
    return Form(revision=revision, values=values, secret_names=names)


def settled(connection: Connection, form: Form, row: NewRow) -> Settled:
    """The row as it is accepted; makes the checks of the verdict."""
    decision = form.decision
    if decision is None:
        return Settled(row)
    if row["mode"] == Mode.LIVE:
        holds.begin(connection, [(row["workspace_id"], decision.verdict)])
    if row["mode"] != Mode.DRY_RUN and (ended := words.stopped(decision)) is not None:
        return Settled(_ended(row, form, ended))
    made = form.known or checks.make(connection, row["workspace_id"], decision.verdict.checks, row["id"])
    if isinstance(made, Refused) and (asked := form.questions.get(made.check.rule)) is not None:
        return _asked(connection, row, asked)
    if isinstance(made, Refused):
        return Settled(_ended(row, form, words.refused(decision, made)), made)
    if isinstance(decision.verdict.effect, RequireApproval) and form.questions:
        return _asked(connection, row, form.questions[str(decision.verdict.rule)])
    return _let_out(connection, form, row, decision, made.at)


def _let_out(connection: Connection, form: Form, row: NewRow, decision: Decision, at: int | None) -> Settled:
    """What passes all checks, with a slot at a time or at once: it may wait for its delay or the end of a silence."""
    gate, effect, live = words.account(decision), decision.verdict.effect, row["mode"] == Mode.LIVE
    subject = row["id"] if form.chain is None else form.chain.row["id"]
    kept = holds.kept(connection, decision.verdict, row["workspace_id"], subject, gate.provider) if live else None
    if kept is not None and kept.at is None:
        return Settled(_ended(row, form, words.silenced(decision, kept.quiet)))
    if kept is not None:
        at, gate = max(at or 0, kept.at or 0), replace(gate, outcome="held" if form.chain is None else None)
    if form.chain is not None:
        return _replaced(row, form.chain, gate, at)
    if isinstance(effect, Schedule) and live:
        begins = db.now_ms() if at is None or kept is not None else at
        at = max(at or 0, begins + effect.delay_seconds * 1000)
    if at is None:
        return Settled({**row, "gate": gate.text()})
    waits: NewRow = {"status": Status.WAITING, "waiting_for": WaitingFor.DELAY, "due_at": at, "publishes": 0}
    return Settled({**row, **waits, "gate": replace(gate, until=at).text()})


def _asked(connection: Connection, row: NewRow, question: Question) -> Settled:
    assert question.gate is not None
    approval, messages = notices.written(connection, question)
    return Settled(notices.waits(row, question.gate, approval), messages=messages)


def _ended(row: NewRow, form: Form, ended: Ended) -> NewRow:
    status = Status.FAILED if ended.code == "denied" else Status.CANCELLED
    mark: Any = completion.mark(SimpleNamespace(**row), status, form.awaited)
    error = transitions.dump(failure(ended.code, ended.message))
    return {
        **row,
        **_END,
        "status": status,
        "error": error,
        "completed_at": row["created_at"],
        "gate": ended.gate.text(),
        **mark,
    }


def _replaced(row: NewRow, chain: ChainStart, gate: Gate, at: int | None) -> Settled:
    """A trigger in whose place a chain runs, at once or at its slot."""
    end: NewRow = {**_END, "status": Status.COMPLETED, "output": transitions.dump(chain.output)}
    ended: NewRow = {**row, **end, "completed_at": row["created_at"], "gate": gate.text()}
    if at is not None:
        return Settled(ended, run=run_start.later(chain.row, at))
    return Settled(ended, run=chain.row, messages=[chain.messages])
