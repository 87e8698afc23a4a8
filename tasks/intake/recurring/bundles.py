"""Firings of recurring actions: prepared outside of any transaction, accepted many at a time in one.

In order of time: ``prepare`` looks up what each names and asks the rules, under the origin ``recurring``; what cannot
be accepted is a refusal, which is its own. Then, in the transaction that moves the schedules on, ``Bundle.accept``
accepts those that are wanted: dispatches, executions of actions and runs of playbooks, like any others. What a rule
stops is accepted too: it has a record, or a row that has ended.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from config import logs
from config.errors import CallerError
from gateway import gate_column
from gateway.facts import Cause, trigger_key
from gateway.gate_column import Gate
from gateway.recurring import written
from gateway.recurring.written import ACTION, DISPATCH
from gateway.requests import Dispatch
from playbooks.states import Status
from store import audit
from store.definitions import playbooks
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import transitions
from store.executions.rows import NewRow
from store.recurring.firings import ACCEPTED
from tasks.intake import candidates, firings, run_start, summaries, verdicts
from tasks.intake import dispatch as triggers
from tasks.intake.candidates import Candidate
from tasks.intake.chain_starts import ChainStart
from tasks.intake.dispatch import DispatchRequest, ReadyExecution
from tasks.intake.dispatches import batch as batches
from tasks.intake.dispatches.batch import Batch, Taken
from tasks.intake.dispatches.rows import Asked, system
from tasks.intake.firings import Stopped
from tasks.intake.recurring import unattended
from tasks.intake.run_start import RunRequest
from tasks.messages import publisher
from tasks.messages.backlog import backlog
from tasks.messages.model import Canvas
from tasks.policy import checks
from tasks.policy.checks import Refused
from tasks.policy.judge import Decision

#: the label by which rules and records know which recurring action it was
LABEL = "recurring"

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Occasion:
    """One time of a recurring action."""

    row: Row
    at: int

    @property
    def key(self) -> tuple[str, int]:
        """The key of its firing."""
        return str(self.row.id), self.at


class InternalError(CallerError):
    """It could not be prepared; the log says why."""

    status, code = 500, "internal_error"


@dataclass(frozen=True, slots=True)
class Made:
    """What an occasion has made: an execution, a run, or only a record, and what became of it at once."""

    execution_id: str
    outcome: str = ACCEPTED


@dataclass(frozen=True, slots=True)
class _ReadyRun:
    """The run of a playbook that is ready to be accepted."""

    candidate: Candidate
    decision: Decision | None
    chain: ChainStart | None


@dataclass
class Bundle:
    """Occasions that are ready, and those that cannot be accepted."""

    occasions: Sequence[Occasion]
    batch: Batch
    #: place of an occasion → its place in the batch of dispatches
    dispatches: dict[int, int] = field(default_factory=dict)
    actions: dict[int, ReadyExecution] = field(default_factory=dict)
    runs: dict[int, _ReadyRun] = field(default_factory=dict)
    refusals: dict[int, CallerError] = field(default_factory=dict)

    def is_alone(self, place: int) -> bool:
        """Whether an occasion needs a transaction of its own.

        Those that lock what rules remember do: dispatches take such locks in one order, the others do not.
        """
        if place in self.actions:
            return not self.actions[place].form.is_single
        decision = self.runs[place].decision if place in self.runs else None
        return decision is not None

    def accept(self, connection: Connection, wanted: Collection[int]) -> tuple[dict[int, Made], "Afterwards"]:
        """Accept the occasions at these places; what each has made, and what is to be done after the commit."""
        afterwards = Afterwards()
        made = self._dispatched(connection, wanted, afterwards)
        rows = list[NewRow]()
        for place in wanted:
            if place in self.actions:
                made[place] = self._executed(connection, place, rows, afterwards)
            elif place in self.runs:
                made[place] = self._run(connection, place, afterwards)
        if rows:
            transitions.add(connection, rows, audit.SYSTEM)
        return made, afterwards

    def _dispatched(self, connection: Connection, wanted: Collection[int], afterwards: "Afterwards") -> dict[int, Made]:
        places = {self.dispatches[place]: place for place in wanted if place in self.dispatches}
        if not places:
            return {}
        ready = {place: self.batch.ready[place] for place in places}
        own = replace(self.batch, results={}, ready=ready, refused=[], closed=[])
        afterwards.messages += batches.write(connection, own)
        afterwards.refused += [(asked.dispatch.tenant, refused) for asked, refused in own.refused]
        afterwards.closed += own.closed
        return {
            places[place]: Made(taken.subject, taken.outcome.name if taken.outcome is not None else ACCEPTED)
            for place, taken in own.results.items()
            if isinstance(taken, Taken)
        }

    def _executed(self, connection: Connection, place: int, rows: list[NewRow], afterwards: "Afterwards") -> Made:
        ready, occasion = self.actions[place], self.occasions[place]
        settled = verdicts.settled(connection, ready.form, ready.row)
        row = settled.row
        if row.get("gate") is None:
            row = {**row, "gate": _gate(occasion.row, ready).text()}
        rows += [row, *([settled.run] if settled.run is not None else [])]
        message = triggers.to_publish(row, ready.message)
        afterwards.messages += [*([message] if message is not None else []), *settled.messages]
        if settled.refused is not None:
            afterwards.refused.append((row["workspace_id"], settled.refused))
        return Made(row["id"], _outcome(row))

    def _run(self, connection: Connection, place: int, afterwards: "Afterwards") -> Made:
        this = self.runs[place]
        assert this.candidate.ready is not None
        row, chain = this.candidate.ready
        settled = firings.settled(connection, this.decision, row, this.chain)
        if isinstance(settled, Stopped):
            ended = candidates.stop(connection, this.candidate, settled)
            afterwards.messages += candidates.told_of(ended)
            if settled.run is not None and settled.run["publishes"] and this.chain is not None:
                afterwards.messages.append(this.chain.messages)
            return Made(ended["id"], _outcome(ended))
        candidates.accept(connection, this.candidate, settled)
        if settled["publishes"]:
            afterwards.messages.append(chain)
        return Made(settled["id"])


@dataclass
class Afterwards:
    """What is done after the commit; nothing is lost where it is not."""

    messages: list[Canvas] = field(default_factory=list)
    #: the windows that were found full, by tenant
    refused: list[tuple[str, Refused]] = field(default_factory=list)
    #: the groups that were closed
    closed: list[str] = field(default_factory=list)

    def do(self) -> None:
        """Publish, and remember what is known now."""
        if self.messages:
            publisher.publish_after_commit(*self.messages)
        for tenant, refused in self.refused:
            checks.learn(tenant, refused)
        if self.closed:
            summaries.flush_soon(self.closed)


def prepare(occasions: Sequence[Occasion]) -> Bundle:
    """Look up what each occasion names, and ask the rules.

    Raises:
        Unavailable: the database is away.
    """
    bundle, asked = Bundle(occasions, Batch([])), list[Asked]()
    payloads = _Payloads()
    for place, one in enumerate(occasions):
        try:
            given = payloads.of(one.row)
            if one.row.target == DISPATCH:
                this = _asked(one, given)
                unattended.check_dispatch(this)
                asked.append(this)
                bundle.dispatches[place] = len(asked) - 1
            elif one.row.target == ACTION:
                bundle.actions[place] = _prepared_action(one, given)
            else:
                bundle.runs[place] = _prepared_run(one, given)
        except CallerError as refusal:
            _refuse(bundle, place, refusal)
        except Exception:
            log.exception("recurring action not prepared", recurring=one.row.id)
            bundle.refusals[place] = InternalError()
    bundle.batch = _prepared_batch(asked)
    for place, number in bundle.dispatches.items():
        result = bundle.batch.results.get(number)
        if isinstance(result, CallerError):
            _refuse(bundle, place, result)
    return bundle


class _Payloads:
    """The payloads of rows, each read once: all times of a row share it, and nothing changes it."""

    def __init__(self) -> None:
        self._read: dict[str, dict[str, Any]] = {}

    def of(self, row: Row) -> dict[str, Any]:
        """The payload of a row, or the parameters."""
        if row.id not in self._read:
            self._read[row.id] = json.loads(row.payload)
        return self._read[row.id]


def _prepared_batch(asked: Sequence[Asked]) -> Batch:
    """Dispatches that are ready; where one of them is faulty, each by itself."""
    batch = Batch(asked)
    try:
        batches.prepare(batch)
    except CallerError:
        raise
    except Exception:
        if len(asked) == 1:
            log.exception("recurring dispatch not prepared", recurring=asked[0].dispatch.labels.get(LABEL))
            return Batch(asked, results={0: InternalError()})
        batch = Batch(asked)
        for number, one in enumerate(asked):
            alone = _prepared_batch([one])
            for ready in alone.ready.values():
                batch.ready[number] = ready
            for result in alone.results.values():
                batch.results[number] = result
    return batch


def _refuse(bundle: Bundle, place: int, refusal: CallerError) -> None:
    if refusal.retryable:  # the database is away
        raise refusal
    bundle.refusals[place] = refusal


def _asked(occasion: Occasion, payload: dict[str, Any]) -> Asked:
    row = occasion.row
    dispatch = Dispatch(
        namespace=row.namespace,
        tenant=row.workspace_id,
        provider=row.provider,
        action_type=row.action_type,
        payload=payload,
        labels=_labels(row),
        dedup_key=written.filled(row.dedup_key, row.id, occasion.at),
    )
    return Asked(caller=system(row.workspace_id), dispatch=dispatch, origin="recurring")


def _labels(row: Row) -> dict[str, str]:
    labels: dict[str, str] = json.loads(row.labels)
    return {**labels, LABEL: row.id}


def _cause(row: Row) -> Cause:
    return Cause("recurring", row.namespace, _labels(row))


def _prepared_action(occasion: Occasion, parameters: dict[str, Any]) -> ReadyExecution:
    row = occasion.row
    request = DispatchRequest(
        caller=system(row.workspace_id),
        action_id=row.action_type,
        parameters=parameters,
        target=row.asset,
        cause=_cause(row),
    )
    unattended.check_trigger(request)
    ready = triggers.prepared(request)
    again_at = backlog.again_at(ready.row["queue"], ready.row["created_at"])
    return ready._replace(row={**ready.row, "due_at": again_at})


def _prepared_run(occasion: Occasion, parameters: dict[str, Any]) -> _ReadyRun:
    row = occasion.row
    playbook = db.read_one(playbooks.get, row.workspace_id, row.action_type)
    request = RunRequest(
        workspace_id=row.workspace_id,
        actor=audit.SYSTEM,
        playbook_id=playbook.id,
        revision_id=playbook.revision.id,
        parameters=parameters,
        trigger="schedule",
    )
    decision, request = firings.decided(playbook, request, _cause(row))
    ready = run_start.prepare(request)
    candidate = Candidate(playbook=playbook, request=request, ready=(ready.row, ready.chain))
    return _ReadyRun(candidate, decision, firings.chain_of(decision, request))


def _gate(row: Row, ready: ReadyExecution) -> Gate:
    """The account of an execution that no rule concerns: its record shows where it comes from."""
    key = trigger_key(ready.form.revision.definition, row.action_type, row.workspace_id, _cause(row))
    return Gate(origin=key[0], namespace=key[1], provider=key[3], action_type=key[4], labels=_labels(row))


def _outcome(row: NewRow) -> str:
    """What became of an execution at once; ``accepted`` where it goes on."""
    if row["status"] not in (Status.FAILED, Status.CANCELLED, Status.COMPLETED):
        return ACCEPTED
    gate: Any = gate_column.read(row.get("gate"))
    if row["status"] == Status.COMPLETED:
        return "chain_started"
    return str(gate.outcome if gate is not None and gate.outcome else row["status"])
