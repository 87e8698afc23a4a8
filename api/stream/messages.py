"""Events made of rows of the audit trail.

A row has one event for most types, one of an end in a chain two: what became of the call, and that the chain has gone
on. What an event shows is in the row, or named by it (``store.streams.named``); neither holds parameters, bodies,
secrets or links, so there is nothing to leave out.
"""

import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any

from api.stream import outcomes, types
from api.stream.message import Message
from api.stream.seeking import OF_BREAKERS, OF_SILENCES
from config import logs
from config.times import stamp
from gateway.facts import CHAIN_PREFIX, PLAYBOOKS
from gateway.grants import ANY
from gateway.outcomes import REDACTED
from playbooks.states import Status
from store.audit import USUAL
from store.executions import transitions
from store.streams.named import Ids, Named
from store.streams.sought import ENDS, EXECUTION, RUN
from store.trail import Entry

#: what is made of the rows about runs and their steps
_CHANGES = frozenset({types.STEP, types.RUN})
_OF_RUNS = frozenset({types.ADVANCED, *_CHANGES})
#: the status that an event of the trail stands for, where it is not its own word
_STATUSES = {"accepted": Status.PENDING, "carried": Status.COMPLETED}

#: what a row raises that Tocsin has not written
_ODD = (LookupError, TypeError, ValueError, AttributeError)

log = logs.logger(__name__)


class _Place:
    """A row, with what it says of itself."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.row = row = entry.row
        #: of a row about a run or a step of one
        self.run_id: str | None = row.subject.partition(".")[0] if row.subject.startswith(RUN) else None
        #: the word behind ``execution.``
        self.word: str = row.event.removeprefix(EXECUTION) if row.event.startswith(EXECUTION) else ""

    @functools.cached_property
    def details(self) -> dict[str, Any]:
        """What the row tells besides; most events are made without it."""
        return _details(self.row)

    @property
    def is_step(self) -> bool:
        """Whether it is about a step."""
        return self.run_id is not None and "." in self.row.subject


def _details(row: Any) -> dict[str, Any]:
    found = transitions.load(row.details, {})
    return found if isinstance(found, dict) else {}


def needs(entries: Sequence[Entry], wanted: Collection[str]) -> Ids:
    """The ids that these rows name, for events of the ``wanted`` types."""
    ids = Ids()
    all_of_runs = not _CHANGES.isdisjoint(wanted)
    for entry in entries:
        with suppress(*_ODD):  # it is logged when its events are made
            _note(ids, entry.row, all_of_runs=all_of_runs)
    return ids


def _note(ids: Ids, row: Any, *, all_of_runs: bool) -> None:
    if row.event.startswith(EXECUTION):
        if row.outcome is not None and row.outcome != "executed":
            ids.executions.add(row.subject)
        run_id, _, step = row.subject.partition(".")
        if run_id.startswith(RUN) and (all_of_runs or (step and row.event.removeprefix(EXECUTION) in ENDS)):
            ids.runs.add(run_id)
    elif row.event in ("approval.requested", "approval.voted"):
        ids.approvals.add(str(_details(row).get("approval")))
    elif row.event == "group.flushed":
        ids.groups.add(row.subject)
    elif row.event == "event.timeout":
        ids.events.add(_event_id(row.subject))


def _event_id(subject: str) -> str:
    """The id of the event whose history a row tells (``store.gateway.events.subject``)."""
    return subject.rsplit(".", 2)[0]


def of(entries: Sequence[Entry], named: Named, wanted: Collection[str]) -> list[Message]:
    """The events of these rows, of the ``wanted`` types, in order."""
    made: list[Message] = []
    for entry in entries:
        try:
            made += (one for one in _of(_Place(entry), named, wanted) if one.type in wanted)
        except _ODD:  # one odd row does not end the stream
            log.warning("row not streamed", audit_id=entry.row.id, exc_info=True)
    return made


def _of(place: _Place, named: Named, wanted: Collection[str]) -> Iterator[Message]:
    row = place.row
    if row.outcome is not None and types.DISPATCHED in wanted:
        yield _dispatched(place, named)
    if place.word:
        if place.run_id is not None and not _OF_RUNS.isdisjoint(wanted):
            yield from _of_run(place, named, wanted)
    elif make := _OTHERS.get(row.event):
        yield make(place, named)
    elif row.event in OF_BREAKERS:
        yield _breaker(place)
    elif row.event in OF_SILENCES:
        yield _silence(place)


def _message(place: _Place, kind: str, number: int, members: dict[str, Any], **more: Any) -> Message:
    """An event of a row; ``more`` are members of ``Message``."""
    row = place.row
    tenant = more.pop("tenant", row.workspace_id)
    namespace, action_ids = more.get("namespace"), more.get("action_ids", ())
    about = {"namespace": namespace, "tenant": tenant, "action_type": more.get("action_type")}
    about["action_id"] = action_ids[0] if action_ids else None
    shown = {"timestamp": stamp(row.at), "type": kind, **members, **about}
    return Message(
        type=kind,
        position=place.entry.position,
        number=number,
        at=row.at,
        tenant=tenant,
        run_id=place.run_id,
        members={name: value for name, value in shown.items() if value is not None},
        **more,
    )


def _dispatched(place: _Place, named: Named) -> Message:
    row = place.row
    details = place.details if row.outcome != USUAL else {}  # what has gone out says nothing more
    record = outcomes.seen(row, details, named.executions.get(row.subject))
    action_ids = (row.given_id, row.subject) if row.given_id else (row.subject,)
    chain_id = place.run_id or details.get("chain_id")
    members = {"outcome": outcomes.plain(record), "provider": row.provider, "origin": row.origin}
    members |= {"verdict": row.verdict or "allow", "matched_rule": row.rule, "chain_id": chain_id}
    about = {"namespace": row.namespace, "provider": row.provider, "action_type": row.action_type}
    more = {"action_ids": action_ids, "chain_id": chain_id, "outcome": row.outcome}
    return _message(place, types.DISPATCHED, 0, members, tagged=lambda: _tagged(record), **about, **more)


def _tagged(record: outcomes.Seen) -> dict[str, Any]:
    return {"outcome": outcomes.tagged(record)}


# runs, chains and their steps


def _of_run(place: _Place, named: Named, wanted: Collection[str]) -> Iterator[Message]:
    row, run = place.row, named.runs.get(str(place.run_id))
    chain = run.action_id.removeprefix(CHAIN_PREFIX) if run and run.action_id.startswith(CHAIN_PREFIX) else None
    advances = chain is not None and place.is_step and place.word in ENDS
    if not advances and _CHANGES.isdisjoint(wanted):
        return
    status = str(_STATUSES.get(place.word, place.word))
    about: dict[str, Any] = {"namespace": PLAYBOOKS, "chain_id": place.run_id}
    if chain is not None:
        about |= _origin(run)
    if not place.is_step:
        of_run = {"execution_id": place.run_id, "status": status}
        yield _message(place, types.RUN, 2, of_run, action_ids=(place.run_id,), ends=place.word in ENDS, **about)
        return
    _, _, step = row.subject.partition(".")
    step_id, _, iteration = step.partition(".")
    members: dict[str, Any] = {"step": step_id, "iteration": iteration or None, "status": status}
    if place.word == "carried":
        members["carried"] = True
    if advances:
        advanced = {"chain_id": place.run_id, "chain": chain, **members}
        yield _message(place, types.ADVANCED, 1, advanced, action_ids=(row.subject,), **about)
    members = {"execution_id": row.subject, "run_id": place.run_id, **members}
    yield _message(place, types.STEP, 2, members, action_ids=(row.subject,), **about)


def _origin(run: Any) -> dict[str, Any]:
    """What the run of a chain was started for; what is not known covers no caller whose grants limit it."""
    origin = transitions.load(run.input, {}).get("origin") if run.input else None
    given = origin if isinstance(origin, dict) else {}
    return {name: str(given.get(name) or "") for name in ("namespace", "provider", "action_type")}


# groups, events, approvals


def _flushed(place: _Place, named: Named) -> Message:
    row, said, group = place.row, place.details, named.groups.get(place.row.subject)
    members = {"group_id": row.subject, "event_count": said.get("size"), "rule": said.get("rule")}
    members |= {"closed_by": said.get("closed_by"), "repeat": said.get("repeat")}
    more = {"namespace": group.namespace if group else "", "provider": group.provider if group else ""}
    return _message(place, types.FLUSHED, 0, members, action_ids=_ids(said.get("summary")), **more)


def _ids(one: Any) -> tuple[str, ...]:
    return (str(one),) if one else ()


def _timeout(place: _Place, named: Named) -> Message:
    said, found = place.details, named.events.get(_event_id(place.row.subject))
    members = {"fingerprint": said.get("fingerprint"), "state_machine": found.machine if found else None}
    members |= {"previous_state": said.get("from"), "new_state": said.get("to")}
    more = {"provider": found.provider if found else "", "action_type": found.action_type if found else ""}
    return _message(place, types.TIMEOUT, 0, members, namespace=str(said.get("namespace", "")), **more)


def _required(place: _Place, named: Named) -> Message:
    approval = named.approvals.get(str(place.details.get("approval")))
    members = {
        "approval_id": place.details.get("approval"),
        "rule": place.details.get("rule"),
        "expires_at": stamp(approval.expires_at) if approval else None,
        "approve_url": REDACTED,
        "reject_url": REDACTED,
    }
    return _message(place, types.REQUIRED, 0, members, **_of_approval(place, approval))


def _voted(place: _Place, named: Named) -> Message:
    said, approval = place.details, named.approvals.get(str(place.details.get("approval")))
    members = {"approval_id": said.get("approval"), "decision": said.get("decision"), "via": said.get("via")}
    return _message(place, types.VOTED, 0, members, **_of_approval(place, approval))


def _of_approval(place: _Place, approval: Any) -> dict[str, Any]:
    names = ("namespace", "provider", "action_type")
    about = {name: getattr(approval, name) if approval else "" for name in names}
    return {**about, "action_ids": (place.row.subject,), "chain_id": place.run_id}


_OTHERS: dict[str, Callable[[_Place, Named], Message]] = {
    "group.flushed": _flushed,
    "event.timeout": _timeout,
    "approval.requested": _required,
    "approval.voted": _voted,
}


# what concerns all tenants, or several


def _breaker(place: _Place) -> Message:
    members = {"provider": place.row.subject, "change": place.row.event.partition(".")[2]}
    return _message(place, types.BREAKER, 0, members, tenant=ANY, is_shared=True)


def _silence(place: _Place) -> Message:
    members = {"silence_id": place.row.subject, "change": place.row.event.partition(".")[2]}
    tenant = str(place.details.get("tenant", place.row.workspace_id))
    return _message(place, types.SILENCE, 0, members, tenant=tenant, is_shared=True)
