"""Retry an ended run with its parameters and revisions.

In order of time: the parameters are assembled from the stored ones and the secrets that the caller gives again; the
revisions that the run used are gathered: its own pins, and those that the playbooks below it used or would have used;
if a stored secret would reach an action that it did not reach before, or that sends elsewhere now, the caller must give
it again; then the run is started like any other. So a change of an action never delivers the secrets of another
caller's run.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.errors import Conflict, Problem, Unprocessable
from expressions.references import paths
from expressions.template_syntax import has_markup
from playbooks.definitions import parameters
from playbooks.plan import every_step
from playbooks.states import Mode, Status
from store.access import Caller
from store.definitions import actions, playbooks
from store.definitions.versioned import DefinitionKind
from store.engine import db
from store.engine.db import Row
from store.executions import runs, steps
from store.executions.transitions import LIVE
from store.sealing.seal import SealBroken
from tasks.definitions import revisions
from tasks.intake.run_start import DEEPEST, NOTHING_KEPT, RunRequest, StartedRun, start
from tasks.secrets.redact import MASK, texts
from tasks.secrets.sealing import HANDED_ON, opened_config, opened_parameters, receiver

#: keys of a config that name the recipients, in addition to the destination
_RECEIVERS = ("to", "cc", "bcc", "channel", "routing_key")
_GONE = "the secrets of this run are not kept any more: give this one again"
_ELSEWHERE = "where this secret would be sent has changed since the run, or is not known any more: give it again"

#: secret parameter → the secrets of the top run from which it comes
Origins = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class _Given:
    """The new run's parameters, which are secret, and which given again."""

    parameters: dict[str, Any]
    secret_names: frozenset[str]
    handed_on: tuple[str, ...]
    given_again: frozenset[str]


def retry(
    caller: Caller,
    run_id: str,
    *,
    completed_stay: bool,
    present: bool = False,
    given: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> StartedRun:
    """Run an ended run again, with the same parameters and playbook version.

    ``completed_stay`` has the new run begin where the old one failed: completed steps are not repeated. ``present`` has
    it use the present revisions of actions and of the playbooks that it starts. ``given`` are secrets given again.

    Raises:
        NotFound: no such run. Unprocessable: ``given`` names no secret of it. Conflict: it has not ended, has not
        failed anywhere, or a secret must be given again (``secret_needed``). Else as ``tasks.intake.run_start.start``.
    """
    before = db.read_one(runs.get, caller.workspace_id, run_id)
    if before.status in LIVE:
        raise Conflict(f"The run has not ended: it is {before.status}; cancel it or wait.", code="not_ended")
    if completed_stay and (before.status == Status.COMPLETED or before.mode == Mode.DRY_RUN):
        raise Conflict('Nothing has failed; retry from "start".', code="nothing_failed")
    done = [_carried(row) for row in db.read_one(steps.of_run, run_id) if _stays(row)] if completed_stay else []
    context, whole = json.loads(before.context), _put_together(before, given or {})
    used = _used(before, context)
    wanted = _present(before) if present else used
    if whole.secret_names:
        _require_again(before, whole, used, wanted)
    return start(
        RunRequest(
            workspace_id=caller.workspace_id,
            actor=caller.key_id,
            playbook_id=before.action_id,
            revision_id=before.revision_id,
            parameters=whole.parameters,
            secret_names=whole.secret_names,
            secrets=whole.handed_on,
            target=before.target,
            mode=before.mode,
            trigger="retry",
            event=context["event"],
            led_by=context.get("led_by"),
            hops=context["hops"],
            idempotency_key=idempotency_key,
            retry_of=run_id,
            pinned=wanted.pins,
            kept={"actions": wanted.actions, "playbooks": wanted.playbooks},
            present=present,
            carried=tuple(done),
        )
    )


def _stays(row: Row) -> bool:
    return row.status == Status.COMPLETED and row.type in ("action", "approval", "delay")


def _carried(row: Row) -> dict[str, Any]:
    """The row of a completed step for the new run."""
    kept: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 - how a row becomes a dictionary
    return {**kept, "owner": None, "due_at": None, "waiting_for": None}


def _put_together(before: Row, given: Mapping[str, Any]) -> _Given:
    """The parameters of the old run, with the secrets given again.

    Raises:
        Unprocessable: a given name is no secret of the run. Conflict: a secret is neither stored nor given.
    """
    shown = json.loads(before.input)
    try:
        kept = opened_parameters(before)
    except SealBroken:
        kept = {}
    handed_on = kept.pop(HANDED_ON, [])
    declared = revisions.playbook(before.revision_id)[0].definition["parameters"]
    lost = {name for name, value in shown.items() if value == MASK and name not in kept}
    secret = {*kept, *lost, *parameters.secret_names(declared)}
    again = {name: value for name, value in given.items() if value is not None}
    strange = [name for name in again if name not in secret]
    if strange:
        text = "is no secret of this run: a retry takes everything else from it"
        raise Unprocessable(problems=[Problem(f"/parameters/{name}", text) for name in strange])
    if not kept:  # else a value that looks like a mask is the real one
        _demand(lost - again.keys(), _GONE)
    return _Given(
        parameters={**shown, **kept, **again},
        secret_names=frozenset({*kept, *lost, *again}),
        handed_on=tuple([*handed_on, *texts(again)] if handed_on else ()),
        given_again=frozenset(again),
    )


def _demand(names: Collection[str], why: str) -> None:
    if names:
        raise Conflict(
            f"Give these parameters again, as parameters in the body: {', '.join(sorted(names))}.",
            code="secret_needed",
            problems=[Problem(f"/parameters/{name}", why) for name in sorted(names)],
        )


@dataclass(frozen=True)
class _Used:
    """The revisions that a run uses, and those below it."""

    pins: dict[str, str]
    actions: dict[str, str]
    playbooks: dict[str, str]

    def of(self, action: str) -> str | None:
        """The revision of an action.

        The run's own goes before one of a run below it.
        """
        return self.pins.get(action) or self.actions.get(action)


def _used(before: Row, context: Mapping[str, Any]) -> _Used:
    """The revisions that a run and those below it used."""
    kept = context.get("kept") or NOTHING_KEPT
    there = db.read_one(actions.versions, context["pins"].values())
    pins = {name: revision_id for name, revision_id in context["pins"].items() if revision_id in there}
    used = _Used(pins, dict(kept["actions"]), dict(kept["playbooks"]))
    workspace_id, began = before.workspace_id, before.created_at
    if _started(before.revision_id):
        for row in db.read_one(runs.below, context["root"] or before.id):
            used.playbooks[row.action_id] = row.revision_id
            used.actions.update(json.loads(row.context)["pins"])
    _complete(
        before.revision_id,
        used,
        lambda unknown: db.read_one(playbooks.at, workspace_id, unknown, began),
        lambda unknown: db.read_one(actions.at, workspace_id, unknown, began),
    )
    return used


def _present(before: Row) -> _Used:
    """The revisions that the same playbook uses now."""

    def present(kind: DefinitionKind[Any]) -> Callable[[set[str]], dict[str, str]]:
        def heads(wanted: set[str]) -> dict[str, str]:
            found = db.read_one(kind.heads, before.workspace_id, sorted(wanted))
            return {name: row.revision_id for name, row in found.items()}

        return heads

    actions_of = present(actions.kind)
    used = _Used(actions_of(_uses(before.revision_id)), {}, {})
    _complete(before.revision_id, used, present(playbooks.kind), actions_of)
    return used


def _complete(
    revision_id: str,
    used: _Used,
    playbooks_of: Callable[[set[str]], dict[str, str]],
    actions_of: Callable[[set[str]], dict[str, str]],
) -> None:
    """Add the revisions of all playbooks that a playbook starts."""
    waiting, seen = _started(revision_id), set[str]()
    while waiting:
        seen |= waiting
        used.playbooks.update(playbooks_of(waiting - used.playbooks.keys()))
        found = [used.playbooks[name] for name in waiting if name in used.playbooks]
        used.actions.update(actions_of({name for each in found for name in _uses(each)} - used.actions.keys()))
        waiting = {name for each in found for name in _started(each)} - seen


def _steps(revision_id: str, kind: str) -> Iterator[Mapping[str, Any]]:
    definition = revisions.playbook(revision_id)[0].definition
    return (step for step in every_step(definition["steps"]) if step["type"] == kind)


def _started(revision_id: str) -> set[str]:
    """The playbooks that a revision of a playbook starts."""
    return {step["playbook_ref"] for step in _steps(revision_id, "playbook")}


def _uses(revision_id: str) -> set[str]:
    """The actions that a revision of a playbook uses itself."""
    return {step["action_ref"] for step in _steps(revision_id, "action")}


@dataclass
class _Reach:
    """The secrets of a run by the actions that they reach."""

    playbooks: Mapping[str, str]
    #: action → the secrets of the top run that it gets
    found: dict[str, frozenset[str]] = field(default_factory=dict)
    #: the secrets that would reach an unknown playbook
    lost: frozenset[str] = frozenset()
    _seen: set[tuple[str, tuple[Any, ...]]] = field(default_factory=set)

    def follow(self, revision_id: str, origins: Origins, depth: int = 0) -> None:
        """Follow secrets through a revision of a playbook that gets them."""
        mark = (revision_id, tuple(sorted((name, tuple(sorted(of))) for name, of in origins.items())))
        if mark in self._seen or depth > DEEPEST or not origins:
            return
        self._seen.add(mark)
        for step in _steps(revision_id, "action"):
            self._note(step["action_ref"], _read(step.get("parameters", {}), origins))
        for step in _steps(revision_id, "playbook"):
            given = {name: _read(value, origins) for name, value in step.get("parameters", {}).items()}
            below = {name: of for name, of in given.items() if of}
            if step["playbook_ref"] in self.playbooks:
                self.follow(self.playbooks[step["playbook_ref"]], below, depth + 1)
            else:
                self.lost |= frozenset().union(*below.values())

    def _note(self, action: str, origins: frozenset[str]) -> None:
        if origins:
            self.found[action] = self.found.get(action, frozenset()) | origins


def _read(value: Any, origins: Origins) -> frozenset[str]:
    """The secrets that a step's parameters pass on."""
    read = frozenset[str]()
    for root, *more in paths(value):
        names = (more[:1] or origins.keys()) if root == "parameters" else [root]
        read = read.union(*(origins.get(name, frozenset()) for name in names))
    return read


def _require_again(row: Row, whole: _Given, used: _Used, wanted: _Used) -> None:
    """Require each secret again that would reach a new receiver.

    Raises:
        Conflict: ``secret_needed``, with the names.
    """
    origins = {name: frozenset({name}) for name in whole.secret_names}
    old, new = _Reach(used.playbooks), _Reach(wanted.playbooks)
    old.follow(row.revision_id, origins)
    new.follow(row.revision_id, origins)
    pairs = {name: (used.of(name), wanted.of(name)) for name in new.found}
    there = db.read_one(actions.versions, {one for pair in pairs.values() for one in pair if one})
    needed = set(new.lost)
    for name, reached in new.found.items():
        before, now = pairs[name]
        known = before in there and now in there and _same_receiver(row.workspace_id, str(before), str(now))
        needed |= reached - (old.found.get(name, frozenset()) if known else frozenset())
    _demand(needed - whole.given_again, _ELSEWHERE)


def _same_receiver(workspace_id: str, old_id: str, new_id: str) -> bool:
    try:
        return old_id == new_id or _receiver(workspace_id, old_id) == _receiver(workspace_id, new_id)
    except SealBroken:  # its destination cannot be known
        return False


def _receiver(workspace_id: str, revision_id: str) -> list[Any]:
    """What identifies an action's receiver: executor, address, recipients, account.

    Raises:
        SealBroken: the secrets of its config cannot be opened.
    """
    revision = revisions.action(revision_id)
    definition, known = revision.definition, opened_config(workspace_id, revision)
    places = receiver(definition, known, _RECEIVERS)
    open_ = any(isinstance(place, str) and has_markup(place) for place in places)
    return [places, known, definition["parameters"] if open_ else None]
