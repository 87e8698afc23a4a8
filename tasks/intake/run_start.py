"""Accept requests to run playbooks.

In order of time: the playbook is looked up, with the revisions of the actions that it uses, which the run pins to its
end; the parameters are checked and their secrets sealed; the run is committed, together with its idempotency key and
its audit row; then the chain of its first steps is published. Once ``start`` has returned, nothing can lose the run.
"""

import contextlib
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from config.errors import AlreadyRunning, Conflict, InvalidRequest, Problem, Unavailable, Unprocessable
from gateway.facts import CHAIN_PREFIX
from playbooks.definitions.parameters import Declared
from playbooks.states import Mode
from playbooks.widths import MOST_LIVE
from store.access import Caller
from store.definitions import playbooks
from store.engine import db, group_commit, shared_reads
from store.engine.db import Connection, IntegrityError, Row
from store.executions import rows, runs, transitions
from store.executions.rows import NewRow
from store.ids import new_id
from store.sealing.seal import Cell, parameters_cell
from tasks.definitions import provided, revisions
from tasks.definitions.pins import pins
from tasks.fairness import fair_queue
from tasks.intake import idempotency
from tasks.messages import publisher
from tasks.messages.backlog import backlog
from tasks.messages.canvas import KILLABLE
from tasks.messages.model import Chain, TaskMessage
from tasks.messages.run_messages import _common, begin_message, row_id
from tasks.secrets.sealing import seal_parameters

#: the most levels at which playbooks start playbooks
DEEPEST = 8
#: for a run that is no retry: the playbooks that it starts use the present revisions
NOTHING_KEPT: Mapping[str, Mapping[str, str]] = {"actions": {}, "playbooks": {}}


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """One request to run a playbook now."""

    workspace_id: str
    actor: str
    playbook_id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: parameters that contain secrets of another run, although the playbook does not declare them secret
    secret_names: frozenset[str] = frozenset()
    #: further secrets that the parameters may contain
    secrets: tuple[str, ...] = ()
    target: str | None = None
    mode: Mode = Mode.LIVE
    idempotency_key: str | None = None
    request_id: str | None = None
    #: its cause: api, event, schedule, playbook, retry
    trigger: str = "api"
    event: Mapping[str, Any] | None = None
    #: the event that has led to what it begins in place of, or was started by; it cannot read that one
    led_by: str | None = None
    #: the step that starts it
    parent_id: str | None = None
    depth: int = 0
    #: the number of runs before it, each of which caused the next
    hops: int = 0
    #: the first run of those that started each other
    root: str | None = None
    #: the number of steps, of it and of the runs that it starts, that may be under way at once
    width: int = MOST_LIVE
    retry_of: str | None = None
    #: the revision to run, unless it is the present one
    revision_id: str | None = None
    #: action → the revision to use; ``kept`` (as ``NOTHING_KEPT``) has those for the playbooks that it starts
    pinned: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, Mapping[str, str]] | None = None
    #: whether a retry uses the present revisions
    present: bool = False
    #: rows of steps that an earlier run has completed for this one
    carried: tuple[Mapping[str, Any], ...] = ()
    #: raises if there is room only for urgent requests
    unless_urgent: Callable[[], None] | None = None

    @property
    def source(self) -> str | None:
        """The event that has led to it, if one has."""
        return self.event["event"] if self.event else self.led_by

    def fingerprint_parts(self) -> list[Any]:
        """The parts that are equal in two copies of a request."""
        again = [self.retry_of, bool(self.carried)] if self.retry_of else []
        again += ["present"] if self.present else []
        return ["run", self.playbook_id, self.target, self.mode, dict(self.parameters), *again]


@dataclass(frozen=True, kw_only=True)
class StartedRun:
    """The run of a request.

    ``replayed`` if an earlier copy of it made the run.
    """

    run_id: str
    replayed: bool = False
    #: the new row; None if it was made before
    row: Mapping[str, Any] | None = None


def request_of(caller: Caller, playbook_id: str, **more: Any) -> RunRequest:
    """The request of a caller to run a playbook."""
    return RunRequest(workspace_id=caller.workspace_id, actor=caller.key_id, playbook_id=playbook_id, **more)


@idempotency.clashes_audited()
def start(request: RunRequest) -> StartedRun:
    """Accept a request to run a playbook.

    Raises:
        NotFound: no such playbook. Conflict: it is switched off, uses an action that is, or runs for this asset.
        InvalidRequest: it needs an asset. Unprocessable: values that do not fit its parameters, or a used key.
        Unavailable: the database is away; nothing was accepted. Whatever ``request.unless_urgent`` raises.
    """
    known = _earlier(request)
    if known is not None:
        return StartedRun(run_id=known.execution_id, replayed=True)
    row, chain, last_error = prepare(request)
    if request.unless_urgent is not None and not chain.is_urgent:
        request.unless_urgent()
    try:
        single = not (request.idempotency_key or request.carried)
        group_commit.commit(functools.partial(accept, request=request, row=row), single=single)
    except IntegrityError as error:
        known = _earlier(request)
        if known is not None:  # a concurrent copy of this request was faster
            return StartedRun(run_id=known.execution_id, replayed=True)
        raise db.read_one(running_already, request) from error
    publisher.publish_after_commit(chain)
    if last_error is not None and request.mode == Mode.LIVE:
        _clear_error(request, last_error)
    return StartedRun(run_id=row["id"], row=row)


def _clear_error(request: RunRequest, known: str) -> None:
    """Record a good start; the run is accepted, and this may fail."""
    with contextlib.suppress(Unavailable), db.write(single=True) as connection:
        playbooks.clear_error(connection, request.workspace_id, request.playbook_id, known)


def _earlier(request: RunRequest) -> Row | None:
    """The run made before under the same idempotency key."""
    key = request.idempotency_key
    if not key:
        return None
    same = request.fingerprint_parts()
    return db.read_one(idempotency.earlier, request.workspace_id, request.actor, key, same)


def running_already(connection: Connection, request: RunRequest) -> AlreadyRunning:
    """The refusal of a second run for the same asset."""
    first = None
    if request.target is not None:
        first = runs.running(connection, request.workspace_id, request.playbook_id, request.target)
    return AlreadyRunning(request.playbook_id, request.target, first)


def accept(connection: Connection, *, request: RunRequest, row: NewRow) -> None:
    """Write a run, with its idempotency key and its completed steps.

    Raises:
        IntegrityError: the key has been used, or the playbook runs for this asset.
    """
    if request.idempotency_key:
        idempotency.remember(
            connection,
            request.workspace_id,
            request.actor,
            request.idempotency_key,
            request.fingerprint_parts(),
            execution_id=row["id"],
            created_at=row["created_at"],
        )
    transitions.add(connection, [row, *(_taken_over(done, row) for done in request.carried)], request.actor)


def _taken_over(done: Mapping[str, Any], run: NewRow) -> NewRow:
    """The row of a completed step in the new run."""
    old, new = str(done["run_id"]), str(run["id"])
    moved = {name: done[name] and str(done[name]).replace(old, new, 1) for name in ("id", "parent_id", "previous_id")}
    noted = {"event_": "execution.carried", "at_": run["created_at"]}
    row: Any = {**done, **moved, **noted, "run_id": new, "created_by": run["created_by"]}
    taken: NewRow = row
    return taken


class ReadyRun(NamedTuple):
    """A run to accept: its row, its first chain."""

    row: NewRow
    chain: Chain
    #: why its trigger could not start the playbook last time
    last_error: str | None


def prepare(request: RunRequest) -> ReadyRun:
    """The row of a new run, and its first chain.

    Each look-up has a connection for itself; the caller holds none.

    Raises:
        As ``start``.
    """
    kept = request.kept or NOTHING_KEPT
    revision_id = request.revision_id or kept["playbooks"].get(request.playbook_id)
    last_error, known = None, None
    if provided.is_chain(request.playbook_id):
        revision_id = revision_id or provided.chain_revision(request.playbook_id.removeprefix(CHAIN_PREFIX))
    else:
        head, known = shared_reads.look_up(playbooks.beginning, request.workspace_id, request.playbook_id)
        if not head.enabled:
            text = f"The playbook {request.playbook_id!r} is disabled; enable it first."
            raise Conflict(text, code="playbook_disabled")
        revision_id, last_error = revision_id or head.revision_id, head.last_error
    revision = revisions.playbook(revision_id)[0]
    definition = revision.definition
    if definition["target_required"] and not request.target:
        problem = Problem("/target_asset_id", "this playbook needs the asset it is to work on")
        raise InvalidRequest("The asset is missing.", code="target_required", problems=[problem])
    if request.depth > DEEPEST:
        raise Conflict(f"Playbooks start playbooks more than {DEEPEST} deep.", code="too_deep")
    run_id = new_id("pexec")
    masked, sealed = _values(revision.declared, request, parameters_cell(request.workspace_id, run_id, revision_id))
    pinned = pins(request.workspace_id, revision_id, request.pinned or kept["actions"], known)
    now = db.now_ms()
    row = rows.run(
        {
            "id": run_id,
            "workspace_id": request.workspace_id,
            "action_id": request.playbook_id,
            "revision_id": revision_id,
            "queue": "steps",
            "mode": request.mode,
            "timeout_ms": int(definition["timeout_minutes"] * 60_000),
            "expires_at": now + int(definition["timeout_minutes"] * 60_000),
            "target": request.target,
            "input": masked,
            "sealed": sealed,
            "created_by": request.actor,
            "request_id": request.request_id,
            "created_at": now,
            "parent_id": request.parent_id,
            "cause": request.trigger,
            "retry_of": request.retry_of,
            "root_id": request.root,
            "event_id": event_id(request),
            "context": context(request, pinned),
        }
    )
    chain = _opening(row, pinned)
    row["due_at"] = backlog.again_at(str(row["queue"]), now)
    return ReadyRun(row, chain, last_error)


def later(row: NewRow, at: int) -> NewRow:
    """A run that tick publishes at a time; its own time counts from then."""
    moved: NewRow = {**row, "due_at": at, "publishes": 0}
    expires_at = row["expires_at"]
    if expires_at is not None:
        moved["expires_at"] = expires_at + max(0, at - row["created_at"])
    return moved


def event_id(request: RunRequest) -> str | None:
    """The id of the event that starts a run, if one does."""
    found = (request.event or {}).get("id")
    return None if found is None else str(found)


def context(request: RunRequest, pinned: Mapping[str, str]) -> str:
    """The context that a run stores: its cause, its pins, its limits."""
    carried = [str(done["id"]).partition(".")[2] for done in request.carried]
    names = ("event", "kept", "depth", "hops", "root", "width", *(("led_by",) if request.led_by else ()))
    return json.dumps({**{name: getattr(request, name) for name in names}, "pins": pinned, "carried": carried})


def _values(declared: Declared, request: RunRequest, cell: Cell) -> tuple[str, str | None]:
    """The parameters in their stored form.

    A playbook that declares none takes any.
    """
    if not declared.definitions:
        return seal_parameters(request.parameters, request.secret_names, cell, request.secrets)
    values, problems = declared.resolve(request.parameters)
    if problems:
        raise Unprocessable(problems=[problem.under("/parameters") for problem in problems])
    return seal_parameters(values, {*declared.secret_names, *request.secret_names}, cell, request.secrets)


def _opening(row: NewRow, pins: Mapping[str, str]) -> Chain:
    """The chain that begins a run, with its known first steps."""
    run_id, messages = row["id"], []
    if row["mode"] != Mode.DRY_RUN:
        known = _first_steps(row["revision_id"], tuple(pins.items()))
        messages = [
            TaskMessage(
                execution_id=row_id(run_id, step_id, ""), run_id=run_id, workspace_id=row["workspace_id"], **more
            )
            for step_id, more in known
        ]
    if messages and messages[0].queue not in KILLABLE:
        row["queue"] = messages[0].queue
    row["queue"] = fair_queue.queue(row["queue"], row["workspace_id"], row["created_by"], row["action_id"])
    return Chain((begin_message(run_id, row["action_id"], row["queue"]), *messages))


@functools.lru_cache(maxsize=256)
def _first_steps(revision_id: str, pins: tuple[tuple[str, str], ...]) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The known first steps, each with the fields of its message."""
    plan = revisions.playbook(revision_id)[1]
    first = plan.blocks[""].first
    return tuple((step_id, _common(plan, dict(pins), step_id)) for step_id in plan.stretch(first))
