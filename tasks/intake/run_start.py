"""Starting runs: the one way in for playbooks, and what a worker knows of a run under way.

In order of time: the playbook is looked up and with it the revisions of the actions it uses, which the run keeps to
its end; the parameters are checked and their secrets sealed; the run is committed, together with its idempotency
key and its audit row; then the doorbell rings with the chain of its first steps. Once ``start`` has returned nothing
can lose the run.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.errors import Conflict, InvalidRequest, Problem, Unprocessable
from playbooks.definitions import parameters
from playbooks.definitions.triggers import subject
from playbooks.plan import Plan, every_step
from playbooks.widths import MOST_LIVE, Widths
from providers.base import Mode
from store.access import Caller
from store.definitions import actions, playbooks
from store.engine import db, group_commit
from store.engine.db import Connection, IntegrityError, Row
from store.executions import transitions
from store.ids import new_id
from store.sealing.seal import Cell, parameters_cell
from tasks.definitions import revisions
from tasks.fairness import fair_queue
from tasks.intake import idempotency
from tasks.intake.dispatch import URGENT, queue_of
from tasks.messages import publisher
from tasks.messages.backlog import backlog
from tasks.messages.canvas import KILLABLE, Chain, Ring
from tasks.secrets.redact import texts
from tasks.secrets.sealing import HANDED_ON, hide, opened_parameters

#: how deep playbooks may start playbooks
DEEPEST = 8
#: of a run that is no retry: what it starts takes what is current then
NOTHING_KEPT: Mapping[str, Mapping[str, str]] = {"actions": {}, "playbooks": {}}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One request to run a playbook now."""

    workspace_id: str
    actor: str
    playbook_id: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: parameters that are secret although the playbook does not declare them so: they hold secrets of another run
    secret_names: frozenset[str] = frozenset()
    #: secrets that may hide in them
    secrets: tuple[str, ...] = ()
    target: str | None = None
    mode: Mode = "live"
    idempotency_key: str | None = None
    request_id: str | None = None
    #: what asked for it: api, event, schedule, playbook, retry
    trigger: str = "api"
    event: Mapping[str, Any] | None = None
    #: the step that asked for it
    parent_id: str | None = None
    depth: int = 0
    #: how many runs, each of which caused the next by what it did, came before
    hops: int = 0
    #: the run at the beginning of those that started each other
    root: str | None = None
    #: how many of its steps, and of those of the runs that it starts, may be under way at once
    width: int = MOST_LIVE
    retry_of: str | None = None
    #: the revision to run, where it is not the current one
    revision_id: str | None = None
    #: action → the revision to use; and, as in ``NOTHING_KEPT``, those that the playbooks which it starts use
    pinned: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, Mapping[str, str]] | None = None
    #: whether these are the present ones although an earlier run is tried again
    present: bool = False
    #: rows of steps that an earlier run has completed for this one
    carried: tuple[Mapping[str, Any], ...] = ()
    #: raises where there is room only for what is urgent
    unless_urgent: Callable[[], None] | None = None

    def same(self) -> list[Any]:
        """What makes two requests the same."""
        again = [self.retry_of, bool(self.carried)] if self.retry_of else []
        again += ["present"] if self.present else []
        return ["run", self.playbook_id, self.target, self.mode, dict(self.parameters), *again]


@dataclass(frozen=True, kw_only=True)
class Started:
    """The run that a wish has made, or, when ``replayed``, had made before under the same key."""

    run_id: str
    replayed: bool = False
    #: the row that was just made; None when it was made before
    row: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as a worker sees it; secrets are in clear here."""

    id: str
    workspace_id: str
    playbook_id: str
    revision_id: str
    plan: Plan
    definition: Mapping[str, Any]
    mode: Mode
    target: str | None
    parameters: Mapping[str, Any]
    #: the secret ones among them, and every text that must not be seen
    hidden: Mapping[str, Any]
    secrets: tuple[str, ...]
    context: Mapping[str, Any]
    deadline: int
    created_by: str
    request_id: str | None
    parent_id: str | None
    started_at: int

    @property
    def root(self) -> str:
        """The run at the beginning of those that started each other."""
        return self.context["root"] or self.id

    @property
    def widths(self) -> Widths:
        """How many of its steps may be under way at once."""
        return revisions.widths(self.revision_id, self.context.get("width", MOST_LIVE))


def wish_of(caller: Caller, playbook_id: str, **more: Any) -> Wish:
    """What a caller asks for."""
    return Wish(workspace_id=caller.workspace_id, actor=caller.key_id, playbook_id=playbook_id, **more)


@idempotency.clashes_audited()
def start(wish: Wish) -> Started:
    """Accept a request to run a playbook.

    Raises:
        NotFound: no such playbook. Conflict: it is switched off, uses an action that is, or runs for this asset.
        InvalidRequest: it needs an asset. Unprocessable: values that do not fit its parameters, or a used key.
        Unavailable: the database is away; nothing was accepted. Whatever ``wish.unless_urgent`` raises.
    """
    with db.read() as connection:
        known = _earlier(connection, wish)
        if known is not None:
            return Started(run_id=known.execution_id, replayed=True)
        row, chain = prepare(connection, wish)
    if wish.unless_urgent is not None and row["queue"] != URGENT:
        wish.unless_urgent()
    try:
        single = not (wish.idempotency_key or wish.carried)
        group_commit.commit(functools.partial(accept, wish=wish, row=row), single=single)
    except IntegrityError as error:
        with db.read() as connection:
            known = _earlier(connection, wish)
        if known is not None:  # a concurrent copy of this request was faster
            return Started(run_id=known.execution_id, replayed=True)
        raise running_already(wish) from error
    publisher.ring(chain)
    return Started(run_id=row["id"], row=row)


def _earlier(connection: Connection, wish: Wish) -> Row | None:
    """What the same idempotency key made before."""
    key = wish.idempotency_key
    return idempotency.earlier(connection, wish.workspace_id, wish.actor, key, wish.same()) if key else None


def running_already(wish: Wish) -> Conflict:
    """The refusal of a second run for the same asset."""
    return Conflict(
        f"The playbook {wish.playbook_id!r} is already running for the asset {wish.target!r}.", code="already_running"
    )


def accept(connection: Connection, *, wish: Wish, row: Mapping[str, Any]) -> None:
    """Write the run.

    Raises:
        IntegrityError: the key has been used, or the playbook runs for this asset.
    """
    if wish.idempotency_key:
        idempotency.remember(
            connection,
            wish.workspace_id,
            wish.actor,
            wish.idempotency_key,
            wish.same(),
            execution_id=row["id"],
            created_at=row["created_at"],
        )
    transitions.add(connection, [row, *(_taken_over(done, row) for done in wish.carried)], wish.actor)


def _taken_over(done: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    """A completed step as a row of the run that takes it over."""
    old, new = str(done["run_id"]), str(run["id"])
    moved = {name: done[name] and str(done[name]).replace(old, new, 1) for name in ("id", "parent_id", "previous_id")}
    noted = {"event_": "execution.carried", "at_": run["created_at"]}
    return {**done, **moved, **noted, "run_id": new, "created_by": run["created_by"]}


def prepare(connection: Connection, wish: Wish) -> tuple[dict[str, Any], Chain]:
    """The row of a new run, and the chain of its first steps.

    Raises:
        As ``start``.
    """
    head = playbooks.head(connection, wish.workspace_id, wish.playbook_id)
    if not head.enabled:
        raise Conflict(f"The playbook {wish.playbook_id!r} is disabled; enable it first.", code="playbook_disabled")
    kept = wish.kept or NOTHING_KEPT
    revision_id = wish.revision_id or kept["playbooks"].get(wish.playbook_id) or head.revision_id
    definition = revisions.playbook(revision_id)[0].definition
    if definition["target_required"] and not wish.target:
        problem = Problem("/target_asset_id", "this playbook needs the asset it is to work on")
        raise InvalidRequest("The asset is missing.", code="target_required", problems=[problem])
    if wish.depth > DEEPEST:
        raise Conflict(f"Playbooks start playbooks more than {DEEPEST} deep.", code="too_deep")
    run_id = new_id("pexec")
    masked, sealed = _values(definition, wish, parameters_cell(wish.workspace_id, run_id, revision_id))
    pinned = pins(connection, wish.workspace_id, revision_id, wish.pinned or kept["actions"])
    now = db.now_ms()
    row = {
        "id": run_id,
        "workspace_id": wish.workspace_id,
        "kind": "playbook",
        "action_id": wish.playbook_id,
        "revision_id": revision_id,
        "status": "pending",
        "queue": "steps",
        "mode": wish.mode,
        "idempotent": True,
        "timeout_ms": int(definition["timeout_minutes"] * 60_000),
        "attempt": 0,
        "failures": 0,
        "lapses": 0,
        "publishes": 1,
        "expires_at": now + int(definition["timeout_minutes"] * 60_000),
        "target": wish.target,
        "input": masked,
        "sealed": sealed,
        "created_by": wish.actor,
        "request_id": wish.request_id,
        "created_at": now,
        "parent_id": wish.parent_id,
        "cause": wish.trigger,
        "retry_of": wish.retry_of,
        "root_id": wish.root,
        "context": _context(wish, pinned),
    }
    chain = _opening(row, pinned)
    row["due_at"] = backlog.again_at(str(row["queue"]), now, connection)
    return row, chain


def _context(wish: Wish, pinned: Mapping[str, str]) -> str:
    """What a run keeps of how it came about."""
    carried = [str(done["id"]).partition(".")[2] for done in wish.carried]
    names = ("event", "kept", "depth", "hops", "root", "width")
    return json.dumps({**{name: getattr(wish, name) for name in names}, "pins": pinned, "carried": carried})


def _values(definition: Mapping[str, Any], wish: Wish, cell: Cell) -> tuple[str, str | None]:
    """The parameters as they are stored; a playbook that declares none takes any."""
    declared = definition["parameters"]
    if not declared:
        return hide(wish.parameters, wish.secret_names, cell, wish.secrets)
    values, problems = parameters.resolve(declared, wish.parameters)
    if problems:
        raise Unprocessable(problems=[problem.under("/parameters") for problem in problems])
    return hide(values, {*parameters.secret_names(declared), *wish.secret_names}, cell, wish.secrets)


def pins(
    connection: Connection, workspace_id: str, revision_id: str, kept: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Action id → the revision that a run of this revision of a playbook keeps: of those ``kept``, else the present.

    Raises:
        Conflict: an action that it uses is gone or switched off.
    """
    wanted = _used(revision_id)
    heads = actions.heads(connection, workspace_id, wanted)
    found = {}
    for action_id in wanted:
        head = heads.get(action_id)
        if head is None:
            raise Conflict(f"The playbook uses the action {action_id!r}, which is gone.", code="action_missing")
        if not head.enabled:
            raise Conflict(f"The playbook uses the action {action_id!r}, which is disabled.", code="action_disabled")
        found[action_id] = (kept or {}).get(action_id) or head.revision_id
    return found


@functools.lru_cache(maxsize=256)
def _used(revision_id: str) -> tuple[str, ...]:
    """The actions that a revision of a playbook uses."""
    steps = every_step(revisions.playbook(revision_id)[0].definition["steps"])
    return tuple(sorted({step["action_ref"] for step in steps if step["type"] == "action"}))


def _opening(row: dict[str, Any], pins: Mapping[str, str]) -> Chain:
    """The chain with which a run begins: the run itself, then the steps that are known to come first."""
    run_id, rings = row["id"], []
    if row["mode"] != "dry_run":
        known = _first_steps(row["revision_id"], tuple(pins.items()))
        rings = [Ring(execution_id=row_id(run_id, step_id, ""), run_id=run_id, **more) for step_id, more in known]
    if rings and rings[0].queue not in KILLABLE:
        row["queue"] = rings[0].queue
    row["queue"] = fair_queue.queue(row["queue"], row["workspace_id"], row["created_by"], row["action_id"])
    return Chain((begin_ring(run_id, row["action_id"], row["queue"]), *rings))


@functools.lru_cache(maxsize=256)
def _first_steps(revision_id: str, pins: tuple[tuple[str, str], ...]) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The steps of a playbook that are known to come first, and what the ring of each has in common in all runs."""
    plan = revisions.playbook(revision_id)[1]
    first = plan.blocks[""].first
    return tuple((step_id, _common(plan, dict(pins), step_id)) for step_id in plan.stretch(first))


def begin_ring(run_id: str, playbook_id: str, queue: str) -> Ring:
    """The task that begins a run."""
    return Ring(task="tocsin.begin", execution_id=run_id, label=playbook_id, queue=queue, run_id=run_id)


def step_ring(plan: Plan, pins: Mapping[str, str], run_id: str, step_id: str, iteration: str) -> Ring:
    """The task that carries out an action step."""
    return Ring(execution_id=row_id(run_id, step_id, iteration), run_id=run_id, **_common(plan, pins, step_id))


def _common(plan: Plan, pins: Mapping[str, str], step_id: str) -> dict[str, Any]:
    """What the rings of an action step have in common, whatever the run."""
    step = plan.nodes[step_id].step
    definition = revisions.action(pins[step["action_ref"]]).definition
    return {
        "task": "tocsin.step",
        "label": step["action_ref"],
        "queue": queue_of(definition),
        "timeout_ms": timeout_ms(step, definition),
    }


def row_id(run_id: str, step_id: str, iteration: str) -> str:
    """The id of a step's row; the step of each pass of a loop has its own."""
    return f"{run_id}.{step_id}.{iteration}" if iteration else f"{run_id}.{step_id}"


def timeout_ms(step: Mapping[str, Any], definition: Mapping[str, Any]) -> int:
    """How long one attempt at a step may take."""
    return int((step.get("timeout_seconds") or definition["timeout_seconds"]) * 1000)


def loaded(row: Row) -> Run:
    """A run as a worker sees it.

    Raises:
        SealBroken: its secrets cannot be opened.
    """
    revision, plan = revisions.playbook(row.revision_id)
    hidden = opened_parameters(row)
    handed_on = hidden.pop(HANDED_ON, [])
    context = json.loads(row.context)
    context["subject"] = subject(context["event"]) if context["event"] else {}
    return Run(
        id=row.id,
        workspace_id=row.workspace_id,
        playbook_id=row.action_id,
        revision_id=row.revision_id,
        plan=plan,
        definition=revision.definition,
        mode=row.mode,
        target=row.target,
        parameters={**json.loads(row.input), **hidden},
        hidden=hidden,
        secrets=(*texts(hidden), *handed_on),
        context=context,
        deadline=row.expires_at,
        created_by=row.created_by,
        request_id=row.request_id,
        parent_id=row.parent_id,
        started_at=row.started_at or db.now_ms(),
    )
