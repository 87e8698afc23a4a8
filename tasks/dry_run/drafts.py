"""Simulate a playbook that is not stored, or a stored one with outcomes that the caller gives.

In order of time: the definition is checked as on write, and pinned as at the start of a run; the parameters are
checked, or taken from the event as its trigger would; the run is walked in memory, with a rest after each few
milliseconds in which the process serves others. Nothing is written, and nothing leaves the machine.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.errors import CallerError, InvalidRequest, Problem, Unprocessable
from config.types import Json
from playbooks import plan as plans
from playbooks.definitions import parameters
from playbooks.definitions.triggers import mismatch, subject
from playbooks.plan import Plan
from playbooks.states import Mode
from playbooks.widths import MOST_LIVE
from store.access import Caller
from store.definitions import playbooks
from store.engine import db
from store.ids import new_id
from tasks.definitions import playbooks as library
from tasks.definitions.pins import pins_of
from tasks.dry_run import mocks
from tasks.dry_run.mocks import Mock
from tasks.dry_run.playbooks import DryRunBudget
from tasks.dry_run.walk import TooMuch, Walk, summary
from tasks.intake import events
from tasks.runs.run import Run
from tasks.runs.step_entries import Place
from tasks.secrets.redact import texts

#: seconds that a simulation may take, its rests included; and after how many of work it rests
LONGEST, BITE = 5.0, 0.01
#: characters that it may write of all its steps together
MOST_WRITTEN = 8 * 1024 * 1024

#: rests after a bite of work that began at this time of the monotonic clock
Rest = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is simulated: a definition, or the present one of a stored playbook."""

    definition: Mapping[str, Any] | None = None
    playbook_id: str | None = None
    #: None: those that the event has
    parameters: Mapping[str, Any] | None = None
    #: ``{event, data}``
    event: Mapping[str, Any] | None = None
    target: str | None = None
    mocked: Mapping[str, Mock] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What a run of a draft would do: its rows, in the order of the walk, and their summary."""

    plan: Plan
    rows: list[Json]
    output: Json


def simulate(caller: Caller, draft: Draft, rest: Rest) -> Simulated:
    """What a run of a draft would do.

    Raises:
        InvalidRequest: the definition has faults, the event does not start it, a mock is of no step, or an asset is
            missing. Unprocessable: the parameters do not fit, or it takes longer than it may. NotFound: there is no
            such playbook. Forbidden: the caller may not trigger what it names. Conflict: an action that it uses is
            switched off. Unavailable: the database is away.
    """
    pace = _Pace(rest)
    definition = _definition(caller, draft)
    planned = plans.compile(definition)
    if problems := mocks.faults(draft.mocked, planned):
        raise InvalidRequest("A mock has no step.", problems=[problem.under("/mocks") for problem in problems])
    try:
        pace()
        run = _run(caller, draft, definition, planned)
        walk = Walk(run, DryRunBudget(), (), mocked=draft.mocked, rest=pace)
        error = walk.block(Place("", None, ()), taken=True)
    except TooMuch as found:
        text = f"The simulation {found}. Simulate a part of it, or run it dry."
        raise Unprocessable(text, code="simulation_too_long") from None
    return Simulated(plan=planned, rows=walk.rows, output=summary(walk.rows, error))


class _Pace:
    """Rests between the steps, and ends what takes too long or writes too much."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._began = time.monotonic()
        self._until = self._began + LONGEST
        self._left = MOST_WRITTEN

    def __call__(self, written: int = 0) -> None:
        now = time.monotonic()
        self._left -= written
        if now > self._until:
            raise TooMuch(f"takes longer than {LONGEST:g} seconds")
        if self._left < 0:
            raise TooMuch(f"says more than {MOST_WRITTEN:,} characters of its steps")
        if now - self._began > BITE:
            self._rest(self._began)
            self._began = time.monotonic()


def _definition(caller: Caller, draft: Draft) -> Mapping[str, Any]:
    if draft.definition is not None:
        try:
            definition: Mapping[str, Any] = library.checked(caller, library.written(draft.definition))
        except CallerError as error:
            error.problems = [problem.under("/definition") for problem in error.problems]
            raise
    else:
        assert draft.playbook_id is not None
        playbook = db.read_one(playbooks.get, caller.workspace_id, draft.playbook_id)
        definition = playbook.revision.definition
    if definition["target_required"] and not (draft.target or (draft.event and events.target(draft.event))):
        problem = Problem("/target_asset_id", "this playbook needs the asset it is to work on")
        raise InvalidRequest("The asset is missing.", code="target_required", problems=[problem])
    return definition


def _run(caller: Caller, draft: Draft, definition: Mapping[str, Any], planned: Plan) -> Run:
    event = dict(draft.event) if draft.event is not None else None
    values = _parameters(draft, definition, event)
    secret = parameters.secret_names(definition["parameters"])
    hidden = {name: values[name] for name in secret if values.get(name) is not None}
    now = db.now_ms()
    return Run(
        id=new_id("pexec"),
        workspace_id=caller.workspace_id,
        playbook_id=draft.playbook_id or definition.get("id") or "draft",
        revision_id="",
        plan=planned,
        definition=definition,
        mode=Mode.DRY_RUN,
        target=draft.target or (events.target(event) if event else None),
        parameters=values,
        hidden=hidden,
        secrets=tuple(texts(hidden)),
        context={
            "event": event,
            "subject": subject(event) if event else {},
            "pins": pins_of(caller.workspace_id, definition),
            "kept": None,
            "depth": 0,
            "hops": 0,
            "root": None,
            "width": MOST_LIVE,
            "carried": [],
        },
        deadline=now + int(definition["timeout_minutes"] * 60_000),
        created_by=caller.key_id,
        request_id=None,
        parent_id=None,
        started_at=now,
    )


def _parameters(draft: Draft, definition: Mapping[str, Any], event: Mapping[str, Any] | None) -> dict[str, Any]:
    declared = definition["parameters"]
    if event is not None:
        unmet = mismatch(definition["trigger"].get("conditions"), event)
        if unmet is not None:
            detail = f"the event does not meet it: there is {'nothing' if unmet.missing else repr(unmet.found)[:200]}"
            place = Problem(f"/definition{unmet.pointer}" if draft.definition is not None else unmet.pointer, detail)
            raise InvalidRequest("This event does not start the playbook.", code="not_matched", problems=[place])
    given = draft.parameters
    if given is None:
        given = events.values(declared, event) if event is not None else {}
    if not declared:
        return dict(given)
    values, problems = parameters.resolve(declared, given)
    if problems:
        raise Unprocessable(problems=[problem.under("/parameters") for problem in problems])
    return dict(values)
