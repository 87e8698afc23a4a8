"""Whether each step is well-formed: its members, types and bounds.

Links and templates are checked later.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from expressions.template_syntax import has_markup
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions import asking, durations, fields
from playbooks.definitions.parameter_values import MAX_STRING_CHARACTERS, is_number
from playbooks.definitions.places import PlacedStep
from playbooks.definitions.step_types import (
    ALIASES,
    BRANCH_MEMBERS,
    COMMON,
    COMMON_ALIASES,
    LINK_WORDS,
    MAX_APPROVERS,
    MAX_BRANCHES,
    MAX_CASES,
    MAX_CONCURRENCY,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_ITERATIONS,
    MAX_OUTPUTS,
    MAX_WAIT_SECONDS,
    MEMBER_SYNONYMS,
    MEMBERS_IN_PARAMETERS,
    OPTIONAL,
    REQUIRED,
    RESERVED_NAMES,
    TYPE_SYNONYMS,
    TYPES,
)

_STEP_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_NEEDS = {
    "action_ref": "the id of the action to carry out",
    "playbook_ref": "the id of the playbook to run",
    "expression": "a condition such as \"finding.severity == 'critical'\"",
    "while": 'a condition such as "steps.poll.output.done != true"',
    "cases": 'an object such as {"critical": "block-ip"}',
    "branches": "a list of branches, each with its steps",
    "steps": "a list of steps",
    "items": "a list, or a template that gives one, such as {{ parameters.hosts }}",
    "seconds": "how long to wait, as seconds or as duration: '5m'",
}


def check_step(place: PlacedStep, faults: Faults) -> None:
    """Report faults in the members of one step.

    Its links and the steps inside it are checked elsewhere.
    """
    step, pointer = place.step, place.pointer
    _check_id(step, pointer, faults)
    kind = step.get("type")
    known = isinstance(kind, str) and kind in TYPES
    if kind is None:
        faults.add(below(pointer, "type"), f"a step needs its type: one of {', '.join(TYPES)}")
    elif not known:
        hint = faults.hint(kind, TYPES, TYPE_SYNONYMS)
        faults.add(below(pointer, "type"), f"there is no step type '{shown(kind)}': one of {', '.join(TYPES)}{hint}")
    else:
        _check_members(str(kind), step, pointer, faults)
    for member, value in step.items():
        rule = _RULES.get(member)
        fault = rule(value) if rule and (known or member in COMMON) else None
        if fault:
            faults.add(below(pointer, member), fault)
    if isinstance(step.get("retry"), dict):
        faults.extend(pointer, fields.check_retry(step["retry"]))
    _check_outputs(step.get("outputs", {}), below(pointer, "outputs"), faults)
    if kind == "approval":
        for member, text in asking.clashes(step, ("timeout_seconds", step.get("timeout_seconds"))):
            faults.add(below(pointer, member), text)
    if kind in ("parallel", "loop", "for_each"):
        _check_container(place, faults)


def _check_id(step: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    given = step.get("id")
    if given is None:
        faults.add(below(pointer, "id"), "a step needs an id, by which links and templates name it")
    elif not isinstance(given, str) or not _STEP_ID.fullmatch(given):
        faults.add(
            below(pointer, "id"), "must be 1 to 64 letters, digits, '_' and '-', beginning with a letter, digit or '_'"
        )
    elif given in LINK_WORDS:
        faults.add(below(pointer, "id"), f"'{given}' has a meaning of its own in links: choose another id")


def _check_members(kind: str, step: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    allowed = (*COMMON, *REQUIRED[kind], *OPTIONAL[kind])
    spellings = {**COMMON_ALIASES, **ALIASES.get(kind, {})}
    for member in REQUIRED[kind]:
        if member not in step:
            faults.add(below(pointer, member), f"a step of type {kind} needs {_NEEDS[member]}")
    for member in step:
        if member in allowed:
            continue
        if faults.full:
            return
        if member == "parameters" and kind in MEMBERS_IN_PARAMETERS:
            _check_leftover(kind, step, pointer, faults)
            continue
        if member in spellings:
            text = f"says the same as '{spellings[member]}', which is given too: keep one of them"
        else:
            text = f"'{shown(member)}' is no member of a step of type {kind}" + faults.hint(
                member, allowed, _synonyms(allowed)
            )
        faults.add(below(pointer, shown(member)), text)


def _check_leftover(kind: str, step: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    """Report what the parameters of a step have that did not become members of it."""
    allowed, left = (*REQUIRED[kind], *OPTIONAL[kind]), step["parameters"]
    for member in left if isinstance(left, dict) else ():
        if faults.full:
            return
        if member in allowed:
            text = f"says something else than '{member}' of the step: keep one of them"
        else:
            text = f"'{shown(member)}' is no member of a step of type {kind}" + faults.hint(member, allowed)
        faults.add(below(f"{pointer}/parameters", shown(member)), text)


def _synonyms(allowed: tuple[str, ...]) -> dict[str, str]:
    return {word: member for word, member in MEMBER_SYNONYMS.items() if member in allowed}


def _check_outputs(outputs: Any, pointer: str, faults: Faults) -> None:
    if not isinstance(outputs, dict) or len(outputs) > MAX_OUTPUTS:
        faults.add(
            pointer, f"must be an object of at most {MAX_OUTPUTS} names and the templates that give their values"
        )
        return
    for name in outputs:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            faults.add(below(pointer, shown(name)), _NAME_WORDS)


def _check_container(place: PlacedStep, faults: Faults) -> None:
    step, pointer = place.step, place.pointer
    if place.depth >= MAX_DEPTH:
        faults.add(
            pointer, f"blocks may be nested at most {MAX_DEPTH} deep: make the inner steps a playbook of their own"
        )
        return
    if step["type"] != "parallel":
        if "steps" in step:
            check_list(step["steps"], below(pointer, "steps"), faults)
        return
    branches = step.get("branches")
    if not isinstance(branches, list):
        return
    for number, branch in enumerate(branches[:MAX_BRANCHES]):
        if faults.full:
            return
        _check_branch(branch, f"{pointer}/branches/{number}", faults)


def _check_branch(branch: Any, pointer: str, faults: Faults) -> None:
    if not isinstance(branch, dict):
        faults.add(pointer, 'must be a list of steps or an object such as {"steps": [...]}')
        return
    if "type" in branch:
        faults.add(pointer, "a branch is a list of steps, also when there is only one: put it in brackets")
        return
    for member in branch:
        if member not in BRANCH_MEMBERS:
            hint = faults.hint(member, BRANCH_MEMBERS)
            faults.add(below(pointer, shown(member)), f"'{shown(member)}' is no member of a branch{hint}")
    if "name" in branch and not fields.is_line(branch["name"], fields.MAX_NAME_CHARACTERS):
        faults.add(f"{pointer}/name", _LINE)
    if branch.get("on_failure", "abort") not in ("abort", "continue"):
        faults.add(f"{pointer}/on_failure", "must be abort or continue")
    check_list(branch.get("steps"), f"{pointer}/steps", faults)


def check_list(steps: Any, pointer: str, faults: Faults) -> None:
    """Report a list of steps that is empty or has other items."""
    if not isinstance(steps, list) or not steps:
        faults.add(pointer, "must be a list of at least one step")
        return
    for index, step in enumerate(steps):
        if faults.full:
            return
        if not isinstance(step, dict):
            faults.add(f"{pointer}/{index}", "a step must be an object with an id and a type")


def _whole(least: int, most: int, unit: str = "") -> Callable[[Any], str | None]:
    fault = f"must be a whole number{unit} from {least} to {most}"
    return lambda value: None if fields.is_whole(value, least, most) else fault


def _wait(value: Any) -> str | None:
    if is_number(value) and 0 <= value <= MAX_WAIT_SECONDS:
        return None
    return f"must be a number of seconds from 0 to {MAX_WAIT_SECONDS}"


def _delay(value: Any) -> str | None:
    try:
        return _wait(durations.seconds(value))
    except ValueError as error:
        return str(error)


def _condition(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "must be a condition, as text"


def _reference(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return "must be an id, as text"
    return "must be an id as it stands: which one is meant is settled when a run begins" if has_markup(value) else None


def _items(value: Any) -> str | None:
    if isinstance(value, list):
        return None if len(value) <= MAX_ITEMS else f"may have at most {MAX_ITEMS} items"
    if isinstance(value, str) and has_markup(value):
        return None
    return "must be a list, or a template that gives one, such as {{ parameters.hosts }}"


def _variable(value: Any) -> str | None:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        return _NAME_WORDS
    if value in RESERVED_NAMES or value == "index":
        return f"'{value}' has a meaning of its own in templates: choose another name"
    return None


def _people(who: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        if isinstance(value, list) and len(value) <= MAX_APPROVERS:
            if all(fields.is_line(one, fields.MAX_NAME_CHARACTERS) for one in value):
                return None
            return f"must be strings: {who}"
        return f"must be a list of at most {MAX_APPROVERS} strings"

    return check


def _cases(value: Any) -> str | None:
    if not isinstance(value, dict) or not 1 <= len(value) <= MAX_CASES:
        return f"must be an object of 1 to {MAX_CASES} values and the steps they lead to"
    return None if all(isinstance(case, str) for case in value) else "the values must be text: write them in quotes"


def _branches(value: Any) -> str | None:
    if isinstance(value, list) and 1 <= len(value) <= MAX_BRANCHES:
        return None
    return f"must be a list of 1 to {MAX_BRANCHES} branches, each with its steps"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


_LINE = f"must be 1 to {fields.MAX_NAME_CHARACTERS} printable characters"
_NAME_WORDS = "must be a name of 1 to 64 letters, digits and underscores, not beginning with a digit"
_RULES: dict[str, Callable[[Any], str | None]] = {
    "name": lambda value: None if fields.is_line(value, fields.MAX_NAME_CHARACTERS) else _LINE,
    "description": lambda value: (
        None
        if fields.is_text(value, fields.MAX_DESCRIPTION_CHARACTERS)
        else f"must be text of at most {fields.MAX_DESCRIPTION_CHARACTERS} characters"
    ),
    "when": _condition,
    "expression": _condition,
    "while": _condition,
    "delay_seconds": _wait,
    "interval_seconds": _wait,
    "seconds": _delay,
    "timeout_seconds": _whole(1, MAX_WAIT_SECONDS, " of seconds"),
    "retry": lambda value: (
        None if isinstance(value, dict) else "must be an object with max_attempts and backoff_seconds"
    ),
    "continue_on_error": _flag,
    "not_by_starter": _flag,
    "action_ref": _reference,
    "playbook_ref": _reference,
    "parameters": lambda value: None if isinstance(value, dict) else "must be an object of names and values",
    "target": lambda value: None if fields.is_text(value, MAX_STRING_CHARACTERS) else "must be text or a template",
    "message": lambda value: None if fields.is_text(value, MAX_STRING_CHARACTERS) else "must be text or a template",
    "cases": _cases,
    "branches": _branches,
    "items": _items,
    "as": _variable,
    "max_concurrency": _whole(1, MAX_CONCURRENCY),
    "max_iterations": _whole(1, MAX_ITERATIONS),
    "approvers": _people("the ids or names of the keys that may decide, or roles such as role:admin"),
    "audience": _people("the names of those whom the question is for"),
    **asking.RULES,
}
