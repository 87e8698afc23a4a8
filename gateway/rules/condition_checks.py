"""Every fault of a written condition, and its stored form.

A condition is one of: ``all`` or ``any`` of a list, ``not``, a ``field`` with operators, an ``expression`` in the
condition language of playbooks, ``state_seen`` and ``state_counter``, or one over events
(``gateway.rules.event_conditions``).
"""

from collections.abc import Mapping
from typing import Any

from config.types import Json
from expressions import references
from expressions.conditions import evaluation
from expressions.conditions.syntax import read
from gateway import outcomes
from gateway.rules import domains, event_conditions, fields, operators, recorded
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions.fields import MAX_NAME_CHARACTERS, is_line, is_whole

#: conditions inside conditions, and parts of one ``all`` or ``any``
MAX_DEPTH = 10
MAX_PARTS = 200

#: the members that say what kind of condition it is
KINDS = ("all", "any", "not", "field", "expression", "state_seen", "state_counter", *event_conditions.KINDS)
#: conditions of the field that this release does not have
_LATER = {
    "semantic_match": "semantic_match comes with a later release",
    "call": "write has_active_event, event_in_state or get_event_state as the condition; over values, expression:",
    "wasm_plugin": "there are no plugins in conditions: write an expression: instead",
}
_MEMBERS = {
    "field": ("field", *operators.OPERATORS, *operators.ALIASES),
    "state_seen": ("state_seen", "within_seconds"),
    "state_counter": ("state_counter", "within_seconds", *operators.NUMERIC),
    "get_event_state": ("get_event_state", *operators.OPERATORS),
}
_WITHIN = f"must be a whole number of seconds from 1 to {recorded.MAX_WITHIN_SECONDS}"


def check(tree: Any, pointer: str, faults: Faults, depth: int = 1) -> None:
    """Report every fault of a condition."""
    if not isinstance(tree, dict):
        faults.add(pointer, f"must be an object with one of {', '.join(KINDS)}")
        return
    if depth > MAX_DEPTH:
        faults.add(pointer, f"conditions may be nested at most {MAX_DEPTH} deep: write an expression: instead")
        return
    kinds = [member for member in tree if member in KINDS]
    if len(kinds) != 1:
        _report_kind(tree, kinds, pointer, faults)
        return
    kind = kinds[0]
    for member in tree:
        allowed = _MEMBERS.get(kind, (kind,))
        if member not in allowed:
            hint = faults.hint(member, allowed)
            what = "operator" if kind == "field" else "member"
            faults.add(below(pointer, shown(member)), f"there is no {what} '{shown(member)}' here{hint}")
    if kind in ("all", "any"):
        _check_list(tree[kind], below(pointer, kind), faults, depth)
    elif kind == "not":
        check(tree["not"], below(pointer, "not"), faults, depth + 1)
    elif kind in event_conditions.KINDS:
        event_conditions.check(tree, kind, pointer, faults)
    else:
        _CHECKS[kind](tree, pointer, faults)


def _report_kind(tree: Mapping[str, Any], kinds: list[str], pointer: str, faults: Faults) -> None:
    if len(kinds) > 1:
        faults.add(pointer, f"{' and '.join(kinds)} stand in one condition: put them into a list under all or any")
        return
    for member, words in _LATER.items():
        if member in tree:
            faults.add(below(pointer, member), words)
            return
    if not tree:
        faults.add(pointer, f"the condition is empty: it needs one of {', '.join(KINDS)}")
        return
    first = next(iter(tree))
    hint = faults.hint(first, KINDS)
    faults.add(pointer, f"'{shown(first)}' is no condition: it needs one of {', '.join(KINDS)}{hint}")


def _check_list(parts: Any, pointer: str, faults: Faults, depth: int) -> None:
    if not isinstance(parts, list) or not 1 <= len(parts) <= MAX_PARTS:
        always = "; for a condition that is always true write field: action.tenant with exists: true"
        faults.add(pointer, f"must be a list of 1 to {MAX_PARTS} conditions{'' if parts else always}")
        return
    for number, part in enumerate(parts):
        if faults.full:
            return
        check(part, f"{pointer}/{number}", faults, depth + 1)


def _check_field(tree: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    path: fields.Path = ()
    try:
        path = fields.parse(tree["field"])
    except fields.FieldError as error:
        faults.add(below(pointer, "field"), str(error))
    found = [member for member in tree if member in operators.OPERATORS or member in operators.ALIASES]
    if not found and len(tree) == 1:
        faults.add(pointer, f"a field needs an operator: one of {', '.join(operators.OPERATORS)}")
    for spelling in found:
        operator = operators.ALIASES.get(spelling, spelling)
        if operator != spelling and operator in tree:
            faults.add(below(pointer, spelling), f"says the same as '{operator}', which is given too: keep one of them")
        detail = operators.fault(operator, tree[spelling])
        if detail:
            faults.add(below(pointer, spelling), f"'{spelling}' {detail}")
        elif detail := domains.fault(path, operator, tree[spelling]):
            faults.add(below(pointer, spelling), detail)


def _check_expression(tree: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    source = tree["expression"]
    place = below(pointer, "expression")
    if not isinstance(source, str) or not source.strip():
        faults.add(place, "must be a condition as text, such as action.payload.score > 7")
        return
    found = evaluation.check(source, {"action", "time"}, domains.KINDS, fields.SHORT)
    if not found:
        found = list(domains.of_expression(read(source).comparisons))
    for detail in found:
        faults.add(place, detail)
    for path in sorted(references.condition_paths(source)) if not found else ():
        if path[0] in ("action", "time") and len(path) > 1:
            try:
                fields.parse(".".join(path[:2]))
            except fields.FieldError as error:
                faults.add(place, str(error))


_READS_ALL = (
    "would read every record of the tenant at each decision: name an action_type, a provider, a rule,"
    f" or an outcome other than {recorded.USUAL}"
)


def _check_recorded(tree: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    kind = "state_seen" if "state_seen" in tree else "state_counter"
    place = below(pointer, kind)
    _check_wanted(tree[kind], place, faults)
    if "within_seconds" not in tree:
        faults.add(place, "needs within_seconds: how far back it looks")
    elif not is_whole(tree["within_seconds"], 1, recorded.MAX_WITHIN_SECONDS):
        faults.add(below(pointer, "within_seconds"), _WITHIN)
    if kind == "state_counter":
        _check_limits(tree, pointer, faults)


def _check_wanted(what: Any, place: str, faults: Faults) -> None:
    if not isinstance(what, dict) or not what:
        if not is_line(what, MAX_NAME_CHARACTERS):
            faults.add(place, f"must be an action type, or an object with some of {', '.join(recorded.MEMBERS)}")
        return
    for member, value in what.items():
        if member not in recorded.MEMBERS:
            hint = faults.hint(member, recorded.MEMBERS)
            faults.add(below(place, shown(member)), f"'{shown(member)}' is nothing that records are found by{hint}")
        elif not is_line(value, MAX_NAME_CHARACTERS):
            faults.add(below(place, member), f"must be text of 1 to {MAX_NAME_CHARACTERS} characters")
        elif member == "outcome" and value not in outcomes.NAMES:
            hint = faults.hint(value, outcomes.NAMES)
            faults.add(below(place, member), f"must be one of {', '.join(outcomes.NAMES)}{hint}")
    if what.keys() <= set(recorded.MEMBERS) and not recorded.is_found(what):
        faults.add(place, _READS_ALL)


def _check_limits(tree: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    found = [member for member in tree if member in operators.NUMERIC]
    if not found:
        faults.add(pointer, f"a counter needs an operator: one of {', '.join(operators.NUMERIC)}")
    for operator in found:
        if not is_whole(tree[operator], 0, recorded.MAX_COUNT):
            faults.add(below(pointer, operator), f"must be a whole number from 0 to {recorded.MAX_COUNT}")


_CHECKS = {
    "field": _check_field,
    "expression": _check_expression,
    "state_seen": _check_recorded,
    "state_counter": _check_recorded,
}


def leaves(tree: Any, kind: str) -> int:
    """The number of parts of a kind in a condition, faulty or not."""
    if isinstance(tree, dict):
        return (kind in tree) + sum(leaves(part, kind) for part in tree.values() if isinstance(part, dict | list))
    return sum(leaves(part, kind) for part in tree) if isinstance(tree, list) else 0


def normalise(tree: Mapping[str, Any]) -> Json:
    """The stored form of a condition that is free of faults."""
    if "not" in tree:
        return {"not": normalise(tree["not"])}
    for kind in ("all", "any"):
        if kind in tree:
            return {kind: [normalise(part) for part in tree[kind]]}
    for kind in event_conditions.KINDS:
        if kind in tree:
            return event_conditions.normalise(tree, kind)
    form = dict(tree)
    if "field" in form:
        checks = {operators.ALIASES.get(name, name): value for name, value in form.items() if name != "field"}
        return {"field": fields.spelled(fields.parse(form["field"])), **checks}
    for kind in ("state_seen", "state_counter"):
        if isinstance(form.get(kind), str):
            form[kind] = {"action_type": form[kind]}
    return form
