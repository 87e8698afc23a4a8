"""What follows an approval of what a rule has held back.

In order of time: before the transaction of the decision the rules are asked once more, and what may follow is prepared;
in it, the checks are made that were not made before, and what they leave moves on. What goes out has been approved by
everybody that any rule wanted: a rule that has wanted an approval of it as it came, or wants one by now, asks in its
turn, so that it waits again. Where a rule had put a chain, an event or a delay in its place, that follows. A step moves
on alone: rules are asked at its attempt.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from config.errors import CallerError, Conflict
from gateway import current, gate_column
from gateway.facts import Attempted, Facts, of_dispatch, of_trigger, trigger_key
from gateway.gate_column import Gate
from gateway.outcomes import Outcome
from gateway.requests import Dispatch
from gateway.rules.decide import ALLOWED
from gateway.verdicts import Check, RequireApproval, StateMachine, Throttle, Verdict
from playbooks.states import Kind, Mode, Status, WaitingFor
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import transitions
from store.executions.rows import NewRow
from tasks.attempts.conclude import columns_of
from tasks.attempts.failure import failure
from tasks.clock import recovery
from tasks.definitions import revisions
from tasks.intake import chain_starts, holds, moves, notices, run_start
from tasks.intake.chain_starts import ChainStart
from tasks.intake.dispatches import notes as dispatch_notes
from tasks.intake.dispatches.gate import Ready
from tasks.intake.dispatches.rows import Asked, Providers, system
from tasks.intake.moves import Move
from tasks.intake.notices import Question
from tasks.messages.backlog import backlog
from tasks.messages.model import Canvas
from tasks.policy import checks, judge, questions, words
from tasks.policy.checks import Passed, Refused
from tasks.policy.judge import Decision
from tasks.policy.words import Ended

#: what a dispatch says of itself, which an end by a rule keeps in the account
_OWN = ("given_id", "labels", "trace", "reply", "shadows", "replayed_from")
_MEMBERS = frozenset(one.name for one in fields(Dispatch))


@dataclass(frozen=True, kw_only=True)
class Onward:
    """What may follow an approval, prepared."""

    #: when the message of what goes out is published again
    again_at: int = 0
    #: the account once it is approved, and what the rules decide by now; None of a step
    gate: Gate | None = None
    decision: Decision | None = None
    #: how a rule that is in force by now stops it
    ended: Ended | None = None
    #: the checks to make, and the rules that ask whatever these say
    checks: Sequence[Check] = ()
    asks: Sequence[str] = ()
    #: rule → the approval that it asks for
    questions: Mapping[str, Question] = field(default_factory=dict)
    #: the question that comes first: it is not any more what was approved
    again: Question | None = None
    chain: ChainStart | None = None
    move: Move | None = None


#: of what no rule has asked about
NOTHING = Onward()


@dataclass(frozen=True, kw_only=True)
class Moves:
    """The transition of an execution that is approved, and what is written with it."""

    status: Status
    changes: dict[str, Any]
    question: Question | None = None
    rows: Sequence[NewRow] = ()
    messages: Sequence[Canvas] = ()
    #: what its audit row tells besides
    said: Mapping[str, Any] = field(default_factory=dict)
    #: whether its end is no news of an action: something else happened in its place
    silent: bool = True

    def written(self, connection: Connection) -> list[Canvas]:
        """Write what comes with it; the messages to publish after the commit."""
        if self.question is not None:
            return notices.written(connection, self.question)[1]
        by_actor: dict[str, list[NewRow]] = {}
        for row in self.rows:
            by_actor.setdefault(row["created_by"], []).append(row)
        for actor, own in by_actor.items():
            transitions.add(connection, own, actor)
        return list(self.messages)


# before the transaction


def prepared(row: Row, asked: Row, reply: str | None) -> Onward:
    """What follows if this approval is given; ``reply`` is the process that waits for the end.

    Raises:
        Unavailable: the database is away. Conflict: what would happen in its place cannot.
    """
    before = gate_column.read(row.gate)
    if before is None:
        return NOTHING
    gate = questions.approved(before, asked)
    again_at = backlog.again_at(row.queue, db.now_ms())
    if row.kind == Kind.STEP or row.mode != Mode.LIVE:
        return Onward(gate=gate, again_at=again_at)
    gate = replace(gate, reply=reply)
    key, seen = _of_dispatch(row, gate) if row.kind == Kind.DISPATCH else _of_trigger(row)
    decision = judge.judge(key, seen)
    if decision is not None and (ended := words.stopped(decision)) is not None:
        return Onward(gate=gate, ended=ended)
    decision = decision or Decision(seen(), ALLOWED)
    done = {gate.approved["rule"], *gate.approved.get("before", ()), *gate.counted}
    found = {**_wanted(before), **questions.asking(decision.verdict)}
    asks = {rule: effect for rule, effect in found.items() if rule not in done}
    # an account without either is of an earlier release, which had made all checks before it asked
    asked_first = bool(before.wanted or before.counted)
    left = tuple(check for check in decision.verdict.checks if check.rule not in done) if asked_first else ()
    limits = {check.rule for check in left}
    always = [rule for rule in asks if rule not in limits]
    gate = replace(gate, wanted=list(dict.fromkeys((*gate.wanted, *asks))))
    passed = replace(gate, counted=[*gate.counted, *(check.rule for check in left)])
    columns, asking = columns_of(row), dict[str, Question]()
    for rule, effect in asks.items():
        account = gate if rule in limits else passed  # a limit that asks undoes what the other checks have counted
        asking[rule] = notices.question(decision, columns, account, rule, effect)
    onward = Onward(again_at=again_at, gate=passed, decision=decision, checks=left, asks=always, questions=asking)
    return _instead(onward, row, asked, gate, decision)


def _wanted(gate: Gate) -> dict[str, RequireApproval]:
    """Rule → what it asks, of those that wanted an approval when the execution came and are in force still."""
    found, rules = dict[str, RequireApproval](), current.held().ruleset
    for name in gate.wanted:
        rule = rules.named(name)
        if rule is None or rule.shadow or not rules.enabled[name]:
            continue
        effect = rule.effect.approval if isinstance(rule.effect, Throttle) else rule.effect
        if isinstance(effect, RequireApproval):
            found[name] = effect
    return found


def _instead(onward: Onward, row: Row, asked: Row, gate: Gate, decision: Decision) -> Onward:
    """What follows, with the chain or the move that takes the place of what was approved."""
    chain, machine = gate.onward.get("chain"), gate.onward.get("state_machine")
    if chain is None and machine is None:
        return onward
    digest = questions.digest_of(columns_of(row), gate)
    if digest != asked.digest:  # no attempt would compare it
        again = notices.prepared(questions.again(asked, digest), decision.facts.payload)
        return replace(onward, again=replace(again, gate=gate_column.read(row.gate)))
    try:
        if chain is not None:
            return replace(onward, chain=_chain(chain, row, decision))
        return replace(onward, move=_move(row, gate, decision.facts))
    except CallerError as refusal:
        if refusal.retryable:
            raise
        raise Conflict(str(refusal), code=refusal.code) from refusal


def _chain(name: str, row: Row, decision: Decision) -> ChainStart:
    origin = json.loads(row.input) if row.kind == Kind.DISPATCH else chain_starts.origin_of(decision)
    more = {"workspace_id": row.workspace_id, "actor": row.created_by, "request_id": row.request_id}
    return chain_starts.prepared(name, origin, **more)


def _move(row: Row, gate: Gate, facts: Facts) -> Move | None:
    given = {name: value for name, value in json.loads(row.input).items() if name in _MEMBERS}
    dispatch = Dispatch(**{**given, "namespace": gate.namespace, "tenant": row.workspace_id})
    caller = replace(system(row.workspace_id), key_id=row.created_by)
    effect = StateMachine(gate.onward["state_machine"], tuple(gate.onward["fingerprint_fields"]))
    verdict = Verdict(effect, gate.onward["rule"])
    asked = Asked(caller=caller, dispatch=dispatch, subject=row.id)
    return moves.moving(Ready(asked=asked, verdict=verdict, facts=facts), Providers()).move


# the rules, once more


def _of_dispatch(row: Row, gate: Gate) -> tuple[Any, Callable[[], Facts]]:
    given: Mapping[str, Any] = json.loads(row.input)
    provider = gate.original_provider or gate.provider
    key = (gate.origin, gate.namespace, row.workspace_id, provider, gate.action_type)

    def seen() -> Facts:
        dispatch = {**given, "namespace": gate.namespace, "tenant": row.workspace_id, "provider": provider}
        more: Any = {"origin": gate.origin, "caller": row.created_by, "execution_id": row.id}
        return of_dispatch(dispatch, at=db.now_ms(), **more)

    return key, seen


def _of_trigger(row: Row) -> tuple[Any, Callable[[], Facts]]:
    definition = revisions.action(row.revision_id).definition
    values = json.loads(row.input)

    def seen() -> Facts:
        shown = Attempted(row.workspace_id, db.now_ms(), values, row.target, row.created_by, row.id)
        return of_trigger(definition, row.action_id, shown)

    return trigger_key(definition, row.action_id, row.workspace_id), seen


# the transaction


def lock(connection: Connection, onward: Onward) -> None:
    """Lock the event that moves, before anything else is locked: as the batches of dispatches do."""
    if onward.move is not None:
        moves.lock_of(connection, [onward.move])


def carried_on(connection: Connection, onward: Onward, before: Row, asked: Row) -> Moves:
    """What becomes of an execution that is approved, whose row is locked."""
    gate = onward.gate
    assert gate is not None
    if onward.ended is not None:
        return _ended(onward.ended, gate, asked)
    if onward.again is not None:
        return _asked(onward.again)
    made: Passed | Refused = Passed()
    if onward.checks:
        made = checks.make(connection, before.workspace_id, onward.checks, before.id)
    if isinstance(made, Refused):
        if (question := onward.questions.get(made.check.rule)) is not None:
            return _asked(question)
        assert onward.decision is not None
        return _ended(words.refused(onward.decision, made), gate, asked)
    if onward.asks:
        return _asked(onward.questions[onward.asks[0]])
    if onward.move is not None:
        moved = moves.make(connection, onward.move)
        this = _replaced(gate, "state_machine", moved.outcome, moves.told(moved, onward.move))
        return replace(this, rows=moved.rows, messages=moved.messages)
    if onward.decision is not None:
        holds.passed(connection, onward.decision.verdict, before.workspace_id, gate.provider)
    if onward.chain is not None:
        run = onward.chain.row if made.at is None else run_start.later(onward.chain.row, made.at)
        messages = [onward.chain.messages] if made.at is None else []
        this = _replaced(gate, "chain", onward.chain.outcome, {"condition": gate.condition})
        return replace(this, rows=[run], messages=messages)
    return _let_go(gate, before, made.at, onward.again_at)


def _asked(question: Question) -> Moves:
    """It waits for another approval."""
    approval, gate = question.approval, question.gate
    assert gate is not None
    changes = {
        "waiting_for": WaitingFor.GATE,
        "publishes": 0,
        "due_at": approval.expires_at,
        "gate": questions.waiting(gate, approval).text(),
    }
    return Moves(status=Status.WAITING, changes=changes, question=question)


def _ended(ended: Ended, gate: Gate, asked: Row) -> Moves:
    """A rule, a silence or a check keeps it from going out."""
    own = {name: getattr(gate, name) for name in _OWN}
    account = replace(ended.gate, **own, approval=asked.id)
    error = transitions.dump(failure(ended.code, ended.message))
    status = Status.FAILED if ended.code == "denied" else Status.CANCELLED
    return Moves(status=status, changes={"error": error, "gate": account.text()}, silent=False)


def _replaced(gate: Gate, verdict: str, outcome: Outcome, more: Mapping[str, Any]) -> Moves:
    """Something else happens in its place: its record tells what it would at once, and which approval let it."""
    account = replace(gate, verdict=verdict, rule=gate.onward["rule"], outcome=outcome.name)
    changes = {"output": transitions.dump(outcome.members()), "gate": account.text()}
    said = {**dispatch_notes.told(outcome), **more, "approval": gate.approval}
    said = {name: value for name, value in said.items() if value is not None}
    return Moves(status=Status.COMPLETED, changes=changes, said=said)


def _let_go(gate: Gate, before: Row, at: int | None, again_at: int) -> Moves:
    """It goes out: at once, at its slot, or after the delay that a rule asks for."""
    if (delay := gate.onward.get("delay_seconds")) is not None:
        at = (at or db.now_ms()) + delay * 1000
    if at is not None:
        account = replace(gate, until=at, outcome="scheduled" if delay is not None else None)
        waits = {"waiting_for": WaitingFor.DELAY, "publishes": 0, "due_at": at, "gate": account.text()}
        return Moves(status=Status.WAITING, changes=waits)
    changes = {"waiting_for": None, "publishes": 1, "due_at": again_at, "gate": gate.text()}
    message = recovery.on_fair_queue(before, recovery.message_of(before, before.queue))
    return Moves(status=Status.PENDING, changes=changes, messages=[message])
