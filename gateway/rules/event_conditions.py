"""Conditions over events: ``has_active_event``, ``event_in_state`` and ``get_event_state``.

A rule that suppresses under such a condition is an inhibition: while the cluster is down, its hosts need no alerts of
their own. The store behind ``Recorded`` answers from the rows of events, each question by an index; it is asked last,
when everything that is known in memory holds. Events are those of the same tenant and, unless the condition names
another, of the same namespace.
"""

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

from config.types import Json
from gateway.facts import Facts
from gateway.rules import fields, operators
from gateway.rules.recorded import ActiveEvent, EventState, Recorded
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions.fields import MAX_NAME_CHARACTERS, is_line

#: labels that an event and an execution must have alike, and states of one condition
MAX_EQUAL, MAX_STATES = 10, 100
MAX_FINGERPRINT_CHARACTERS = 1024
KINDS = ("has_active_event", "event_in_state", "get_event_state")
_WHICH = ("fingerprint", "fingerprint_field", "namespace")
_MEMBERS = {
    "has_active_event": ("type", "equal", "namespace"),
    "event_in_state": (*_WHICH, "state"),
    "get_event_state": _WHICH,
}
#: in text form: the member that the text stands for
_SHORT = {"has_active_event": "type", "event_in_state": "state", "get_event_state": "fingerprint"}


def check(tree: Mapping[str, Any], kind: str, pointer: str, faults: Faults) -> None:
    """Report every fault of a condition over events."""
    given, place = tree[kind], below(pointer, kind)
    if isinstance(given, str):
        given = {_SHORT[kind]: given}
    if not isinstance(given, dict):
        faults.add(place, f"must be text or an object with some of {', '.join(_MEMBERS[kind])}")
        return
    for member, value in given.items():
        where = below(place, shown(member))
        if member not in _MEMBERS[kind]:
            hint = faults.hint(member, _MEMBERS[kind])
            faults.add(where, f"'{shown(member)}' is no member of {kind}{hint}")
        elif detail := _RULES[member](value):
            faults.add(where, detail)
    if "fingerprint" in given and "fingerprint_field" in given:
        faults.add(f"{place}/fingerprint_field", "stands beside fingerprint: keep one of them")
    for member in ("type", "state"):
        if member in _MEMBERS[kind] and member not in given:
            faults.add(f"{place}/{member}", f"{kind} needs it")
    if kind == "get_event_state":
        _check_operators(tree, pointer, faults)


def _check_operators(tree: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    found = [member for member in tree if member in operators.OPERATORS]
    if not found:
        faults.add(pointer, f"a state needs an operator: one of {', '.join(operators.OPERATORS)}")
    for operator in found:
        if detail := operators.fault(operator, tree[operator]):
            faults.add(below(pointer, operator), f"'{operator}' {detail}")


def _line(value: Any) -> str | None:
    return None if is_line(value, MAX_NAME_CHARACTERS) else f"must be text of 1 to {MAX_NAME_CHARACTERS} characters"


def _lines(value: Any, most: int, what: str) -> str | None:
    if isinstance(value, list) and 1 <= len(value) <= most and not any(map(_line, value)):
        return None
    return f"must be a list of 1 to {most} {what}"


def _fingerprint(value: Any) -> str | None:
    fits = is_line(value, MAX_FINGERPRINT_CHARACTERS)
    return None if fits else f"must be text of 1 to {MAX_FINGERPRINT_CHARACTERS} printable characters"


def _field(value: Any) -> str | None:
    try:
        fields.parse(value, short=True)
    except fields.FieldError as error:
        return str(error)
    return None


_RULES: dict[str, Callable[[Any], str | None]] = {
    "type": _line,
    "namespace": _line,
    "equal": lambda value: _lines(value, MAX_EQUAL, "labels"),
    "state": lambda value: _lines(value, MAX_STATES, "states") if isinstance(value, list) else _line(value),
    "fingerprint": _fingerprint,
    "fingerprint_field": _field,
}


def normalise(tree: Mapping[str, Any], kind: str) -> Json:
    """The stored form of a condition over events that is free of faults."""
    given = tree[kind]
    form = dict(given) if isinstance(given, dict) else {_SHORT[kind]: given}
    if isinstance(form.get("state"), str):
        form["state"] = [form["state"]]
    if "fingerprint_field" in form:
        form["fingerprint_field"] = fields.spelled(fields.parse(form["fingerprint_field"], short=True))
    return {**tree, kind: form}


Test = Callable[[Facts, Recorded], bool]


def compiled(tree: Mapping[str, Any], kind: str) -> tuple[str, Test]:
    """The text and the test of a condition in its stored form."""
    form = tree[kind]
    if kind == "has_active_event":
        return _active(form)
    which, found = _state_of(form)
    if kind == "event_in_state":
        wanted = frozenset(form["state"])
        return f"{which} is in {', '.join(form['state'])}", lambda facts, seen: found(facts, seen) in wanted
    tests = [(name, value) for name, value in tree.items() if name in operators.OPERATORS]
    passes = [operators.test(name, value) for name, value in tests]

    def test(facts: Facts, seen: Recorded) -> bool:
        state = found(facts, seen)
        return all(one(state) for one in passes)

    return f"the state of {which} " + " and ".join(f"{name} {value}" for name, value in tests), test


def _active(form: Mapping[str, Any]) -> tuple[str, Test]:
    kind, equal, namespace = form["type"], form.get("equal", ()), form.get("namespace")

    def test(facts: Facts, seen: Recorded) -> bool:
        labels = tuple((name, value) for name in equal if isinstance(value := facts.metadata.get(name), str))
        if len(labels) < len(equal):
            return False  # what it does not have is equal to nothing
        this = ActiveEvent(facts.tenant, namespace or facts.namespace, kind, labels, facts.fingerprint)
        return seen.is_active(this)

    return f"an event {kind} is active" + (f" with the same {', '.join(equal)}" if equal else ""), test


def _state_of(form: Mapping[str, Any]) -> tuple[str, Callable[[Facts, Recorded], str | None]]:
    """Which event a condition is about, in words; and its state."""
    namespace, fixed = form.get("namespace"), form.get("fingerprint")
    path = form.get("fingerprint_field", "action.fingerprint")
    read = fields.reader(fields.parse(path), UTC)

    def state(facts: Facts, seen: Recorded) -> str | None:
        fingerprint = fixed if fixed is not None else read(facts)
        if not isinstance(fingerprint, str) or len(fingerprint) > MAX_FINGERPRINT_CHARACTERS:
            return None
        return seen.state(EventState(facts.tenant, namespace or facts.namespace, fingerprint))

    return f"the event {fixed!r}" if fixed is not None else f"the event of {path}", state
