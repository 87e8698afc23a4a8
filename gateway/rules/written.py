"""A rule as it is written: its faults and its stored form.

Members: ``name``, ``condition``, ``action``, and where given ``priority`` (lower first), ``enabled``, ``description``,
``metadata`` (notes), ``timezone`` (of ``time.*``), ``origins``, ``tenants``, ``mode``, ``continue``, and the calendars
``active_time_intervals`` and ``mute_time_intervals``.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from config.types import Json
from gateway import grants
from gateway.facts import GATEWAY_ORIGINS, ORIGINS
from gateway.rules import condition_checks, effects
from gateway.rules.effects import Names
from gateway.verdicts import CONTINUING, STOPPING, WHERE, Chain, Group, RequireApproval, StateMachine
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions.fields import (
    MAX_DESCRIPTION_CHARACTERS,
    MAX_NAME_CHARACTERS,
    is_line,
    is_text,
    is_whole,
)
from playbooks.definitions.schedules import check_timezone

MEMBERS = (
    "name",
    "priority",
    "enabled",
    "description",
    "condition",
    "action",
    "metadata",
    "timezone",
    "origins",
    "tenants",
    "mode",
    "continue",
    "active_time_intervals",
    "mute_time_intervals",
)
#: members that name calendars: the rule mutes what it decides about outside of the first, and inside the second
CALENDARS = ACTIVE, MUTE = ("active_time_intervals", "mute_time_intervals")
MAX_CALENDARS = 20
MODES = ("enforce", "shadow")
#: what the gateway sends of its own accord: notices of approvals and silences, anchors of the audit trail
_OWN = frozenset({"approval", "audit", "silence"})
#: the origins of what cannot wait for an approval: scheduled runs, and what is sent of its own accord
NEVER_ASKED = frozenset({"recurring", *_OWN})
#: the origins of what may move an event: what an event itself sends never does
MOVING = frozenset({"dispatch"})
#: the origins of what can be gathered: dispatches that make no run and no notice
GATHERED = frozenset({"dispatch", "event"})
_ASKED = (
    frozenset(ORIGINS) - NEVER_ASKED,
    "what has the origin {0} never waits for an approval: leave it out of origins",
)
#: kind of a rule → the origins that it may name, and what is said of others
_ORIGINS_OF: dict[Any, tuple[AbstractSet[str], str]] = {
    RequireApproval.kind: _ASKED,
    "request_approval": _ASKED,
    Group.kind: (GATHERED, "groups gather dispatches: leave {0} out of origins"),
    StateMachine.kind: (MOVING, "only a dispatch moves an event: leave {0} out of origins"),
    Chain.kind: (
        frozenset(ORIGINS) - {"chain"},
        "a chain is never started from inside a chain: leave chain out of origins",
    ),
}
MAX_PRIORITY = 1_000_000


def check(rule: Any, pointer: str, names: Names, faults: Faults) -> None:
    """Report every fault of a rule; ``names`` are what it may refer to."""
    if not isinstance(rule, dict):
        faults.add(pointer, "a rule must be an object with a name, a condition and an action")
        return
    for member in rule:
        if member not in MEMBERS:
            hint = faults.hint(member, MEMBERS)
            faults.add(below(pointer, shown(member)), f"'{shown(member)}' is no member of a rule{hint}")
    given = {member: value for member, value in rule.items() if value is not None}
    _check_plain(given, pointer, faults)
    for member in ("condition", "action"):
        if member not in given:
            faults.add(below(pointer, member), f"a rule needs its {member}")
    if "condition" in given:
        condition_checks.check(given["condition"], below(pointer, "condition"), faults)
    if "action" in given:
        effects.check(given["action"], below(pointer, "action"), names, faults)
    _check_calendars(given, pointer, names, faults)
    _check_continue(given, pointer, faults)
    _check_origins(given, pointer, faults)


def _check_plain(given: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    if not is_line(given.get("name"), MAX_NAME_CHARACTERS):
        words = f"a name of 1 to {MAX_NAME_CHARACTERS} printable characters"
        faults.add(below(pointer, "name"), f"must be {words}" if "name" in given else f"a rule needs {words}")
    if not is_whole(given.get("priority", 0), -MAX_PRIORITY, MAX_PRIORITY):
        faults.add(below(pointer, "priority"), f"must be a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}")
    for switch in ("enabled", "continue"):
        if not isinstance(given.get(switch, False), bool):
            faults.add(below(pointer, switch), "must be true or false")
    if not is_text(given.get("description", ""), MAX_DESCRIPTION_CHARACTERS):
        words = f"must be text of at most {MAX_DESCRIPTION_CHARACTERS} characters"
        faults.add(below(pointer, "description"), words)
    metadata = given.get("metadata", {})
    if not isinstance(metadata, dict) or not all(is_text(one, MAX_DESCRIPTION_CHARACTERS) for one in metadata.values()):
        faults.add(below(pointer, "metadata"), "must be an object of names and texts")
    if given.get("mode", "enforce") not in MODES:
        hint = faults.hint(given["mode"], MODES)
        faults.add(below(pointer, "mode"), f"must be one of {', '.join(MODES)}{hint}")
    if "timezone" in given and (detail := check_timezone(given["timezone"])):
        faults.add(below(pointer, "timezone"), detail)
    if "tenants" in given:
        faults.extend(below(pointer, "tenants"), grants.check_patterns(given["tenants"]))


def _check_calendars(given: Mapping[str, Any], pointer: str, names: Names, faults: Faults) -> None:
    for member in CALENDARS:
        if member not in given:
            continue
        place = below(pointer, member)
        if not isinstance(given[member], list) or not 1 <= len(given[member]) <= MAX_CALENDARS:
            faults.add(place, f"must be a list of 1 to {MAX_CALENDARS} names of calendars")
            continue
        for number, name in enumerate(given[member]):
            if names.calendars is None and isinstance(name, str):
                continue
            known = names.calendars or frozenset()
            if not isinstance(name, str) or name not in known:
                hint = faults.hint(name, sorted(known))
                faults.add(f"{place}/{number}", f"there is no calendar '{shown(name)}'{hint}")
        if _kind(given) in STOPPING | {StateMachine.kind}:
            words = f"{_kind(given)} lets nothing out that could be muted: use time.* in the condition"
            faults.add(place, words)


def calendars_of(form: Mapping[str, Any]) -> tuple[str, ...]:
    """The calendars that a rule in its stored form names."""
    return tuple(name for member in CALENDARS for name in form.get(member, ()))


def _kind(given: Mapping[str, Any]) -> Any:
    action = given.get("action")
    return action.get("type") if isinstance(action, dict) else None


def _check_continue(given: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    kind = _kind(given)
    if given.get("continue") is True and kind in effects.TYPES and kind not in CONTINUING:
        words = ", ".join(sorted(CONTINUING))
        faults.add(below(pointer, "continue"), f"after {kind} no further rule is asked: continue goes with {words}")


def _check_origins(given: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    origins, place = given.get("origins"), below(pointer, "origins")
    if origins is None:
        return
    if not isinstance(origins, list) or not origins:
        faults.add(place, f"must be a list of some of {', '.join(ORIGINS)}")
        return
    for number, origin in enumerate(origins[: len(ORIGINS) + 1]):
        if origin not in ORIGINS:
            hint = faults.hint(origin, ORIGINS)
            faults.add(f"{place}/{number}", f"must be one of {', '.join(ORIGINS)}{hint}")
    kind, named = _kind(given), {one for one in origins if isinstance(one, str) and one in ORIGINS}
    possible, words = _ORIGINS_OF.get(kind, (named, ""))
    for origin in sorted(named - possible):
        faults.add(place, words.format(origin))


def concerned(form: Mapping[str, Any]) -> frozenset[str]:
    """The origins that a rule in its stored form concerns.

    Where it names none, effects that say where an execution goes concern the gateway's own origins: a rule that is
    copied from elsewhere never reroutes a containment step by accident, nor what the gateway sends of its own accord.
    """
    if form["origins"] is not None:
        return frozenset(form["origins"])
    kind = form["action"]["type"]
    if kind == RequireApproval.kind:
        return frozenset(ORIGINS) - NEVER_ASKED
    if kind == StateMachine.kind:
        return MOVING
    if kind == Group.kind:
        return frozenset({"dispatch"})
    if kind == Chain.kind:
        return GATEWAY_ORIGINS - {"chain", *_OWN}
    return GATEWAY_ORIGINS - _OWN if kind in WHERE else frozenset(ORIGINS)


def normalise(rule: Mapping[str, Any], file: str, position: int) -> Json:
    """The stored form of a rule that is free of faults."""
    given = {member: value for member, value in rule.items() if value is not None}
    muting = {member: given[member] for member in CALENDARS if member in given}  # others have the form they always had
    return {
        **muting,
        "name": given["name"],
        "priority": given.get("priority", 0),
        "enabled": given.get("enabled", True),
        "description": given.get("description"),
        "condition": condition_checks.normalise(given["condition"]),
        "action": effects.normalise(given["action"]),
        "metadata": given.get("metadata", {}),
        "timezone": given.get("timezone"),
        "origins": sorted(set(given["origins"])) if "origins" in given else None,
        "tenants": given.get("tenants"),
        "mode": given.get("mode", "enforce"),
        "continue": given.get("continue", False),
        "file": file,
        "position": position,
    }
