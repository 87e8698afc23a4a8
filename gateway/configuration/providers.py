"""The file ``providers.yaml``: named providers, each checked and turned into a definition."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import Problem
from config.types import Json
from gateway.configuration import environment, secrets
from gateway.configuration.provider_kinds import ALIASES, CHECKING, EXECUTORS, KINDS, PARAMETERS, Kind
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions import actions
from playbooks.definitions.fields import MAX_DESCRIPTION_CHARACTERS, is_text

MAX_PROVIDERS = 1000
QUEUES = ("urgent", "steps", "notifications", "bulk", "slow", "scripts")
_COMMON = ("kind", "description", "enabled", "timeout_seconds", "retry", "idempotent", "queue")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_NAME_WORDS = "a provider's name has 1 to 128 letters, digits, '.', '_' and '-', and begins with a letter or digit"
DEFAULT_TIMEOUT_SECONDS = 30

#: what an executor says about a config: ``check(executor, config, known names)``
ConfigCheck = Callable[[str, Mapping[str, Any], set[str]], list[Problem]]


def no_check(_executor: str, _config: Mapping[str, Any], _names: set[str]) -> list[Problem]:
    """No check by executors, where there are none."""
    return []


@dataclass(frozen=True)
class Surroundings:
    """What the configuration is checked against: the environment, and the executors."""

    environment: Mapping[str, str]
    check_config: ConfigCheck = no_check
    #: the calendars that requests have made
    calendars: frozenset[str] = frozenset()


def check(providers: Any, pointer: str, around: Surroundings, faults: Faults) -> dict[str, Json]:
    """Report every fault of all providers.

    The result has the definition of each provider by name, of a faulty one only its parameters: so that whatever refers
    to it is not reported too.
    """
    defined: dict[str, Json] = {}
    if not isinstance(providers, dict) or len(providers) > MAX_PROVIDERS:
        faults.add(pointer, f"must be an object of at most {MAX_PROVIDERS} names and their providers")
        return defined
    for name, entry in providers.items():
        defined[name] = {"parameters": [dict(parameter) for parameter in PARAMETERS]}
        if faults.full:
            continue
        found = len(faults.problems)
        place = below(pointer, shown(name))
        if not _NAME.fullmatch(name):
            faults.add(place, _NAME_WORDS)
        _check_entry(name, entry, place, around, faults)
        if len(faults.problems) == found:
            defined[name] = definition(name, entry)
    return defined


def _check_entry(name: str, entry: Any, pointer: str, around: Surroundings, faults: Faults) -> None:
    if not isinstance(entry, dict):
        faults.add(pointer, "a provider must be an object with its kind")
        return
    kind = _kind(entry, pointer, faults)
    if kind is None:
        return
    found = len(faults.problems)
    _check_members(entry, kind, pointer, faults)
    faults.extend(pointer, environment.check(entry, around.environment))
    if len(faults.problems) > found:
        return
    made = definition(name, entry)
    for problem in actions.check(made, executors=(*actions.EXECUTORS, *EXECUTORS)):
        faults.add(pointer + problem.pointer, problem.detail)
    if made["executor"] in (*actions.EXECUTORS, *CHECKING):
        config = environment.filled_in(secrets.plain(made["config"]), around.environment)
        for problem in around.check_config(made["executor"], config, actions.known_names(made)):
            faults.add(pointer + _own_place(problem.pointer, kind), problem.detail)


def _own_place(pointer: str, kind: Kind) -> str:
    """The member of the entry that a place in the config comes from."""
    member = pointer.partition("/")[2].partition("/")[0]
    return pointer if member in kind.members else ""


def _kind(entry: Mapping[str, Any], pointer: str, faults: Faults) -> Kind | None:
    given = entry.get("kind")
    words = ", ".join(KINDS)
    place = below(pointer, "kind")
    if given is None:
        faults.add(place, f"a provider needs its kind: one of {words}")
    elif not isinstance(given, str) or ALIASES.get(given, given) not in KINDS:
        faults.add(place, f"there is no kind '{shown(given)}': one of {words}{faults.hint(given, KINDS)}")
    else:
        return KINDS[ALIASES.get(given, given)]
    return None


def _check_members(entry: Mapping[str, Any], kind: Kind, pointer: str, faults: Faults) -> None:
    allowed = (*_COMMON, *kind.members)
    for member in kind.required:
        if entry.get(member) in (None, ""):
            faults.add(below(pointer, member), f"a provider of kind {entry['kind']} needs {member}")
    for member, value in entry.items():
        place = below(pointer, shown(member))
        if member not in allowed:
            hint = faults.hint(member, allowed)
            faults.add(place, f"'{shown(member)}' is no member of a provider of kind {entry['kind']}{hint}")
        elif (rule := kind.rules.get(member)) and value is not None and (detail := rule(value)):
            faults.add(place, f"'{member}' {detail}")
    if not is_text(entry.get("description") or "", MAX_DESCRIPTION_CHARACTERS):
        faults.add(below(pointer, "description"), f"must be text of at most {MAX_DESCRIPTION_CHARACTERS} characters")
    queue = entry.get("queue")
    if queue is not None and queue not in QUEUES:
        faults.add(below(pointer, "queue"), f"must be one of {', '.join(QUEUES)}{faults.hint(queue, QUEUES)}")
    if queue is not None and queue != "scripts" and kind.executor == "local":
        faults.add(below(pointer, "queue"), "scripts run on the queue scripts only, whose processes can be killed")


def definition(name: str, entry: Mapping[str, Any]) -> Json:
    """The definition of a provider that is free of faults, in the stored form of an action.

    Credentials are marked for sealing, references to the environment stay as they are.
    """
    word = ALIASES.get(entry["kind"], entry["kind"])
    kind = KINDS[word]
    given = {member: entry[member] for member in kind.members if entry.get(member) is not None}
    config = kind.config(given)
    made: Json = {
        "id": name,
        "name": name,
        "description": entry.get("description") or "",
        "type": kind.type,
        "executor": kind.executor,
        "config": config,
        "parameters": [dict(parameter) for parameter in PARAMETERS],
        "timeout_seconds": entry.get("timeout_seconds") or DEFAULT_TIMEOUT_SECONDS,
        "idempotent": kind.idempotent if entry.get("idempotent") is None else entry["idempotent"],
        "enabled": True if entry.get("enabled") is None else entry["enabled"],
        "tags": ["provider", word],
    }
    if entry.get("retry") is not None:
        made["retry"] = entry["retry"]
    if entry.get("queue") is not None:
        made["queue"] = entry["queue"]
    form = actions.normalise(made)
    form["config"] = secrets.marked(form["config"], kind.secrets)
    return form


def stored(name: str, entry: Mapping[str, Any]) -> Json:
    """A provider as the generation stores it."""
    made = definition(name, entry)
    return {
        "kind": ALIASES.get(entry["kind"], entry["kind"]),
        "definition": made,
        "environment": sorted(environment.references(made["config"])),
    }
