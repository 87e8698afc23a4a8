"""Every fault of a written condition, and its stored form.

A condition is one of: ``all`` or ``any`` of a list, ``not``, a ``field`` with operators, an ``expression`` in the
condition language of playbooks, ``state_seen`` and ``state_counter``, one over events
(``gateway.rules.event_conditions``), or ``semantic_match``.
"""

from collections.abc import Mapping
from typing import Any

from config.types import Json
from expressions import references
from expressions.conditions import evaluation
from expressions.conditions.syntax import read
from gateway import outcomes
from gateway.rules import domains, event_conditions, fields, operators, recorded
from gateway.semantics import texts
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions.fields import MAX_NAME_CHARACTERS, is_line, is_whole
from playbooks.definitions.parameter_values import is_number

#: conditions inside conditions, and parts of one ``all`` or ``any``
MAX_DEPTH = 10
MAX_PARTS = 200

#: the members that say what kind of condition it is
KINDS = (
    "all",
    "any",
    "not",
    "field",
    "expression",
    "state_seen",
    "state_counter",
    *event_conditions.KINDS,
    "semantic_match",
)
#: conditions of the field that this release does not have
_LATER = {
    "call": "write has_active_event, event_in_state or get_event_state as the condition; over values, expression:",
    "wasm_plugin": "there are no plugins in conditions: write an expression: instead",
}
_MEMBERS = {
    "field": ("field", *operators.OPERATORS, *operators.ALIASES),
    "state_seen": ("state_seen", "within_seconds"),
    "state_counter": ("state_counter", "within_seconds", *operators.NUMERIC),
    "get_event_state": ("get_event_state", *operators.OPERATORS),
    "semantic_match": ("semantic_match", "threshold", "text_field", "on_error"),
}
#: members of a comparison by meaning, and what it does where the provider fails
_OF_MEANING = ("topic", "threshold", "text_field", "on_error")
ON_ERROR = ("no_match", "match")
MAX_TOPIC_CHARACTERS = 500
#: where a comparison by meaning finds its text unless it says otherwise
WHOLE = "action.payload"
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


def _check_meaning(tree: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    """Its members stand in an object, or next to the topic as text."""
    given, place = tree["semantic_match"], below(pointer, "semantic_match")
    if not isinstance(given, dict):
        places = {"topic": place} | {member: below(pointer, member) for member in _OF_MEANING[1:]}
        given = {**tree, "topic": given}
    else:
        places = {member: below(place, member) for member in _OF_MEANING}
        _check_members_of_meaning(tree, given, pointer, faults)
    for member, where in places.items():
        if member in given and (detail := _fault_of_meaning(member, given[member])):
            faults.add(where, detail)


def _check_members_of_meaning(tree: Mapping[str, Any], given: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    place = below(pointer, "semantic_match")
    for member in tree:
        if member in _OF_MEANING:
            faults.add(below(pointer, member), "stands beside semantic_match, which is an object: put it in there")
    for member in given:
        if member not in _OF_MEANING:
            hint = faults.hint(member, _OF_MEANING)
            faults.add(below(place, shown(member)), f"'{shown(member)}' is no member of semantic_match{hint}")
    if "topic" not in given:
        faults.add(place, "needs its topic: what the text may be about, in some words")


def _fault_of_meaning(member: str, value: Any) -> str | None:
    if member == "topic":
        fits = is_line(value, MAX_TOPIC_CHARACTERS) and texts.has_words(value)
        return None if fits else f"must be a topic of 1 to {MAX_TOPIC_CHARACTERS} characters, with a word in it"
    if member == "threshold":
        fits = is_number(value) and 0 < value <= 1
        return None if fits else "must be a number above 0 and at most 1"
    if member == "on_error":
        return None if value in ON_ERROR else f"must be one of {', '.join(ON_ERROR)}"
    return _fault_of_text_field(value)


def _fault_of_text_field(value: Any) -> str | None:
    try:
        path = fields.parse(value, short=True)
    except fields.FieldError as error:
        return str(error)
    if fields.is_secret(path):
        return f"'{shown(value)}' is named like a credential, and the text goes to the provider of embeddings"
    if path[0] == "time":
        return "a time has no meaning that could be compared: use field: with an operator"
    return None


_CHECKS = {
    "field": _check_field,
    "expression": _check_expression,
    "state_seen": _check_recorded,
    "state_counter": _check_recorded,
    "semantic_match": _check_meaning,
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
    if "semantic_match" in tree:
        return _meaning(tree)
    form = dict(tree)
    if "field" in form:
        checks = {operators.ALIASES.get(name, name): value for name, value in form.items() if name != "field"}
        return {"field": fields.spelled(fields.parse(form["field"])), **checks}
    for kind in ("state_seen", "state_counter"):
        if isinstance(form.get(kind), str):
            form[kind] = {"action_type": form[kind]}
    return form


def _meaning(tree: Mapping[str, Any]) -> Json:
    given = tree["semantic_match"]
    form = dict(given) if isinstance(given, dict) else {**tree, "topic": given}
    form.pop("semantic_match", None)
    form["text_field"] = fields.spelled(fields.parse(form.get("text_field", WHOLE), short=True))
    form["on_error"] = form.get("on_error", ON_ERROR[0])
    return {"semantic_match": form}
