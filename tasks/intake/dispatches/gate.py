"""What the rules make of a dispatch.

In order of time: ``prepared`` asks the rules, outside of any transaction, and makes what their verdict asks for: the
execution, by the provider that they name, with the payload that they change; the run of a chain in its place; nothing
where they stop it. ``carried_out`` makes the checks that must be exact, in the accepting transaction, and says what is
to be written: an execution, a run, or the record of what makes neither.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from config.errors import Unprocessable
from config.times import stamp
from gateway import gate_column, merge_patch
from gateway.facts import Facts, Key, of_dispatch
from gateway.gate_column import Gate
from gateway.outcomes import Deduplicated, DryRun, Outcome, Scheduled, Suppressed, Throttled
from gateway.outcomes import Muted as MutedOutcome
from gateway.rules.decide import ALLOWED
from gateway.verdicts import (
    Chain,
    Check,
    Deny,
    Muted,
    RequireApproval,
    Reroute,
    Schedule,
    Silenced,
    StateMachine,
    Suppress,
    Verdict,
)
from playbooks.definitions import parameters
from playbooks.definitions.events import APPROVAL_NOTICE
from store.definitions.actions import Revision
from store.engine import db
from store.engine.db import Connection
from store.executions.rows import NewRow
from tasks import tenants
from tasks.intake import chain_starts, holds, reroutes, run_start
from tasks.intake.dispatches import gather
from tasks.intake.dispatches import notes as dispatch_notes
from tasks.intake.dispatches.rows import Asked, Providers, message_of, row_of, wait_until
from tasks.intake.holds import Kept
from tasks.messages.model import Canvas
from tasks.policy import checks, judge, questions, words
from tasks.policy.checks import Refused
from tasks.policy.judge import Decision
from tasks.secrets.redact import masked

if TYPE_CHECKING:
    from tasks.intake.moves import Move
    from tasks.intake.notices import Question


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A dispatch that can be written, with the execution or run that it makes."""

    asked: Asked
    verdict: Verdict
    facts: Facts | None = None
    gate: Gate | None = None
    row: NewRow | None = None
    #: the execution that waits where an approval is asked before a chain or an event takes its place
    held: NewRow | None = None
    #: the outcome that is known before anything is carried out
    outcome: Outcome | None = None
    #: the check that is known to refuse it
    refused_by: Check | None = None
    #: rule → the approval that it asks for, with its notices
    questions: Mapping[str, "Question"] = field(default_factory=dict)
    #: the first messages of a chain's run
    chain: Canvas | None = None
    #: what it does to its event, in place of going out
    move: "Move | None" = None

    @property
    def shown(self) -> Mapping[str, Any]:
        """Its payload as the rules have seen it."""
        return self.asked.dispatch.payload if self.facts is None else self.facts.payload

    @property
    def is_plain(self) -> bool:
        """Whether it is written by adding its row alone."""
        alone = not self.verdict.checks and self.verdict.quiet is None and self.verdict.clears is None
        return self.row is not None and alone and self.chain is None and not self.questions

    @property
    def asks(self) -> bool:
        """Whether it waits for an approval in any case."""
        return isinstance(self.verdict.effect, RequireApproval)


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What is to be written and published of a dispatch."""

    #: the execution or run that it makes, else its record
    subject: str
    #: its record, where that is not of the subject: a run makes none of what it takes the place of
    recorded: str | None = None
    outcome: Outcome | None = None
    rows: Sequence[NewRow] = ()
    messages: Sequence[Canvas] = ()
    #: the approval for which it waits, with its notices
    question: "Question | None" = None
    #: a window that was found full
    refused: Refused | None = None
    #: the group that it has closed
    closed: str | None = None


def prepared(providers: Providers, asked: Asked) -> Ready:
    """Ask the rules, and prepare what they leave of a dispatch.

    Raises:
        NotFound, Conflict: its provider, or that to which a rule sends it, cannot be used. Unprocessable: its payload
        does not fit. InvalidRequest: there can be no such tenant. Whatever ``asked.unless_urgent`` raises.
    """
    this = asked.dispatch
    revision = providers.revision(this.tenant, this.provider)
    tenants.workspace_for(asked.caller, this.tenant)
    shown = _shown(revision, this.payload)
    decision = judged(asked, shown)
    if decision is None:
        row, gate = row_of(asked, this.provider, revision, this.payload), _gate(asked)
        return Ready(asked=asked, verdict=ALLOWED, gate=gate, row=_with(row, gate))
    facts, verdict = decision
    if (known := checks.full(this.tenant, verdict.checks)) is not None:
        return Ready(asked=asked, verdict=verdict, facts=facts, outcome=_refused(known), refused_by=known.check)
    if (ended := _ended_by(verdict)) is not None:
        return Ready(asked=asked, verdict=verdict, facts=facts, outcome=ended)
    if gather.gathers(verdict) and not questions.asking(verdict):
        return Ready(asked=asked, verdict=verdict, facts=facts)
    elsewhere = isinstance(verdict.effect, Chain | Reroute | StateMachine)
    payload = merge_patch.all_patched(shown if elsewhere else this.payload, verdict.patches)
    if isinstance(verdict.effect, StateMachine):
        moving = Ready(asked=asked, verdict=verdict, facts=facts._replace(payload=payload))
        return _held_first(moving, facts, revision, payload)
    if isinstance(verdict.effect, Chain):
        started = _started(asked, facts, verdict, verdict.effect.chain_name, payload)
        return _held_first(started, facts, revision, payload)
    gate = _gate(asked, facts, verdict)
    if isinstance(verdict.effect, Reroute):
        gate = replace(gate, provider=verdict.effect.target_provider, original_provider=this.provider)
        row = _rerouted(providers, asked, gate, payload, _secret_names(revision))
    else:
        row = row_of(asked, this.provider, revision, payload)
    outcome: Outcome | None = None
    if isinstance(verdict.effect, Schedule):
        moment = row["created_at"] + verdict.effect.delay_seconds * 1000
        wait_until(row, moment)
        gate = replace(gate, outcome="scheduled", until=moment)
        outcome = Scheduled(asked.action_id, stamp(moment))
    return Ready(asked=asked, verdict=verdict, facts=facts, gate=gate, row=_with(row, gate), outcome=outcome)


def _ended_by(verdict: Verdict) -> Outcome | None:
    """The outcome of a dispatch that a verdict keeps from going out in any case; None of any other."""
    effect = verdict.effect
    if isinstance(effect, Deny | Suppress):
        return Suppressed(str(verdict.rule), verdict.reason, denied=isinstance(effect, Deny))
    if isinstance(effect, Muted):
        return MutedOutcome(effect.interval, str(verdict.reason), verdict.rule)
    if isinstance(effect, Silenced) and verdict.quiet is not None:
        return words.held(verdict.quiet, verdict.rule)
    return None


def foretold(asked: Asked) -> DryRun:
    """What would become of a dispatch, without touching any state.

    Raises:
        NotFound, Conflict: as ``prepared``.
    """
    providers, this = Providers(), asked.dispatch
    revision = providers.revision(this.tenant, this.provider)
    decision = judged(asked, _shown(revision, this.payload))
    verdict = ALLOWED if decision is None else decision.verdict
    provider = this.provider
    if isinstance(verdict.effect, Reroute):
        provider = verdict.effect.target_provider
        providers.revision(this.tenant, provider)
    kept = isinstance(verdict.effect, Muted)
    kind = Silenced.kind if verdict.quiet is not None else Muted.kind if kept else verdict.kind
    return DryRun(kind, verdict.rule, provider)


def carried_out(connection: Connection, ready: Ready) -> Decided:
    """Make the checks of a dispatch, in the accepting transaction.

    Returns what is to be written.
    """
    asked, outcome = ready.asked, ready.outcome
    if ready.row is None or ready.gate is None:
        return _noted(connection, ready)
    row: NewRow = {**ready.row}  # a transaction may be repeated
    if ready.verdict.checks:
        made = checks.make(connection, asked.dispatch.tenant, ready.verdict.checks, row["id"])
        if isinstance(made, Refused):
            return stopped(connection, ready, made)
        if gather.gathers(ready.verdict):  # its row is for what exceeds a limit: that goes out by itself
            return _joined(connection, ready)
        if made.at is not None and ready.chain is not None:
            row = run_start.later(row, made.at)
        elif made.at is not None:
            _wait_for_slot(row, ready.gate, made.at)
            if isinstance(outcome, Scheduled):
                outcome = replace(outcome, scheduled_for=stamp(row["due_at"] or 0))
    if (asked_by := ready.questions.get(str(ready.verdict.rule))) is not None and ready.asks:
        return Decided(subject=row["id"], rows=[row], question=asked_by)
    return _let_out(connection, ready, row, outcome)


def _let_out(connection: Connection, ready: Ready, row: NewRow, outcome: Outcome | None) -> Decided:
    """What is written of a dispatch that passes all checks, unless a silence keeps it back."""
    asked = ready.asked
    provider = ready.gate.provider if ready.gate is not None else asked.dispatch.provider
    kept = holds.kept(connection, ready.verdict, asked.dispatch.tenant, row["id"], provider)
    if kept is not None and kept.at is None:
        stopped = words.held(kept.quiet, ready.verdict.rule)
        dispatch_notes.note(connection, asked, ready.verdict, stopped, ready.shown)
        return Decided(subject=asked.subject, outcome=stopped)
    if kept is not None:
        row, outcome = _held(row, ready, kept, outcome)
    if ready.chain is not None and outcome is not None:
        dispatch_notes.note(connection, asked, ready.verdict, outcome, ready.shown)
        messages = [ready.chain] if row["publishes"] else []
        return Decided(subject=row["id"], recorded=asked.subject, outcome=outcome, rows=[row], messages=messages)
    waits = row.get("waiting_for") is not None
    return Decided(subject=row["id"], outcome=outcome, rows=[row], messages=[] if waits else [message_of(row)])


def _noted(connection: Connection, ready: Ready) -> Decided:
    """The record of a dispatch that makes no execution."""
    if ready.outcome is None:
        return _gathered(connection, ready)
    asked, outcome = ready.asked, ready.outcome
    dispatch_notes.note(connection, asked, ready.verdict, outcome, ready.shown, ready.refused_by)
    return Decided(subject=asked.subject, outcome=outcome)


def _gathered(connection: Connection, ready: Ready) -> Decided:
    """Make the checks of a dispatch, and add it to its group."""
    if ready.verdict.checks:
        made = checks.make(connection, ready.asked.dispatch.tenant, ready.verdict.checks, ready.asked.subject)
        if isinstance(made, Refused):
            return stopped(connection, ready, made)
    return _joined(connection, ready)


def _joined(connection: Connection, ready: Ready) -> Decided:
    asked = ready.asked
    holds.passed(connection, ready.verdict, asked.dispatch.tenant, asked.dispatch.provider)
    outcome, closed = gather.join(connection, asked, ready.verdict, dict(ready.shown))
    return Decided(subject=asked.subject, outcome=outcome, closed=closed)


def stopped(connection: Connection, ready: Ready, made: Refused) -> Decided:
    """The question about a dispatch that a check refuses, or its record."""
    waits = ready.held or ready.row
    if waits is not None and (asked_by := ready.questions.get(made.check.rule)) is not None:
        return Decided(subject=waits["id"], rows=[{**waits}], question=asked_by)
    outcome = _refused(made)
    dispatch_notes.note(connection, ready.asked, ready.verdict, outcome, ready.shown, made.check)
    return Decided(subject=ready.asked.subject, outcome=outcome, refused=made)


def _shown(revision: Revision, payload: dict[str, Any]) -> dict[str, Any]:
    """A payload as rules, records and other providers see it: without what the provider's action calls secret."""
    return masked(payload, _secret_names(revision))


def _secret_names(revision: Revision) -> Collection[str]:
    """The members of a payload that are secret: a provider declares none, only an action for which one stands."""
    return parameters.secret_names(revision.definition["parameters"]) if revision.workspace_id else ()


def _rerouted(
    providers: Providers, asked: Asked, gate: Gate, payload: dict[str, Any], secret_names: Collection[str]
) -> NewRow:
    """The row of a dispatch that a rule sends on."""
    revision = providers.revision(asked.dispatch.tenant, gate.provider)
    payload = reroutes.payload_for(revision, payload, secret_names)
    try:
        return row_of(asked, gate.provider, revision, payload)
    except Unprocessable as refusal:
        text = reroutes.misfit(gate.rule, gate.provider)
        raise Unprocessable(text, problems=refusal.problems) from refusal


def judged(asked: Asked, shown: dict[str, Any]) -> Decision | None:
    """What the rules say of a dispatch whose payload they see as ``shown``."""
    this = asked.dispatch
    key: Key = (asked.origin, this.namespace, this.tenant, this.provider, this.action_type)
    return judge.judge(
        key,
        lambda: of_dispatch(
            {**this.members(), "payload": shown},
            at=db.now_ms(),
            origin=asked.origin,
            caller=asked.caller.key_id,
            execution_id=asked.subject,
        ),
    )


def _refused(refused: Refused) -> Outcome:
    if refused.of is not None:
        return Deduplicated(refused.of)
    return Throttled(refused.check.rule, max(0, (refused.until or 0) - db.now_ms()))


def _wait_for_slot(row: NewRow, gate: Gate, moment: int) -> None:
    """Let a row wait for its slot, or for its delay if longer."""
    if row.get("waiting_for") is None or moment > (row["due_at"] or 0):
        wait_until(row, moment)
        _with(row, replace(gate, until=moment))


def _held(row: NewRow, ready: Ready, kept: Kept, outcome: Outcome | None) -> tuple[NewRow, Outcome | None]:
    """A row that waits until a silence is over, and the outcome so far."""
    at = kept.at or 0
    if ready.chain is not None or ready.gate is None:
        return run_start.later(row, at), outcome
    _wait_for_slot(row, ready.gate, at)
    until = row["due_at"] or at
    return _with(row, replace(ready.gate, outcome="held", until=until)), words.held(
        kept.quiet, ready.gate.rule, until=until
    )


def _gate(asked: Asked, facts: Facts | None = None, verdict: Verdict = ALLOWED) -> Gate:
    this = asked.dispatch
    more: dict[str, Any] = {"given_id": this.id, "labels": this.labels, "trace": asked.trace, "reply": asked.reply}
    if asked.replays is not None:
        more["replayed_from"] = asked.replays.action_id
    if facts is not None:
        return gate_column.of(facts, verdict, **more)
    named = ("namespace", "provider", "action_type", "dedup_key", "fingerprint", "status", "starts_at", "ends_at")
    more |= {name: getattr(this, name) for name in named}
    return Gate(origin=asked.origin, **more)


def _with(row: NewRow, gate: Gate) -> NewRow:
    row["gate"] = gate.text()
    return row


def _held_first(ready: Ready, facts: Facts, revision: Revision, payload: dict[str, Any]) -> Ready:
    """A dispatch in whose place something else happens, with the execution that waits where that is asked about."""
    asked = ready.asked
    if not questions.asking(ready.verdict):
        return ready
    row = row_of(asked, asked.dispatch.provider, revision, payload, goes_out=False)
    return replace(ready, held=row, gate=ready.gate or _gate(asked, facts, ready.verdict))


def _started(asked: Asked, facts: Facts, verdict: Verdict, name: str, payload: dict[str, object]) -> Ready:
    """The run of a chain in place of a dispatch."""
    origin = {**asked.dispatch.members(), "payload": payload}
    row, messages, outcome = chain_starts.prepared(
        name,
        origin,
        workspace_id=asked.dispatch.tenant,
        actor=asked.caller.key_id,
        request_id=asked.request_id,
        led_by=APPROVAL_NOTICE if asked.origin == "approval" else None,
    )
    if asked.unless_urgent is not None and not messages.is_urgent:
        asked.unless_urgent()
    gate = _gate(asked, facts, verdict)
    return Ready(asked=asked, verdict=verdict, facts=facts, gate=gate, row=row, outcome=outcome, chain=messages)
