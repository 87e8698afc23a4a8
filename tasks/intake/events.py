"""Events: start the playbooks that listen for what has happened.

In order of time: the enabled playbooks that listen for the event, by its name or by a wildcard above it, are looked up,
and those whose conditions it meets are kept; the members of the event that fit their declared parameters become the
values of a run each; then all runs are committed in one transaction, each in a savepoint, so that a fault of one
playbook never keeps another from starting; then their chains are published.

If the sender gives an event an id, the event starts each playbook once, however often it is sent: sender, id and
playbook make an idempotency key. The result names the playbooks that could not be started, with the reason; an event
sent again under the same id tries those again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from config import logs
from config.errors import CallerError, Unavailable
from playbooks.definitions.parameter_values import value_fault
from playbooks.definitions.triggers import matches, names, subject
from store import audit
from store.definitions import playbooks
from store.definitions.playbooks import Playbook
from store.engine import db
from store.engine.db import Connection, IntegrityError
from store.executions.rows import NewRow
from tasks.intake import idempotency, run_start
from tasks.intake.run_start import RunRequest
from tasks.messages import publisher
from tasks.messages.model import Chain
from tasks.messages.routing import URGENT

#: characters of a target
MAX_TARGET_CHARACTERS = 255

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

    def key(self, playbook_id: str) -> str | None:
        """The idempotency key of the event's run of a playbook."""
        return idempotency.SEPARATOR.join(("event", self.id, playbook_id)) if self.named else None

    def fingerprint_parts(self) -> list[Any]:
        """The parts that are equal in two copies of an event."""
        return ["event", self.event, dict(self.data)]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a playbook was not started: a stable word and a sentence."""

    code: str
    reason: str


@dataclass(frozen=True)
class Candidate:
    """A playbook that listens for the event: its run, or the refusal.

    ``known`` is the run that the same event has started before.
    """

    playbook_id: str
    ready: tuple[RunRequest, NewRow, Chain] | None = None
    refusal: Refusal | None = None
    known: str | None = None


@dataclass
class EventResult:
    """The result of an event: playbook → run, and playbook → refusal."""

    started: dict[str, str] = field(default_factory=dict)
    not_started: dict[str, Refusal] = field(default_factory=dict)
    #: whether any run is new
    fresh: bool = False
    chains: list[Chain] = field(default_factory=list)
    #: the number of enabled playbooks that listen for the event, whatever their conditions
    considered: int = 0


@idempotency.clashes_audited()
def handle_event(this: TriggerEvent) -> EventResult:
    """Start the playbooks that listen for an event.

    The result has each run or refusal.

    Raises:
        Unprocessable: the id names another event. Unavailable: the database is away; nothing was started. Whatever
            ``this.unless_urgent`` raises, unless one of them begins with an urgent action.
    """
    with db.read() as connection:
        waiting = playbooks.listening(connection, this.workspace_id, names(this.event))
        found = list(_chosen(connection, this, waiting))
    beginning = [one.ready[1]["queue"] for one in found if one.ready is not None]
    if this.unless_urgent is not None and beginning and URGENT not in beginning:
        this.unless_urgent()
    result = EventResult()
    if found:
        with db.write() as connection:
            result = admit(connection, this, found)
        publisher.publish_after_commit(*result.chains)
    result.considered = len(waiting)
    return result


def candidates(connection: Connection, this: TriggerEvent) -> Iterator[Candidate]:
    """The playbooks that listen for the event and whose conditions it meets.

    Raises:
        Unprocessable: the id names another event.
    """
    yield from _chosen(connection, this, playbooks.listening(connection, this.workspace_id, names(this.event)))


def _chosen(connection: Connection, this: TriggerEvent, waiting: list[Playbook]) -> Iterator[Candidate]:
    event = this.payload()
    for playbook in waiting:
        if not matches(playbook.revision.definition["trigger"].get("conditions"), event):
            continue
        known = idempotency.earlier(
            connection, this.workspace_id, this.actor, this.key(playbook.id), this.fingerprint_parts()
        )
        if known is not None:
            yield Candidate(playbook.id, known=known.execution_id)
        else:
            yield _candidate(connection, this, event, playbook)


def _candidate(connection: Connection, this: TriggerEvent, event: Mapping[str, Any], playbook: Playbook) -> Candidate:
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
    try:
        row, chain = run_start.prepare(connection, request)
    except Unavailable:
        raise
    except CallerError as error:
        return Candidate(playbook.id, refusal=refused(error))
    return Candidate(playbook.id, ready=(request, row, chain))


def refused(error: CallerError) -> Refusal:
    """The refusal for an error."""
    details = "; ".join(problem.detail for problem in error.problems)
    reason = f"{str(error).removesuffix('.')}: {details}" if details else str(error)
    return Refusal(code=error.code, reason=reason)


def admit(connection: Connection, this: TriggerEvent, found: list[Candidate]) -> EventResult:
    """Write the runs that are ready.

    The caller publishes the chains after the commit.

    Raises:
        Unprocessable: the id names another event.
    """
    result = EventResult()
    for candidate in found:
        if candidate.ready is None:
            _record(result, candidate)
            continue
        request, row, chain = candidate.ready
        try:
            with connection.begin_nested():
                _accept(connection, this, request, row)
        except IntegrityError:
            _record(result, _overtaken(connection, this, request))
        else:
            result.started[request.playbook_id] = row["id"]
            result.chains.append(chain)
            result.fresh = True
    for playbook_id, refusal in result.not_started.items():
        log.warning("playbook not started", playbook_id=playbook_id, event_name=this.event, reason=refusal.reason)
    return result


def _accept(connection: Connection, this: TriggerEvent, request: RunRequest, row: NewRow) -> None:
    key = this.key(request.playbook_id)
    if key is not None:
        made, at = row["id"], row["created_at"]
        idempotency.remember(
            connection, this.workspace_id, this.actor, key, this.fingerprint_parts(), execution_id=made, created_at=at
        )
    run_start.accept(connection, request=request, row=row)


def _overtaken(connection: Connection, this: TriggerEvent, request: RunRequest) -> Candidate:
    """The candidate after another run or a copy was faster."""
    known = idempotency.earlier(
        connection, this.workspace_id, this.actor, this.key(request.playbook_id), this.fingerprint_parts()
    )
    if known is not None:
        return Candidate(request.playbook_id, known=known.execution_id)
    return Candidate(request.playbook_id, refusal=refused(run_start.running_already(request)))


def _record(result: EventResult, candidate: Candidate) -> None:
    if candidate.known is not None:
        result.started[candidate.playbook_id] = candidate.known
    elif candidate.refusal is not None:
        result.not_started[candidate.playbook_id] = candidate.refusal


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


def note_not_fired(connection: Connection, workspace_id: str, playbook_id: str, refusal: Refusal, **more: Any) -> None:
    """Audit a playbook that was not started, without a caller."""
    noted = {"code": refusal.code, "reason": refusal.reason, **more}
    audit.record(connection, workspace_id, audit.SYSTEM, "playbook.not_fired", playbook_id, **noted)
