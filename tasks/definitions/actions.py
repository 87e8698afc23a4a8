"""Actions as stored definitions: checked, versioned, their secrets sealed."""

from collections.abc import Callable, Mapping
from typing import Any

from config.errors import Forbidden, Problem
from expressions.suggestions import did_you_mean
from gateway.current import current
from gateway.facts import provider_of
from playbooks.checks.size import size
from playbooks.definitions import actions as meaning
from playbooks.definitions import asking
from providers import registry
from providers.handlers.library import library
from store.access import Caller
from store.definitions import actions as catalogue
from store.definitions.actions import Action, NewRevision
from store.engine import db
from store.ids import new_id
from store.sealing.seal import SealBroken
from tasks.definitions import in_use, versioned
from tasks.definitions.versioned import Change, Guard
from tasks.offload import pool
from tasks.secrets import sealing

#: why an action of the executor opservant cannot be carried out
NO_AGENT = (
    "No agent is connected that could carry this out: a trigger answers 409 no_agent. "
    "The executors remote and webhook call a system that this server reaches."
)

#: members of a definition that say nothing about what the action does
_SAID = frozenset({"id", "name", "description", "version", "enabled", "tags"})
#: members that a definition may leave to its function
_OF_A_FUNCTION = ("parameters", "type", "timeout_seconds", "retry", "idempotent", "tags")


def _whole(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition in its stored form.

    A Python function declares its own parameters, and may say its type, limits and tags.
    """
    whole = meaning.normalise(dict(definition))
    config = whole["config"]
    if whole.get("executor") != "local" or not isinstance(config, dict) or "handler" not in config:
        return whole
    if all(definition.get(name) is not None for name in _OF_A_FUNCTION):
        return whole
    handler = library().find(config["handler"])
    if handler is None:
        return whole
    own = {**handler.wishes, "parameters": handler.parameters}
    return meaning.normalise({**whole, **{name: one for name, one in own.items() if definition.get(name) is None}})


def problems_of(definition: Mapping[str, Any]) -> list[Problem]:
    """The faults that can be found before the action runs."""
    counted = size(definition)
    if counted.fault_of_action:
        return [Problem("", counted.fault_of_action)]
    way = pool.here if counted.milliseconds <= pool.SHORT else pool.in_turn
    return [*way(_problems_of, definition), *_unknown_provider(definition)]


def _unknown_provider(definition: Mapping[str, Any]) -> list[Problem]:
    """The fault of an approval whose notices go out by a provider that is not there."""
    notify = _notify(_whole(definition))
    if notify is None:
        return []
    missing = asking.unknown({"notify": notify}, current().revisions, did_you_mean)
    return [Problem("/config/notify", missing)] if missing else []


def _notify(whole: Mapping[str, Any]) -> str | None:
    """The provider by which an approval action is made known."""
    config = whole.get("config") if whole.get("executor") == "approval" else None
    notify = config.get("notify") if isinstance(config, dict) else None
    return notify if isinstance(notify, str) else None


def _refuse_notices(caller: Caller, definition: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> None:
    """Refuse an author who may not dispatch by the provider of an approval's notices.

    Raises:
        Forbidden: as it is.
    """
    notify = _notify(definition)
    if notify is None or caller.may("dispatch") or (old is not None and _notify(old) == notify):
        return
    raise Forbidden(
        "Who writes an action whose notices go out by a provider needs the right to dispatch.",
        problems=[Problem("/config/notify", f"names the provider {notify!r}, and the key does not carry dispatch")],
    )


def _problems_of(definition: Mapping[str, Any]) -> list[Problem]:
    whole = _whole(definition)
    problems = list(meaning.check(whole))
    if whole.get("executor") in meaning.EXECUTORS and isinstance(whole.get("config"), dict):
        executor = registry.executor(whole["executor"])
        found = executor.check(sealing.plain(whole["config"]), meaning.known_names(whole))
        problems += [problem.under("/config") for problem in found]
    return problems


def warnings_of(definition: Mapping[str, Any]) -> list[Problem]:
    """Warnings of a definition: what its author may not have meant."""
    masked, _ = _parted(_whole(definition))
    return doubts(masked)


def doubts(masked: Mapping[str, Any]) -> list[Problem]:
    """The warnings of a stored definition, whose secrets are masked."""
    unserved = [Problem("/executor", NO_AGENT)] if masked.get("executor") == "opservant" else []
    return unserved + sealing.doubtful(masked["config"])


def create(
    caller: Caller, wanted: Mapping[str, Any], *, alongside: Callable[[db.Connection, Action], None] | None = None
) -> Action:
    """Add an action, and write more ``alongside`` it.

    Raises:
        InvalidRequest: the definition has faults, all named. Conflict: the id is taken.
    """
    return creation(caller, wanted).carry_out(alongside=alongside)


def creation(caller: Caller, wanted: Mapping[str, Any]) -> Change[Action]:
    """The checked change that adds an action.

    Raises:
        InvalidRequest: the definition has faults, all named.
    """
    whole, _ = sealing.unmask(_small(_whole(wanted)), {"config": {}}, {})
    definition = _checked(whole)
    _refuse_notices(caller, definition)
    action_id = definition.pop("id", None) or meaning.slug(definition["name"])
    new = _new_revision(caller, *_parted(definition))
    return Change(
        definition, lambda connection: catalogue.create(connection, caller.workspace_id, action_id, new, caller.key_id)
    )


def revise(
    caller: Caller,
    action_id: str,
    changes: Mapping[str, Any],
    *,
    whole: bool,
    force: bool = False,
    guard: Guard = None,
) -> Action:
    """Change an action by ``changes``, laid over the definition.

    ``whole`` has them replace the definition. ``force`` lets them disable an action that playbooks use. ``guard`` says
    whether the action is the one that they are meant for.

    The version goes up by itself unless a higher one is given; a change that changes nothing makes no version.

    Raises:
        NotFound: no such action. InvalidRequest: faults, all named. Conflict: changed meanwhile. InUse: it would be
        disabled, and playbooks use it.
    """
    with db.read() as connection:
        versioned.check(guard, connection)
        action = catalogue.get(connection, caller.workspace_id, action_id)
    change = revision(caller, action, changes, whole=whole, force=force)
    return action if change is None else change.carry_out(guard)


def revision(
    caller: Caller, action: Action, changes: Mapping[str, Any], *, whole: bool, force: bool = False
) -> Change[Action] | None:
    """The checked change of an action; None if it changes nothing.

    Raises:
        InvalidRequest: faults, all named.
    """
    old, known = versioned.as_kept(action), _known(caller, action)
    wanted = _small(_whole(versioned.laid_over(old, changes, whole=whole)))
    whole_new, kept = sealing.unmask(wanted, old, known)
    untouched = not whole and "config" not in changes
    definition, hidden = _parted(_checked(whole_new, old if untouched else None), kept)
    _refuse_notices(caller, definition, old)
    definition["version"] = _next_version(old, definition, secrets_changed=hidden != known)
    if definition == old and hidden == known:
        return None
    taken_away = old["enabled"] and not definition["enabled"]
    if taken_away:
        in_use.catch_up(caller)
    if definition["version"] == old["version"]:  # only the switch was turned
        enabled = definition["enabled"]
        return Change(
            definition, lambda connection: _switched(connection, caller, action.id, enabled=enabled, force=force)
        )
    new = _new_revision(caller, definition, hidden)

    def write(connection: db.Connection) -> Action:
        if taken_away:
            in_use.refuse(connection, caller, "action", action.id, verb="disable", force=force)
        return catalogue.revise(connection, action, new, caller.key_id)

    return Change(definition, write)


def restore(caller: Caller, action_id: str, version: str, *, guard: Guard = None) -> Action:
    """Make the definition of an earlier version the present one, with the secrets that it had.

    Raises:
        NotFound: no such action, or it never had that version. SealBroken: its secrets cannot be opened any more. Else
        as ``revise``.
    """
    with db.read() as connection:
        action = catalogue.get(connection, caller.workspace_id, action_id)
        old = catalogue.kind.at_version(connection, action, version)
    config = sealing.opened(old.definition["config"], sealing.opened_config(caller.workspace_id, old))
    kept = {name: value for name, value in old.definition.items() if name not in ("version", "enabled")}
    return revise(caller, action_id, {**kept, "config": config}, whole=True, guard=guard)


def provide(caller: Caller, present: Action | None, definition: Mapping[str, Any]) -> Change[Action]:
    """The change that makes or revises an action of a bundle, whose config no caller writes.

    A person's switch stays as it is.

    Raises:
        InvalidRequest: the definition has faults, all named.
    """
    whole = meaning.normalise(dict(definition))
    problems = list(meaning.check(whole))
    if problems:
        raise versioned.faulty("action", problems)
    action_id = whole.pop("id")
    if present is None:
        new = _new_revision(caller, whole, {})
        return Change(
            whole, lambda connection: catalogue.create(connection, caller.workspace_id, action_id, new, caller.key_id)
        )
    old = versioned.as_kept(present)
    whole |= {"enabled": old["enabled"], "version": old["version"]}
    if whole == old:
        return Change(whole, lambda _connection: present)
    whole["version"] = meaning.next_version(old, whole)
    new = _new_revision(caller, whole, {})
    return Change(whole, lambda connection: catalogue.revise(connection, present, new, caller.key_id))


def set_enabled(caller: Caller, action_id: str, *, enabled: bool, force: bool = False, guard: Guard = None) -> Action:
    """Enable or disable an action.

    No new version, executions under way go on.

    Raises:
        NotFound: no such action. InUse: it would be disabled, and playbooks use it; ``force`` does it all the same.
    """
    if not enabled:
        in_use.catch_up(caller)
    with db.write() as connection:
        versioned.check(guard, connection)
        return _switched(connection, caller, action_id, enabled=enabled, force=force)


def _switched(connection: db.Connection, caller: Caller, action_id: str, *, enabled: bool, force: bool) -> Action:
    action = catalogue.get(connection, caller.workspace_id, action_id)
    noted = {}
    if action.enabled and not enabled:
        noted = in_use.refuse(connection, caller, "action", action_id, verb="disable", force=force)
    return catalogue.set_enabled(connection, action, enabled=enabled, actor=caller.key_id, **noted)


def delete(caller: Caller, action_id: str, *, force: bool = False, guard: Guard = None) -> None:
    """Delete an action; its executions stay, and those under way go on.

    Raises:
        NotFound: no such action. InUse: playbooks use it; ``force`` does it all the same.
    """
    in_use.catch_up(caller)
    with db.write() as connection:
        versioned.check(guard, connection)
        noted = in_use.refuse(connection, caller, "action", action_id, verb="delete", force=force)
        catalogue.delete(connection, caller.workspace_id, action_id, caller.key_id, **noted)


def _new_revision(caller: Caller, definition: dict[str, Any], hidden: dict[str, Any]) -> NewRevision:
    revision_id = new_id("rev")
    sealed = sealing.sealed_config(caller.workspace_id, revision_id, definition, hidden)
    return catalogue.new_revision(revision_id, definition, sealed, provider=provider_of(definition))


def does(caller: Caller, action: Action, wanted: Mapping[str, Any]) -> bool:
    """Whether an action does what a definition says, whatever its name."""
    kept, known = action.revision.definition, _known(caller, action)
    whole = _whole(wanted)
    present = {**kept, "config": sealing.restore_secrets(kept["config"], known)}
    return _doing(present) == _doing({**whole, "config": sealing.plain(whole["config"])})


def _doing(definition: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in definition.items() if name not in _SAID and value is not None}


def _next_version(old: Mapping[str, Any], new: Mapping[str, Any], *, secrets_changed: bool) -> str:
    if secrets_changed:  # the masked configs may be equal although the secrets differ
        new = {**new, "config": {**new["config"], "": "changed"}}
    return versioned.next_version(old, new, meaning.next_version)


def _small(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a definition unless it is too large to check.

    Raises:
        InvalidRequest: it is.
    """
    fault = size(definition).fault_of_action
    if fault:
        raise versioned.faulty("action", [Problem("", fault)])
    return definition


def _checked(wanted: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The definition in its stored form.

    It may keep the faults of an ``old`` one: an action whose config was stored under looser rules can still be renamed
    or disabled.

    Raises:
        InvalidRequest: it has others.
    """
    problems = problems_of(wanted)
    if problems and old is not None:
        kept = set(problems_of(old))
        problems = [problem for problem in problems if problem not in kept]
    if problems:
        raise versioned.faulty("action", problems)
    return _whole(wanted)


def _known(caller: Caller, action: Action) -> dict[str, Any]:
    """The secrets of an action's config by path.

    Secrets that cannot be opened are left out.
    """
    try:
        return sealing.opened_config(caller.workspace_id, action.revision)
    except SealBroken:
        return {}


def _parted(definition: dict[str, Any], kept: Mapping[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The definition with its secrets masked, and the secrets by path.

    ``kept`` are the secrets that masks in the definition stood for.
    """
    patterns = registry.executor(definition["executor"]).SECRETS
    config, hidden = sealing.extract_secrets(definition["config"], patterns, kept)
    return {**definition, "config": config}, hidden
