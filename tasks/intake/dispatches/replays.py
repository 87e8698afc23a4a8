"""Replays: recorded dispatches and triggers, sent again through the rules of today.

In order of time: a record is read with all that is kept of what it carried; ``prepared`` makes of it what was asked for
then, or says why that cannot be; ``sent`` accepts it by the way that it came, as a dispatch or as a trigger of its
action. Each record is replayed once, by whatever caller: the first replay's key is written in the transaction that
accepts it (``tasks.intake.idempotency.Replay``), and later ones are answered with what it has made.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from config.errors import CallerError, Forbidden, Problem, Unavailable, Unprocessable
from config.pointers import step
from config.types import Json
from gateway import kept_members
from gateway.outcomes import DryRun, Outcome
from gateway.requests import Dispatch
from gateway.rules.decide import ALLOWED
from gateway.verdicts import Muted, Reroute, Silenced
from playbooks.credentials import MASK
from playbooks.definitions import parameters
from playbooks.states import Kind
from store.access import Caller
from store.engine import db
from store.engine.db import Row
from store.executions import results, transitions
from tasks import tenants
from tasks.definitions import revisions
from tasks.intake import dispatch as triggers
from tasks.intake.dispatch import AcceptedExecution, DispatchRequest
from tasks.intake.dispatches import accept as dispatches
from tasks.intake.dispatches import ends
from tasks.intake.dispatches import ids as dispatch_ids
from tasks.intake.dispatches.batch import Taken
from tasks.intake.dispatches.gate import foretold
from tasks.intake.dispatches.rows import Asked
from tasks.intake.idempotency import Replay

#: records that are read and accepted together: a body may have a MiB
BITE = 16
#: what triggering needs
EXECUTE = "execute:actions"
#: the codes of what cannot be replayed
NOT_REPLAYABLE, GONE, MASKED, SECRET = "not_replayable", "payload_gone", "payload_masked", "secret_needed"
#: origin → what to do instead
_INSTEAD = {
    "step": "It was a step of a run: retry the run.",
    "chain": "It was a step of a chain: replay the dispatch that started the chain, or retry its run.",
    "group": "It was the summary of a group: replay the dispatches that were gathered.",
    "recurring": "A schedule has sent it, and sends the next by itself.",
    "event": "It was a notice of an event: move the event, or replay the dispatch that moved it.",
    "approval": "It was a notice of an approval: decide what waits, or replay what was asked for.",
    "audit": "It was an anchor of the audit trail: the next one follows by itself.",
    "silence": "It was a notice of a silence: replay what the silence has kept back.",
}
_NO_BODY = (
    "What it carried is not kept any more: a payload is deleted after TOCSIN_PAYLOAD_DAYS, an execution after "
    "TOCSIN_RETENTION_DAYS. Send it again yourself."
)
_NO_MEMBERS = "The release before has recorded it, and kept its payload without its labels and keys: send it yourself."
_MASKS = "It carried secrets, and only masks are kept in their place: send it again yourself."
_REROUTED = "A rule has sent it to another provider, with other values than its own: trigger the action yourself."


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Who replays, and how."""

    caller: Caller
    trace: Mapping[str, str] = field(default_factory=dict)
    request_id: str | None = None
    #: raises if there is room only for urgent requests
    unless_urgent: Callable[[], None] | None = None


class Made(NamedTuple):
    """What the replay of a record has made; ``outcome`` is None where the end of the execution is the outcome."""

    subject: str
    outcome: Outcome | None = None
    #: whether it was made before
    repeated: bool = False


Prepared = Asked | DispatchRequest


def action_id_of(row: Row) -> str:
    """The id that a record shows."""
    return str(row.given_id or row.subject)


def is_replay(row: Row) -> bool:
    """Whether a record is of a replay itself."""
    return any(transitions.load(text, {}).get("replayed_from") for text in (row.gate, row.details))


def prepared(row: Row, sender: Sender) -> Prepared:
    """What a record is replayed as; ``row`` is one of ``store.records.listing.to_replay``.

    Raises:
        Unprocessable: it cannot be replayed. Forbidden: the sender may not send it. Unavailable: the database is away.
    """
    replay = Replay(row.subject, action_id_of(row))
    if row.origin == "trigger":
        return _triggered(row, sender, replay)
    if row.origin != "dispatch":
        raise Unprocessable(_INSTEAD.get(row.origin, "Nobody has dispatched it."), code=NOT_REPLAYABLE)
    members = _of_execution(row) if row.kind == Kind.DISPATCH else _of_note(row)
    this = Dispatch(**{**members, "tenant": row.workspace_id, "id": None})
    tenants.require(sender.caller, this.tenant, this.namespace, this.provider, this.action_type)
    return Asked(
        caller=sender.caller,
        dispatch=this,
        trace=sender.trace,
        request_id=sender.request_id,
        unless_urgent=sender.unless_urgent,
        replays=replay,
    )


def _of_execution(row: Row) -> Json:
    """The members of a dispatch that made an execution.

    A mask in them may stand for a secret parameter, or for a credential that a later release has found in there.
    """
    if row.input is None:
        raise Unprocessable(_NO_BODY, code=GONE)
    members: Json = json.loads(row.input)
    if row.sealed is not None or kept_members.has_mask(members):
        raise Unprocessable(_MASKS, code=MASKED)
    return members


def _of_note(row: Row) -> Json:
    """The members of a dispatch that made none."""
    if row.body is None:
        raise Unprocessable(_NO_BODY, code=GONE)
    if row.members is None:
        raise Unprocessable(_NO_MEMBERS, code=GONE)
    kept = json.loads(row.members)
    if kept_members.is_masked(kept):
        raise Unprocessable(_MASKS, code=MASKED)
    named = {name: getattr(row, name) for name in ("namespace", "provider", "action_type")}
    return {**named, "payload": json.loads(row.body), **kept_members.read(kept)}


def _triggered(row: Row, sender: Sender, replay: Replay) -> DispatchRequest:
    if EXECUTE not in sender.caller.permissions:
        raise Forbidden(f"It was a trigger: to replay it needs the permission {EXECUTE}, which the key does not carry.")
    if row.workspace_id != sender.caller.workspace_id:
        text = f"It was a trigger in the workspace {row.workspace_id!r}: replay it with a key of that workspace."
        raise Forbidden(text, code="not_granted")
    if row.input is None:
        raise Unprocessable(_NO_BODY, code=GONE)
    values: Json = json.loads(row.input)
    if _gate(row).get("original_provider"):
        raise Unprocessable(_REROUTED, code=NOT_REPLAYABLE)
    if names := _masked_names(row, values):
        problems = [Problem(f"/parameters{step(name)}", "is secret, and not kept") for name in names]
        text = "Secret parameters are not kept in clear: trigger the action again, and give them."
        raise Unprocessable(text, code=SECRET, problems=problems)
    if kept_members.has_mask(values):
        raise Unprocessable(_MASKS, code=MASKED)
    return DispatchRequest(
        caller=sender.caller,
        action_id=row.action_id,
        parameters=values,
        target=row.target,
        request_id=sender.request_id,
        unless_urgent=sender.unless_urgent,
        replays=replay,
    )


def _gate(row: Row) -> Json:
    found: Json = transitions.load(row.gate, {})
    return found


def _masked_names(row: Row, values: Mapping[str, Any]) -> list[str]:
    """The secret parameters that a mask stands for: their seal is deleted before the rest is."""
    if not any(value == MASK for value in values.values()):
        return []
    declared = revisions.action(row.revision_id).definition["parameters"]
    return sorted(name for name in parameters.secret_names(declared) if values.get(name) == MASK)


def sent(rows: Sequence[Row], sender: Sender) -> list[Made | CallerError]:
    """Replay records, in their order; a fault of one is its own.

    Raises:
        Unavailable: the database is away. What was accepted until then is not lost, nor replayed again.
    """
    found = list(_each(rows, sender))
    done: list[Made | CallerError] = []
    for _, group in groupby(found, key=type):
        some = list(group)
        asked = [one for one in some if isinstance(one, Asked)]
        done += _dispatched(asked) if asked else [_other(one) for one in some if not isinstance(one, Asked)]
    return done


def _each(rows: Sequence[Row], sender: Sender) -> Iterator[Prepared | CallerError]:
    for row in rows:
        try:
            yield prepared(row, sender)
        except Unavailable:
            raise
        except CallerError as refusal:
            yield refusal


def _dispatched(asked: Sequence[Asked]) -> list[Made | CallerError]:
    try:
        taken = dispatches.accept(asked)
    except Unavailable:
        raise
    except CallerError as refusal:  # others replay the same records at this moment
        return [refusal] * len(asked)
    return [
        Made(one.recorded or one.subject, one.outcome, one.replayed) if isinstance(one, Taken) else one for one in taken
    ]


def _other(one: DispatchRequest | CallerError) -> Made | CallerError:
    if isinstance(one, CallerError):
        return one
    try:
        return triggered(one)
    except Unavailable:
        raise
    except CallerError as refusal:
        return refusal


def triggered(request: DispatchRequest) -> Made:
    """Accept a trigger again.

    Raises:
        As ``tasks.intake.dispatch.dispatch``.
    """
    accepted = triggers.dispatch(request)
    return Made(accepted.execution_id, _outcome(accepted), accepted.replayed)


def _outcome(accepted: AcceptedExecution) -> Outcome | None:
    """The outcome of a trigger, if there is one: a rule may end it at once."""
    with db.read() as connection:
        rows = results.read(connection, [accepted.execution_id], Kind.ACTION)
    return ends.known(rows[0]) if rows else None


def foreseen(rows: Sequence[Row], sender: Sender) -> list[Made | CallerError]:
    """What would become of records that are replayed, by the rules of today: nothing is sent, counted or kept.

    Raises:
        Unavailable: the database is away.
    """
    found = list(_each(rows, sender))
    keys = [_key(one) for one in found if not isinstance(one, CallerError)]
    with db.read() as connection:
        known = dispatch_ids.read(connection, keys)
    return [one if isinstance(one, CallerError) else _foreseen(one, known) for one in found]


def _key(one: Prepared) -> dispatch_ids.Key:
    tenant = one.dispatch.tenant if isinstance(one, Asked) else one.caller.workspace_id
    return tenant, "", one.replays.key if one.replays is not None else ""


def _foreseen(one: Prepared, known: dispatch_ids.Known) -> Made | CallerError:
    before = known.get(_key(one))
    if before is not None:
        return Made(before.execution_id, repeated=True)
    try:
        return Made("", foretold(one) if isinstance(one, Asked) else _foretold(one))
    except Unavailable:
        raise
    except CallerError as refusal:
        return refusal


def _foretold(request: DispatchRequest) -> DryRun:
    """What would become of a trigger.

    Raises:
        NotFound: the action is gone. Unavailable: the database is away.
    """
    key, decision = triggers.judged(request)
    verdict = ALLOWED if decision is None else decision.verdict
    by = verdict.effect.target_provider if isinstance(verdict.effect, Reroute) else key[3]
    kept = Muted.kind if isinstance(verdict.effect, Muted) else verdict.kind
    return DryRun(kept if verdict.quiet is None else Silenced.kind, verdict.rule, by)
