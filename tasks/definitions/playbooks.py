"""Playbooks as stored definitions: checked, versioned, their schedules set."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from config.errors import Forbidden, Problem
from expressions.limits import MAX_SUGGESTION_CANDIDATES
from gateway.facts import PROVIDER_PREFIX
from playbooks.checks import playbook as checks
from playbooks.checks.faults import MAX_PROBLEMS
from playbooks.checks.size import size
from playbooks.checks.spelling import as_written
from playbooks.definitions import normalise as meaning
from playbooks.definitions.events import SCHEDULE
from playbooks.definitions.places import places
from playbooks.definitions.schedules import next_time
from playbooks.definitions.step_types import TOP_ALIASES
from store.access import Caller
from store.definitions import actions, playbooks, references
from store.definitions.playbooks import NewRevision, Playbook
from store.engine import db
from tasks.definitions import in_use, provided, versioned
from tasks.definitions.versioned import Change, Guard
from tasks.offload import pool

#: members of actions that the checks of a playbook read
_FACTS = ("parameters", "enabled", "type", "executor")
#: members that are ignored, so that a caller may send back what it has read
_READ_ONLY = frozenset(
    {"step_count", "next_run_at", "last_error", "problems", "created_at", "updated_at", "created_by"}
)
#: the permissions to use what a playbook names
_RIGHTS = {"action": "execute:actions", "provider": "dispatch"}


def written(given: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a definition that its author writes."""
    return {name: value for name, value in given.items() if name not in _READ_ONLY}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Actions and playbooks that a definition may name before they exist.

    By id, each with the members that are known of it.
    """

    actions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    playbooks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: whether they are about to replace stored ones of the same id, which therefore do not count
    replacing: bool = False


NOTHING_ELSE = Expected()
_NOTHING: Mapping[str, Any] = {}

#: writes more in the transaction of a playbook
Alongside = Callable[[db.Connection, Playbook], None]


def nothing(_connection: db.Connection, _playbook: Playbook) -> None:
    """Write nothing alongside a playbook."""


def validate(
    caller: Caller, definition: Mapping[str, Any], expected: Expected = NOTHING_ELSE
) -> tuple[list[Problem], list[Problem]]:
    """The faults of a definition, and its warnings.

    It is checked against the caller's workspace; warnings are looked for only if there are no faults.

    Raises:
        Busy: the definition is large, and too many large ones are being checked.
    """
    counted = size(definition)
    fault = checks.size_fault(definition, counted)
    if fault:
        return [fault], []
    form = meaning.normalise(definition)
    steps = [place.step for place in places(form)]
    notifying = _named(steps, "approval", "notify")
    wanted = _named(steps, "action", "action_ref") | {f"{PROVIDER_PREFIX}{name}" for name in notifying}
    sent = provided.known(wanted)
    with db.read() as connection:
        performed = _known_actions(connection, caller.workspace_id, wanted, sent)
        run = _known_playbooks(connection, caller.workspace_id, steps)
    if expected.replacing:
        performed, run = {**performed, **expected.actions}, {**run, **expected.playbooks}
    else:
        performed, run = {**expected.actions, **performed}, {**expected.playbooks, **run}
    problems, doubts = pool.way(counted.milliseconds)(checks.judged, form, _facts(performed), run)
    return as_written(problems, definition), as_written(doubts, definition)


def _facts(performed: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The members of actions that the checks read."""
    return {
        name: {member: definition[member] for member in _FACTS if member in definition}
        for name, definition in performed.items()
    }


def _named(steps: Iterable[Mapping[str, Any]], kind: str, member: str) -> set[str]:
    named = (step.get(member) for step in steps if step.get("type") == kind)
    return {name for name in named if isinstance(name, str)}


def _known_actions(
    connection: db.Connection, workspace_id: str, wanted: set[str], sent: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """The definitions of the wanted actions and providers; those of providers are ``sent``.

    If one is missing, other ids are added as suggestions.
    """
    found = actions.several(connection, workspace_id, {name for name in wanted if not provided.is_provider(name)})
    known = {**{name: versioned.as_kept(action) for name, action in found.items()}, **sent}
    if known.keys() == wanted:
        return known
    others = actions.ids(connection, workspace_id, limit=MAX_SUGGESTION_CANDIDATES)
    # a wanted action may have been created since; its parameters are not known here
    return {**{action_id: {} for action_id in others if action_id not in wanted}, **known}


def _known_playbooks(
    connection: db.Connection, workspace_id: str, steps: Iterable[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """The same for playbooks.

    A definition is read only if a step gives it parameters.
    """
    wanted = _named(steps, "playbook", "playbook_ref")
    known = dict.fromkeys(playbooks.heads(connection, workspace_id, sorted(wanted)), _NOTHING)
    writing = _named((step for step in steps if step.get("parameters")), "playbook", "playbook_ref")
    found = playbooks.several(connection, workspace_id, writing & known.keys())
    if known.keys() != wanted:
        others = set(playbooks.ids(connection, workspace_id, limit=MAX_SUGGESTION_CANDIDATES)) - wanted
        known = {**dict.fromkeys(others, _NOTHING), **known}
    return {**known, **{name: {"parameters": one.revision.definition["parameters"]} for name, one in found.items()}}


def create(
    caller: Caller, wanted: Mapping[str, Any], *, expected: Expected = NOTHING_ELSE, alongside: Alongside = nothing
) -> Playbook:
    """Add a playbook, and write more ``alongside`` it.

    Raises:
        InvalidRequest: the definition has faults, all named. Conflict: the id is taken. Forbidden: the caller may not
        trigger an action that it names.
    """
    return creation(caller, wanted, expected=expected, alongside=alongside).carry_out()


def checked(caller: Caller, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A definition as it would be stored, which the caller might write.

    Raises:
        InvalidRequest: the definition has faults, all named. Forbidden: the caller may not trigger an action that it
            names.
    """
    definition = _checked(caller, wanted, NOTHING_ELSE)
    refuse_untriggerable(caller, definition)
    return definition


def creation(
    caller: Caller, wanted: Mapping[str, Any], *, expected: Expected = NOTHING_ELSE, alongside: Alongside = nothing
) -> Change[Playbook]:
    """The checked change that adds a playbook.

    Raises:
        InvalidRequest: the definition has faults, all named.
    """
    definition = _checked(caller, wanted, expected)
    refuse_untriggerable(caller, definition)
    playbook_id = definition.pop("id", None) or meaning.slug(definition["name"])

    def write(connection: db.Connection) -> Playbook:
        new = _new_revision(definition)
        in_use.hold(connection, caller, definition, expected.playbooks)
        playbook = playbooks.create(connection, caller.workspace_id, playbook_id, new, caller.key_id)
        alongside(connection, playbook)
        return playbook

    return Change(definition, write)


def revise(
    caller: Caller,
    playbook_id: str,
    changes: Mapping[str, Any],
    *,
    whole: bool,
    expected: Expected = NOTHING_ELSE,
    alongside: Alongside = nothing,
    guard: Guard = None,
) -> Playbook:
    """Change a playbook by ``changes``, laid over the definition member by member.

    ``whole`` has them replace the definition. ``alongside`` is called even if the definition stays the same.

    The version goes up by itself unless a higher one is given; a change that changes nothing makes no version.

    Raises:
        NotFound: no such playbook. InvalidRequest: faults, all named. Conflict: changed meanwhile. Forbidden: the
        caller may not trigger an action that it names.
    """
    with db.read() as connection:
        versioned.check(guard, connection)
        playbook = playbooks.get(connection, caller.workspace_id, playbook_id)
    return revision(caller, playbook, changes, whole=whole, expected=expected, alongside=alongside).carry_out(guard)


def revision(
    caller: Caller,
    playbook: Playbook,
    changes: Mapping[str, Any],
    *,
    whole: bool,
    expected: Expected = NOTHING_ELSE,
    alongside: Alongside = nothing,
) -> Change[Playbook]:
    """The checked change of a playbook; it may lead to the same definition.

    Raises:
        InvalidRequest: faults, all named.
    """
    old = versioned.as_kept(playbook)
    respelt = {TOP_ALIASES[name] for name in changes if name in TOP_ALIASES}
    kept = {name: value for name, value in old.items() if name not in respelt}
    wanted = versioned.laid_over(kept, changes, whole=whole)
    definition = _checked(caller, {**wanted, "id": playbook.id}, expected)
    del definition["id"]
    definition["version"] = versioned.next_version(old, definition, meaning.next_version)
    enabled, same = definition["enabled"], definition["version"] == old["version"]
    if not same:
        refuse_untriggerable(caller, definition)

    def write(connection: db.Connection) -> Playbook:
        written = playbook
        if same and enabled != old["enabled"]:  # only the switch was turned
            written = _switched(connection, caller, playbook.id, enabled=enabled)
        elif not same:
            in_use.hold(connection, caller, definition, expected.playbooks)
            written = playbooks.revise(connection, playbook, _new_revision(definition), caller.key_id)
        alongside(connection, written)
        return written

    return Change(definition, write)


def restore(caller: Caller, playbook_id: str, version: str, *, guard: Guard = None) -> Playbook:
    """Make the definition of an earlier version the present one.

    Raises:
        NotFound: no such playbook, or it never had that version. Else as ``revise``.
    """
    with db.read() as connection:
        playbook = playbooks.get(connection, caller.workspace_id, playbook_id)
        old = playbooks.at_version(connection, playbook, version)
    kept = {name: value for name, value in old.definition.items() if name not in ("version", "enabled")}
    return revise(caller, playbook_id, kept, whole=True, guard=guard)


def set_enabled(caller: Caller, playbook_id: str, *, enabled: bool, guard: Guard = None) -> Playbook:
    """Enable or disable a playbook.

    No new version, runs under way go on.

    Times that a schedule missed while it was off are not made up for.

    Raises:
        NotFound: no such playbook. Conflict: changed meanwhile.
    """
    with db.write() as connection:
        versioned.check(guard, connection)
        return _switched(connection, caller, playbook_id, enabled=enabled)


def delete(caller: Caller, playbook_id: str, *, force: bool = False, guard: Guard = None) -> None:
    """Delete a playbook; its runs stay, and those under way go on.

    Raises:
        NotFound: no such playbook. InUse: other playbooks start it; ``force`` does it all the same.
    """
    in_use.catch_up(caller)
    with db.write() as connection:
        versioned.check(guard, connection)
        noted = in_use.refuse(connection, caller, "playbook", playbook_id, verb="delete", force=force)
        playbooks.delete(connection, caller.workspace_id, playbook_id, caller.key_id, **noted)


def _switched(connection: db.Connection, caller: Caller, playbook_id: str, *, enabled: bool) -> Playbook:
    playbook = playbooks.get(connection, caller.workspace_id, playbook_id)
    fire_at = _fire_at(playbook.revision.definition, enabled=enabled)
    return playbooks.set_enabled(connection, playbook, enabled=enabled, fire_at=fire_at, actor=caller.key_id)


def _checked(caller: Caller, wanted: Mapping[str, Any], expected: Expected) -> dict[str, Any]:
    problems, _ = validate(caller, wanted, expected)
    if problems:
        raise versioned.faulty("playbook", problems)
    return meaning.normalise(wanted)


def refuse_untriggerable(caller: Caller, definition: Mapping[str, Any]) -> None:
    """Refuse an author who may not trigger an action that the playbook names.

    Running the playbook takes no such right; so writing it does.

    Raises:
        Forbidden: the steps are named.
    """
    lacking = {noun: permission for noun, permission in _RIGHTS.items() if not caller.may(permission)}
    if not lacking:
        return
    text = "names the {} {!r}, and the key does not carry {}"
    named = (one for one in references.namings(definition) if one.noun in lacking)
    problems = [
        Problem(one.pointer, text.format(one.noun, one.name, lacking[one.noun])) for one in islice(named, MAX_PROBLEMS)
    ]
    if problems:
        raise Forbidden(
            "Who writes a playbook needs the right to trigger each action that it names, and to dispatch by each "
            f"provider: {', '.join(_RIGHTS.values())}.",
            problems=problems,
        )


def problems_of(connection: db.Connection, playbook: Playbook) -> list[Problem]:
    """What has gone or was disabled since the playbook was written."""
    namings = list(references.namings(playbook.revision.definition))
    found = []
    for noun, heads in (("action", actions.heads), ("playbook", playbooks.heads)):
        wanted = sorted({one.name for one in namings if one.noun == noun})
        there = heads(connection, playbook.workspace_id, wanted)
        for one in namings:
            if one.noun == noun and (one.name not in there or not there[one.name].enabled):
                state = "is disabled" if one.name in there else "is gone"
                means = "the playbook cannot start" if noun == "action" else "the step will fail"
                found.append(Problem(one.pointer, f"the {noun} {one.name!r} {state}: {means}"))
    return found[:MAX_PROBLEMS]


def _new_revision(definition: Mapping[str, Any]) -> NewRevision:
    fire_at = _fire_at(definition, enabled=definition["enabled"])
    return playbooks.new_revision(definition, step_count=sum(1 for _ in places(definition)), fire_at=fire_at)


def _fire_at(definition: Mapping[str, Any], *, enabled: bool) -> int | None:
    """When the playbook's schedule is due next, ms.

    None without one and while disabled.
    """
    trigger = definition["trigger"]
    if not enabled or trigger["event"] != SCHEDULE:
        return None
    return next_time(trigger["cron"], trigger["timezone"], db.now_ms())
