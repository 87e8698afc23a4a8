"""Events: start the playbooks that listen for what has happened.

In order of time: the enabled playbooks that listen for the event, by its name or by a wildcard above it, are looked up,
and those whose conditions it meets are kept; the members of the event that fit their declared parameters become the
values of a run each; then all runs are committed in one transaction, each in a savepoint, so that a fault of one
playbook never keeps another from starting; then their chains are published. A playbook that cannot be started gets a
failed run with the reason (``tasks.intake.candidates``).

If the sender gives an event an id, the event starts each playbook once, however often it is sent: sender, id and
playbook make an idempotency key. The result names the playbooks that could not be started, with the reason, and those
whose conditions the event does not meet, with the first such condition. An event sent again under the same id tries
those again that could not be started.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from config import logs
from playbooks.definitions.events import names
from playbooks.definitions.parameter_values import value_fault
from playbooks.definitions.triggers import Mismatch, mismatch, subject
from store.definitions import playbooks
from store.definitions.playbooks import Playbook
from store.engine import db
from store.engine.db import Connection, IntegrityError
from store.executions.rows import NewRow
from tasks.intake import candidates, idempotency, run_start
from tasks.intake.candidates import Candidate, Refusal
from tasks.intake.run_start import RunRequest
from tasks.messages import publisher
from tasks.messages.model import Canvas

#: characters of a target
MAX_TARGET_CHARACTERS = 255
#: playbooks of which a result says why the event does not start them
MOST_NOT_MATCHED = 50

log = logs.logger(__name__)


@dataclass(frozen=True, kw_only=True)
class TriggerEvent:
    """An event that was reported."""

    workspace_id: str
    actor: str
    #: its name, such as finding.new
    event: str
    id: str
    data: Mapping[str, Any]
    #: whether the sender gave the id, and may send the event again
    named: bool = False
    #: the asset that it is about, unless its data says
    target: str | None = None
    request_id: str | None = None
    hops: int = 0
    #: raises if there is room only for urgent requests
    unless_urgent: Callable[[], None] | None = None

    def payload(self) -> dict[str, Any]:
        """The event as runs store it and templates read it."""
        return {"event": self.event, "id": self.id, "data": dict(self.data)}

    def key(self, playbook_id: str, word: str = "event") -> str | None:
        """The idempotency key of the event's run of a playbook."""
        return idempotency.SEPARATOR.join((word, self.id, playbook_id)) if self.named else None

    def fingerprint_parts(self) -> list[Any]:
        """The parts that are equal in two copies of an event."""
        return ["event", self.event, dict(self.data)]


@dataclass
class EventResult:
    """The result of an event: playbook → run, and playbook → refusal."""

    started: dict[str, str] = field(default_factory=dict)
    not_started: dict[str, Refusal] = field(default_factory=dict)
    not_matched: dict[str, Mismatch] = field(default_factory=dict)
    #: whether any run is new
    fresh: bool = False
    #: whether an event of this id has been handled before
    repeated: bool = False
    #: what to publish after the commit
    messages: list[Canvas] = field(default_factory=list)
    #: the number of enabled playbooks that listen for the event, whatever their conditions
    considered: int = 0


@idempotency.clashes_audited()
def handle_event(this: TriggerEvent) -> EventResult:
    """Start the playbooks that listen for an event.

    The result has each run, refusal or condition that is not met.

    Raises:
        Unprocessable: the id names another event. Unavailable: the database is away; nothing was started. Whatever
            ``this.unless_urgent`` raises, unless one of them begins with an urgent action.
    """
    chosen = choose(this)
    urgent = any(one.ready is not None and one.ready[1].is_urgent for one in chosen.candidates)
    writes = any(one.known is None for one in chosen.candidates)
    if this.unless_urgent is not None and writes and not urgent:
        this.unless_urgent()
    result = EventResult()
    if chosen.candidates:
        with db.write() as connection:
            result = admit(connection, this, chosen.candidates)
        publisher.publish_after_commit(*result.messages)
    result.considered, result.not_matched = chosen.considered, chosen.not_matched
    return result


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The playbooks that listen for an event: those to start, and the others."""

    considered: int
    candidates: list[Candidate]
    #: the first of the others
    others: list[Playbook]
    #: of these the each with a condition that the event does not meet
    not_matched: dict[str, Mismatch]


def choose(this: TriggerEvent) -> Chosen:
    """The playbooks that listen for the event, by whether it meets their conditions.

    Raises:
        Unprocessable: the id names another event.
    """
    event, waiting = this.payload(), db.read_one(playbooks.listening, this.workspace_id, names(this.event))
    found, others = list[Candidate](), list[Playbook]()
    unmet_of = dict[str, Mismatch]()
    for playbook in waiting:
        unmet = mismatch(playbook.revision.definition["trigger"].get("conditions"), event)
        if unmet is None:
            found.append(_candidate(this, event, playbook))
        elif len(others) < MOST_NOT_MATCHED:
            others.append(playbook)
            unmet_of[playbook.id] = unmet
    return Chosen(considered=len(waiting), candidates=found, others=others, not_matched=unmet_of)


def _candidate(this: TriggerEvent, event: Mapping[str, Any], playbook: Playbook) -> Candidate:
    request = RunRequest(
        workspace_id=this.workspace_id,
        actor=this.actor,
        playbook_id=playbook.id,
        parameters=values(playbook.revision.definition["parameters"], event),
        target=this.target or target(event),
        request_id=this.request_id,
        trigger="event",
        event=event,
        hops=this.hops,
    )
    key = this.key(playbook.id)
    known = None if key is None else db.read_one(_earlier, this, key)
    if known is not None:
        return Candidate(playbook=playbook, request=request, known=known)
    return candidates.prepared(playbook, request)


def _earlier(connection: Connection, this: TriggerEvent, key: str | None) -> str | None:
    """The run that an earlier copy of the event has made under this key."""
    known = idempotency.earlier(connection, this.workspace_id, this.actor, key, this.fingerprint_parts())
    return None if known is None else str(known.execution_id)


def admit(connection: Connection, this: TriggerEvent, found: list[Candidate]) -> EventResult:
    """Write the runs that are ready, and failed ones for the others.

    The caller publishes the messages after the commit.

    Raises:
        Unprocessable: the id names another event.
    """
    result = EventResult()
    for candidate in found:
        name, refusal, known = candidate.playbook.id, candidate.refusal, candidate.known
        if candidate.ready is not None:
            row, chain = candidate.ready
            try:
                with connection.begin_nested():
                    _remember(connection, this, this.key(name), row)
                    candidates.accept(connection, candidate, row)
            except IntegrityError:  # another run for the asset, or a copy of this event, was faster
                known = _earlier(connection, this, this.key(name))
                refusal = candidates.refused(run_start.running_already(connection, candidate.request))
            else:
                result.started[name], result.fresh = row["id"], True
                result.messages.append(chain)
                continue
        if known is not None:
            result.started[name], result.repeated = known, True
        elif refusal is not None:
            result.not_started[name] = _fail(connection, this, candidate, refusal, result)
    return result


def _remember(connection: Connection, this: TriggerEvent, key: str | None, row: NewRow) -> None:
    if key is not None:
        made, at = row["id"], row["created_at"]
        idempotency.remember(
            connection, this.workspace_id, this.actor, key, this.fingerprint_parts(), execution_id=made, created_at=at
        )


def _fail(
    connection: Connection, this: TriggerEvent, candidate: Candidate, refusal: Refusal, result: EventResult
) -> Refusal:
    """Write the failed run of a playbook, once for each event.

    Returns the refusal, which names the run.
    """
    name, key = candidate.playbook.id, this.key(candidate.playbook.id, "event-failed")
    log.warning(
        "playbook not started", playbook_id=name, event_name=this.event, code=refusal.code, reason=refusal.reason
    )
    known = _earlier(connection, this, key)
    if known is None:
        try:
            with connection.begin_nested():
                run = candidates.fail(connection, candidate, refusal, event_name=this.event, event_id=this.id)
                if run is not None:
                    _remember(connection, this, key, run)
            result.messages += candidates.told_of(run)
            return replace(refusal, run_id=run["id"] if run else None)
        except IntegrityError:  # a copy of this event was faster
            known = _earlier(connection, this, key)
    result.repeated = True
    return replace(refusal, run_id=known)


def values(declared: list[dict[str, Any]], event: Mapping[str, Any]) -> dict[str, Any]:
    """The values of declared parameters in an event, by name.

    A value must fit, but for a required parameter one is taken that does not fit, so that the fault is reported. Secret
    parameters get no value: an event is stored in clear.
    """
    taken = {}
    for parameter in declared:
        name = parameter["name"]
        value = next((place[name] for place in _places(event) if place.get(name) is not None), None)
        if value is None or parameter["type"] == "secret":
            continue
        if parameter["required"] or value_fault(parameter, value) is None:
            taken[name] = value
    return taken


def target(event: Mapping[str, Any]) -> str | None:
    """The id of the asset that an event is about."""
    places = _places(event)
    for named in ("asset", "asset_id", "target"):
        for place in places:
            asset = place.get(named)
            found = asset.get("id") if isinstance(asset, Mapping) else asset
            if isinstance(found, int) and not isinstance(found, bool):
                found = str(found)
            if isinstance(found, str) and 1 <= len(found) <= MAX_TARGET_CHARACTERS:
                return found
    return None


def _places(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The places of an event's members: data, subject, object."""
    data = event["data"]
    thing = data.get(str(event["event"]).partition(".")[0])
    return [data, subject(event), *([thing] if isinstance(thing, Mapping) else [])]
