"""The ``action`` of a rule: its faults, its stored form, and the effect that it becomes."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from config.types import Json
from expressions.limits import MAX_DEPTH
from gateway import verdicts
from gateway.rules import approval_checks, fields, group_checks
from gateway.verdicts import Effect
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions.fields import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, is_line, is_whole

#: 30 days: how long an equal execution may be refused
MAX_TTL_SECONDS = 2_592_000
DEFAULT_TTL_SECONDS = 300
MAX_COUNT = 1_000_000
#: a week: the longest window, wait and delay
MAX_SECONDS = 604_800
MAX_FIELDS = 10

#: type → the members that it must have, and those that it may have, besides type and reason
_REQUIRED: dict[str, tuple[str, ...]] = {
    "allow": (),
    "deny": (),
    "suppress": (),
    "deduplicate": (),
    "throttle": ("max_count", "window_seconds"),
    "reroute": ("target_provider",),
    "modify": ("changes",),
    "chain": ("chain_name",),
    "schedule": ("delay_seconds",),
    "require_approval": (),
    "state_machine": ("state_machine",),
    "group": group_checks.REQUIRED,
}
_OPTIONAL: dict[str, tuple[str, ...]] = {
    "deduplicate": ("ttl_seconds", "key_fields"),
    "throttle": ("by", "distinct", "on_excess", "max_wait_seconds", *approval_checks.MEMBERS),
    "require_approval": approval_checks.MEMBERS,
    "state_machine": ("fingerprint_fields",),
    "group": group_checks.OPTIONAL,
}
TYPES = tuple(_REQUIRED)
#: other spelling → member
_ALIASES = {"message": "reason", "chain": "chain_name"}
#: other spelling → type
_TYPE_ALIASES = {"request_approval": "require_approval"}
#: types that the field has and a later release brings
_LATER = {
    "llm_guardrail": "language models in rules",
    "llm": "language models in rules",
}


@dataclass(frozen=True)
class Names:
    """The names that rules may refer to; None where they are not known."""

    providers: AbstractSet[str] | None = None
    chains: AbstractSet[str] | None = None
    machines: AbstractSet[str] | None = None
    calendars: AbstractSet[str] | None = None


def check(action: Any, pointer: str, names: Names, faults: Faults) -> None:
    """Report every fault of the action of a rule."""
    if not isinstance(action, dict) or not isinstance(action.get("type"), str):
        faults.add(pointer, f"must be an object with its type: one of {', '.join(TYPES)}")
        return
    kind = _TYPE_ALIASES.get(action["type"], action["type"])
    place = below(pointer, "type")
    if kind in _LATER:
        faults.add(place, f"'{kind}' is not available: {_LATER[kind]} come with a later release")
        return
    if kind not in _REQUIRED:
        faults.add(place, f"there is no action '{shown(kind)}': {', '.join(TYPES)}{faults.hint(kind, TYPES)}")
        return
    given = _spelled(action, pointer, faults)
    allowed = ("type", "reason", *_REQUIRED[kind], *_OPTIONAL.get(kind, ()))
    for member in _REQUIRED[kind]:
        if member not in given:
            faults.add(below(pointer, member), f"an action of type {kind} needs {member}")
    for member, value in given.items():
        if member not in allowed:
            hint = faults.hint(member, allowed)
            faults.add(below(pointer, shown(member)), f"'{shown(member)}' is no member of {kind}{hint}")
            continue
        detail = _RULES[member](value) if member in _RULES else None
        if detail:
            faults.add(below(pointer, member), f"'{member}' {detail}")
    _check_together(given, names, pointer, faults)


def _check_together(given: Mapping[str, Any], names: Names, pointer: str, faults: Faults) -> None:
    """Report what does not go together, and names that there are not."""
    if given["type"] == "throttle":
        _check_wait(given, pointer, faults)
    approval_checks.check(given, given["type"], names.providers, pointer, faults)
    _check_reference(given, "target_provider", names.providers, pointer, faults)
    _check_reference(given, "notify_provider", names.providers, pointer, faults)
    _check_reference(given, "chain_name", names.chains, pointer, faults)
    _check_reference(given, "state_machine", names.machines, pointer, faults)


def _spelled(action: Mapping[str, Any], pointer: str, faults: Faults) -> Json:
    """The action in its canonical spelling."""
    given = {member: value for member, value in action.items() if value is not None}
    given["type"] = _TYPE_ALIASES.get(given["type"], given["type"])
    for alias, member in approval_checks.ALIASES.items() if approval_checks.asks(given) else _ALIASES.items():
        if alias in given and member in given:
            faults.add(below(pointer, alias), f"says the same as '{member}', which is given too: keep one of them")
        if alias in given:
            given.setdefault(member, given.pop(alias))
    return given


def _check_wait(given: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    if given.get("on_excess") == "wait" and "max_wait_seconds" not in given:
        faults.add(below(pointer, "max_wait_seconds"), "with on_excess wait, max_wait_seconds says how long at most")
    if "max_wait_seconds" in given and given.get("on_excess") != "wait":
        faults.add(below(pointer, "max_wait_seconds"), "counts only with on_excess: wait")
    if given.get("on_excess") == "wait" and "distinct" in given:
        faults.add(below(pointer, "on_excess"), "a limit of different values can only reject: they do not become fewer")


def _check_reference(
    given: Mapping[str, Any], member: str, known: AbstractSet[str] | None, pointer: str, faults: Faults
) -> None:
    name = given.get(member)
    if isinstance(name, str) and known is not None and name not in known:
        what = {"chain_name": "chain", "state_machine": "state machine"}.get(member, "provider")
        faults.add(below(pointer, member), f"there is no {what} '{shown(name)}'{faults.hint(name, sorted(known))}")


def _whole(least: int, most: int, unit: str = "") -> Callable[[Any], str | None]:
    words = f"must be a whole number{unit} from {least} to {most}"
    return lambda value: None if is_whole(value, least, most) else words


def _name(value: Any) -> str | None:
    return None if is_line(value, MAX_NAME_CHARACTERS) else f"must be a name of 1 to {MAX_NAME_CHARACTERS} characters"


def _field(value: Any) -> str | None:
    try:
        path = fields.parse(value, short=True)
    except fields.FieldError as error:
        return str(error)
    return "cannot be a time: what is compared must stay the same" if path[0] == "time" else None


def _fields(value: Any) -> str | None:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_FIELDS:
        return f"must be a list of 1 to {MAX_FIELDS} fields such as action.payload.host"
    return next((detail for detail in map(_field, value) if detail), None)


def _changes(value: Any) -> str | None:
    if not isinstance(value, dict) or not value:
        return "must be an object of members and their new values; null removes a member"
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return None
    return f"must not be nested more than {MAX_DEPTH} deep"


_RULES: dict[str, Callable[[Any], str | None]] = {
    "reason": lambda value: (
        None
        if is_line(value, MAX_DESCRIPTION_CHARACTERS)
        else f"must be one line of 1 to {MAX_DESCRIPTION_CHARACTERS} characters"
    ),
    "ttl_seconds": _whole(1, MAX_TTL_SECONDS, " of seconds"),
    "key_fields": _fields,
    "max_count": _whole(1, MAX_COUNT),
    "window_seconds": _whole(1, MAX_SECONDS, " of seconds"),
    "by": lambda value: _fields(value) if isinstance(value, list) else _field(value),
    "distinct": _field,
    "on_excess": lambda value: (
        None if value in ("reject", "wait", "require_approval") else "must be reject, wait or require_approval"
    ),
    "max_wait_seconds": _whole(1, MAX_SECONDS, " of seconds"),
    "target_provider": _name,
    "changes": _changes,
    "chain_name": _name,
    "delay_seconds": _whole(1, MAX_SECONDS, " of seconds"),
    "state_machine": _name,
    "fingerprint_fields": _fields,
    **approval_checks.RULES,
    **group_checks.RULES,
}


def normalise(action: Mapping[str, Any]) -> Json:
    """The stored form of an action that is free of faults."""
    form = _spelled(action, "", Faults())
    if form["type"] == "deduplicate":
        form.setdefault("ttl_seconds", DEFAULT_TTL_SECONDS)
    for member in ("key_fields", "by", "group_by", "fingerprint_fields"):
        if member in form:
            given = form[member] if isinstance(form[member], list) else [form[member]]
            form[member] = [fields.spelled(fields.parse(one, short=True)) for one in given]
    if "distinct" in form:
        form["distinct"] = fields.spelled(fields.parse(form["distinct"], short=True))
    return form


def effect(form: Mapping[str, Any]) -> Effect:
    """The effect of an action in its stored form."""
    kind: Any = _KINDS[form["type"]]
    members = {name: value for name, value in form.items() if name not in ("type", "reason")}
    for name in ("key_fields", "by", "approvers", "group_by", "flush_on", "fingerprint_fields"):
        if name in members:
            members[name] = tuple(members[name])
    if kind is verdicts.Throttle and form.get("on_excess") == "require_approval":
        asked = {name: members.pop(name) for name in approval_checks.MEMBERS if name in members}
        members["approval"] = verdicts.RequireApproval(**asked)
    made: Effect = kind(**members)
    return made


_KINDS = {
    kind.kind: kind
    for kind in (
        verdicts.Allow,
        verdicts.Deny,
        verdicts.Suppress,
        verdicts.Deduplicate,
        verdicts.Throttle,
        verdicts.Reroute,
        verdicts.Modify,
        verdicts.Chain,
        verdicts.Schedule,
        verdicts.RequireApproval,
        verdicts.StateMachine,
        verdicts.Group,
    )
}
