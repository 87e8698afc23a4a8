"""A batch of dispatches, from what is asked to the rows of the accepting transaction.

In order of time: what was accepted before under the same ids is found; each provider is looked up; the rules decide
about each dispatch; what goes out becomes an execution, which a worker carries out like any other. All of it is
written in one transaction, with what the rules must remember.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from config import spans
from config.errors import CallerError
from gateway.outcomes import Outcome
from store.engine.db import Connection
from store.executions import transitions
from store.executions.rows import NewRow
from tasks.intake import holds, moves, notices
from tasks.intake.dispatches import gate as dispatch_gate
from tasks.intake.dispatches import gather
from tasks.intake.dispatches import ids as dispatch_ids
from tasks.intake.dispatches.gate import Decided, Ready
from tasks.intake.dispatches.rows import Asked, Providers
from tasks.messages.model import Canvas
from tasks.policy.checks import Refused


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A dispatch that was accepted, or decided at once.

    ``outcome`` is None where the end of the execution ``subject`` is the outcome.
    """

    asked: Asked
    subject: str
    #: its record, where that is not of the subject
    recorded: str | None = None
    outcome: Outcome | None = None
    #: whether an earlier copy of it was accepted
    replayed: bool = False

    @property
    def action_id(self) -> str:
        """The id under which it is recorded."""
        return self.asked.dispatch.id or self.recorded or self.subject


Result = Taken | CallerError


@dataclass
class Batch:
    """Dispatches, and what has become of each."""

    asked: Sequence[Asked]
    results: dict[int, Result] = field(default_factory=dict)
    ready: dict[int, Ready] = field(default_factory=dict)
    #: place of a copy → place of the dispatch in the same batch whose id it repeats
    copies: dict[int, int] = field(default_factory=dict)
    #: the windows that were found full
    refused: list[tuple[Asked, Refused]] = field(default_factory=list)
    #: the groups that were closed
    closed: list[str] = field(default_factory=list)


def prepare(batch: Batch) -> None:
    """Decide about each; each look-up has a connection for itself, so that none is held while another is waited for."""
    known, providers, firsts = dispatch_ids.earlier(batch.asked), Providers(), dict[dispatch_ids.Key, int]()
    for place, asked in enumerate(batch.asked):
        try:
            found = dispatch_ids.replayed(known, asked)
            if found is not None:
                batch.results[place] = Taken(asked=asked, subject=found.subject, outcome=found.outcome, replayed=True)
                continue
            if (key := dispatch_ids.key_of(asked)) is not None:
                first = firsts.setdefault(key, place)
                if first != place:
                    dispatch_ids.refuse_other(batch.asked[first], asked)
                    batch.copies[place] = first
                    continue
            batch.ready[place] = _decided(providers, asked)
        except CallerError as refusal:
            batch.results[place] = refusal


def _decided(providers: Providers, asked: Asked) -> Ready:
    """A dispatch about which the rules have decided; what is done about it goes on below the span of that."""
    with spans.span("decide", asked.trace) as span:
        if span.recorded:
            this, asked = asked.dispatch, replace(asked, trace=span.context)
            span.tell(execution=asked.subject, dispatch=this.id, tenant=this.tenant, namespace=this.namespace)
            span.tell(provider=this.provider, action_type=this.action_type, origin=asked.origin)
        ready = moves.moving(notices.asking(dispatch_gate.prepared(providers, asked)), providers)
        if span.recorded:
            outcome = None if ready.outcome is None else ready.outcome.name
            span.tell(verdict=ready.verdict.kind, rule=ready.verdict.rule, outcome=outcome)
    return ready


def is_single(batch: Batch) -> bool:
    """Whether the transaction is one statement on PostgreSQL."""
    return len(batch.ready) == 1 and all(
        dispatch_ids.key_of(ready.asked) is None and (ready.is_plain or gather.is_single(ready.verdict))
        for ready in batch.ready.values()
    )


def write(connection: Connection, batch: Batch) -> list[Canvas]:
    """Write what is ready; returns the messages to publish afterwards.

    Events, then silences, then keys and windows, then ids are locked in one order, whatever that of the batch is:
    batches that cross never wait for each other in a circle. Of equal dispatches the first still comes first.
    """
    rows, messages = list[NewRow](), list[Canvas]()
    batch.refused.clear()  # this may be the second try
    batch.closed.clear()
    moves.lock(connection, batch.ready.values())
    holds.begin(connection, ((ready.asked.dispatch.tenant, ready.verdict) for ready in batch.ready.values()))
    made = _made(connection, batch)
    named = {place: key for place, ready in batch.ready.items() if (key := dispatch_ids.key_of(ready.asked))}
    for place in sorted(named, key=named.__getitem__):
        this = made[place]
        dispatch_ids.remember(connection, batch.ready[place].asked, this.recorded or this.subject, this.outcome)
    for place, ready in batch.ready.items():
        decided = made[place]
        rows += decided.rows
        messages += decided.messages
        if decided.refused is not None:
            batch.refused.append((ready.asked, decided.refused))
        if decided.closed is not None:
            batch.closed.append(decided.closed)
    by_actor: dict[str, list[NewRow]] = {}
    for row in rows:
        by_actor.setdefault(row["created_by"], []).append(row)
    for actor, own in by_actor.items():
        transitions.add(connection, own, actor)
    for place, decided in made.items():
        asked = batch.asked[place]
        batch.results[place] = Taken(
            asked=asked, subject=decided.subject, recorded=decided.recorded, outcome=decided.outcome
        )
    return messages


def _made(connection: Connection, batch: Batch) -> dict[int, Decided]:
    """What is to be written of each dispatch, by its place."""
    made: dict[int, Decided] = {}
    for place, ready in sorted(batch.ready.items(), key=_keys_of):
        if ready.move is None:
            made[place] = notices.asked(connection, ready, dispatch_gate.carried_out(connection, ready))
        elif (refused := moves.checked(connection, ready)) is not None:
            made[place] = notices.asked(connection, ready, refused)
    for place, ready in batch.ready.items():  # an event goes through its states in the order of the batch
        if ready.move is not None and place not in made:
            made[place] = moves.carried_out(connection, ready, ready.move)
    return made


def _keys_of(item: tuple[int, Ready]) -> tuple[str, ...]:
    """What the checks of a dispatch lock, in their order."""
    ready = item[1]
    gathered = "" if ready.verdict.gathered is None else ready.verdict.gathered.key
    return gathered, ready.asked.dispatch.tenant, *(check.key for check in ready.verdict.checks)


def contended(batch: Batch) -> str:
    """The row for which a batch that is nothing but one dispatch contends with others, if there is one."""
    if len(batch.ready) != 1:
        return ""
    [ready] = batch.ready.values()
    if ready.verdict.gathered is None or ready.verdict.checks or dispatch_ids.key_of(ready.asked):
        return ""
    return ready.verdict.gathered.key
