"""The declared parameters of an action or a playbook.

On write, ``check_definitions`` reports every fault of the declarations and ``normalise`` turns them into the stored
form. On start, ``resolve`` checks the given values against it, reports every fault at once and adds the defaults. RE2
reads each pattern, which must match the entire value.

The form: ``name``, ``type``, ``required``; where given ``label``, ``description``, ``default``, ``options`` (the values
of an enum) and ``validation`` with ``pattern``, ``min``, ``max``, ``min_length``, ``max_length``. Other fields are kept
as notes, unless they look like a misspelt one of these.
"""

import copy
import functools
import re
from collections.abc import Mapping
from typing import Any

from config.errors import Problem
from config.pointers import step
from expressions.suggestions import did_you_mean, nearest
from expressions.values import is_encodable
from playbooks.definitions.parameter_values import (
    MAX_PATTERN_CHARACTERS,
    TYPES,
    is_integer,
    is_number,
    pattern_fault,
    value_fault,
)

#: names with another meaning in templates
RESERVED = frozenset({"parameters", "target", "execution", "action"})
#: a definition that needs more should have one parameter of type object
MAX_PARAMETERS = 100
MAX_OPTIONS = 500
#: patterns of one definition, and their characters in all: both limit what is compiled
MAX_PATTERNS = 50
MAX_PATTERNS_CHARACTERS = 8192
#: fields of one parameter or of its validation, notes included, and those checked for misspellings
MAX_FIELDS = 50
MAX_LIKENED = 10
#: undeclared values reported one by one, and those of them with a suggestion
MAX_NAMED = 20
MAX_SUGGESTED = 5
MAX_TEXT_CHARACTERS = 1024

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_FIELDS = ("name", "label", "type", "required", "default", "description", "validation", "options", "enum", "values")
_VALIDATIONS = ("pattern", "min", "max", "length", "min_length", "max_length", "options")
_RULES = ("pattern", "min", "max", "min_length", "max_length")
_OPTION_FIELDS = ("options", "enum", "values")
#: similarity (0 to 1) from which an unknown field counts as a misspelt one
_MISSPELT = 0.8
#: what other products call a field → the field
_OTHER_WORDS = {
    **dict.fromkeys(("mandatory", "needed", "is_required"), "required"),
    **dict.fromkeys(("choices", "allowed", "allowed_values", "one_of"), "options"),
    **dict.fromkeys(("desc", "help", "hint"), "description"),
    **dict.fromkeys(("title", "display_name"), "label"),
    **dict.fromkeys(("default_value", "value"), "default"),
    **dict.fromkeys(("kind", "datatype", "data_type"), "type"),
    **dict.fromkeys(("id", "key"), "name"),
    **dict.fromkeys(("rules", "validations", "constraints"), "validation"),
}
#: rule → the types it applies to
_APPLIES = {
    "pattern": ("string", "secret"),
    "min": ("integer", "number"),
    "max": ("integer", "number"),
    "min_length": ("string", "secret", "array"),
    "max_length": ("string", "secret", "array"),
    "options": ("enum", "string", "integer", "number"),
}


def check_definitions(definitions: Any, reserved: frozenset[str] = RESERVED) -> list[Problem]:
    """Every fault of the declarations; ``reserved`` names are refused.

    Pointers are relative to the list.
    """
    if not isinstance(definitions, list):
        return [Problem("", "parameters must be a list of definitions")]
    if len(definitions) > MAX_PARAMETERS:
        return [Problem("", f"there may be at most {MAX_PARAMETERS} parameters")]
    patterns = _patterns(definitions)
    if len(patterns) > MAX_PATTERNS or sum(map(len, patterns)) > MAX_PATTERNS_CHARACTERS:
        most = f"{MAX_PATTERNS} patterns of {MAX_PATTERNS_CHARACTERS} characters together"
        return [Problem("", f"the parameters may have at most {most}")]
    problems: list[Problem] = []
    seen: set[str] = set()
    for index, definition in enumerate(definitions):
        if not isinstance(definition, dict):
            problems.append(Problem(f"/{index}", "a parameter must be an object with a name and a type"))
            continue
        found = _check_definition(definition, reserved)
        name = definition.get("name")
        if isinstance(name, str) and name in seen:
            found.append(Problem("/name", f"the name '{name[:64]}' is used twice"))
        elif isinstance(name, str):
            seen.add(name)
        problems.extend(problem.under(f"/{index}") for problem in found)
    return problems


def _patterns(definitions: list[Any]) -> list[str]:
    """Every distinct pattern of the declarations, faulty ones too."""
    validations = (definition.get("validation") for definition in definitions if isinstance(definition, dict))
    found = (validation.get("pattern") for validation in validations if isinstance(validation, dict))
    return list({pattern for pattern in found if isinstance(pattern, str) and len(pattern) <= MAX_PATTERN_CHARACTERS})


def _check_definition(definition: dict[str, Any], reserved: frozenset[str]) -> list[Problem]:
    if len(definition) > MAX_FIELDS:
        return [Problem("", f"a parameter may have at most {MAX_FIELDS} fields")]
    problems = _check_name(definition.get("name"), reserved)
    problems += _misspelt(definition)
    problems.extend(
        Problem(f"/{field}", f"must be a string of at most {MAX_TEXT_CHARACTERS} characters")
        for field in ("label", "description")
        if not _is_text(definition.get(field, ""))
    )
    if not isinstance(definition.get("required", False), bool):
        problems.append(Problem("/required", "must be true or false"))
    kind = definition.get("type", "string")
    if kind not in TYPES:
        allowed = ", ".join(TYPES)
        shown = kind[:64] if isinstance(kind, str) else type(kind).__name__
        return [*problems, Problem("/type", f"Invalid parameter type '{shown}'. Allowed: {allowed}.")]
    rules = _check_options(definition, kind) + _check_validation(definition, kind)
    return problems + (rules or _check_default(definition, kind))


def _check_name(name: Any, reserved: frozenset[str]) -> list[Problem]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return [Problem("/name", "must be 1 to 64 letters, digits and underscores, not beginning with a digit")]
    if name in reserved:
        words = ", ".join(sorted(reserved))
        return [Problem("/name", f"'{name}' has a meaning of its own in templates; reserved are {words}")]
    return []


def _is_text(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= MAX_TEXT_CHARACTERS and is_encodable(value))


def _misspelt(definition: Mapping[str, Any]) -> list[Problem]:
    unknown = [field for field in definition if field not in _FIELDS][:MAX_LIKENED]
    problems = []
    for field in unknown:
        word = str(field).lower()
        near = _OTHER_WORDS.get(word) or nearest(word, _FIELDS, _MISSPELT)
        if word in _VALIDATIONS:
            problems.append(Problem(step(field), f"is a rule: put it under 'validation', as {{'{word}': ...}}"))
        elif near:
            problems.append(Problem(step(field), f"is no field; did you mean '{near}'?"))
    return problems


def _check_options(definition: dict[str, Any], kind: str) -> list[Problem]:
    field, given = _options(definition)
    if given is None:
        return [Problem("/options", "an enum needs its values, as 'options'")] if kind == "enum" else []
    if kind not in _APPLIES["options"]:
        return [Problem(field, f"a parameter of type {kind} has no options")]
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_OPTIONS:
        return [Problem(field, f"must be a list of 1 to {MAX_OPTIONS} values")]
    problems = []
    for index, option in enumerate(given):
        if not isinstance(option, str | bool) and not is_number(option):
            fault: str | None = "must be a string, a number, true or false"
        else:
            fault = value_fault({"type": "string" if isinstance(option, str) and kind == "enum" else kind}, option)
        if fault:
            problems.append(Problem(f"{field}/{index}", fault))
    return problems


def _options(definition: Mapping[str, Any]) -> tuple[str, Any]:
    """The pointer and value of the options; None without options."""
    for field in _OPTION_FIELDS:
        if definition.get(field) is not None:
            return f"/{field}", definition[field]
    validation = definition.get("validation")
    return "/validation/options", validation.get("options") if isinstance(validation, dict) else None


def _check_validation(definition: dict[str, Any], kind: str) -> list[Problem]:
    given = definition.get("validation")
    if given is None:
        return []
    if not isinstance(given, dict):
        return [Problem("/validation", "must be an object")]
    if len(given) > MAX_FIELDS:
        return [Problem("/validation", f"may have at most {MAX_FIELDS} rules")]
    problems = [
        Problem("/validation", f"'{str(rule)[:64]}' is no rule" + did_you_mean(str(rule), _VALIDATIONS))
        for rule in [rule for rule in given if rule not in _VALIDATIONS][:MAX_LIKENED]
    ]
    if not isinstance(given.get("length") or {}, dict):
        return [*problems, Problem("/validation/length", "must be an object with 'min' and 'max'")]
    rules = _rules(given)
    for rule, value in rules.items():
        if kind not in _APPLIES[rule]:
            problems.append(Problem("/validation", f"'{rule}' means nothing for type {kind}"))
        elif fault := _rule_fault(rule, value):
            problems.append(Problem("/validation", f"'{rule}' {fault}"))
    if not problems:
        problems.extend(
            Problem("/validation", f"'{least}' is greater than '{most}'")
            for least, most in (("min", "max"), ("min_length", "max_length"))
            if least in rules and most in rules and rules[least] > rules[most]
        )
    return problems


def _rules(validation: Mapping[str, Any]) -> dict[str, Any]:
    """The rules of a validation object in canonical spelling.

    ``length: {min, max}`` becomes two rules.
    """
    length = validation.get("length") or {}
    spelled = {**validation, "min_length": validation.get("min_length", length.get("min"))}
    spelled["max_length"] = validation.get("max_length", length.get("max"))
    return {rule: spelled[rule] for rule in _RULES if spelled.get(rule) is not None}


def _rule_fault(rule: str, value: Any) -> str | None:
    if rule in {"min", "max"}:
        return None if is_number(value) else "must be a number"
    if rule in {"min_length", "max_length"}:
        return None if is_integer(value) and value >= 0 else "must be a whole number of at least 0"
    return pattern_fault(value)


def _check_default(definition: dict[str, Any], kind: str) -> list[Problem]:
    default = definition.get("default")
    if default is None:
        return []
    if kind == "secret":
        return [
            Problem(
                "/default",
                "a secret has no default, it would be readable in the definition; "
                "give it with each call or keep it in the action's config",
            )
        ]
    fault = value_fault(_normalised(definition), default)
    return [Problem("/default", f"the default {fault}")] if fault else []


def normalise(definitions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The declarations in their stored form.

    They must be free of faults by ``check_definitions``.
    """
    return [_normalised(definition) for definition in definitions]


def _normalised(definition: Mapping[str, Any]) -> dict[str, Any]:
    dropped = {*_OPTION_FIELDS, "validation", "name", "type", "required"}
    form: dict[str, Any] = {
        "name": definition.get("name"),
        "type": definition.get("type", "string"),
        "required": definition.get("required", False),
    }
    form.update((field, value) for field, value in definition.items() if field not in dropped and value is not None)
    options = _options(definition)[1]
    if options is not None:
        form["options"] = list(options)
    rules = _rules(definition.get("validation") or {})
    if rules:
        form["validation"] = rules
    return form


def secret_names(definitions: list[dict[str, Any]]) -> frozenset[str]:
    """The parameters whose values must be sealed at rest and masked everywhere."""
    return frozenset(definition["name"] for definition in definitions if definition.get("type") == "secret")


def resolve(definitions: list[dict[str, Any]], values: Any) -> tuple[dict[str, Any], list[Problem]]:
    """The values of an execution, and the faults of those given.

    ``definitions`` are normalised, pointers relative to the values. A null counts as absent. An optional value that is
    absent and has no default is null in the result, so that every declared name can be used. Undeclared values are
    faults.
    """
    if not isinstance(values, Mapping):
        return {}, [Problem("", "parameters must be an object")]
    resolved: dict[str, Any] = {}
    problems: list[Problem] = []
    for definition in definitions:
        name = definition["name"]
        value = values.get(name)
        if value is None:
            value = copy.deepcopy(definition.get("default"))
            if value is None and definition.get("required"):
                problems.append(Problem(f"/{name}", f"'{name}' is required"))
        elif fault := value_fault(definition, value):
            problems.append(Problem(f"/{name}", f"'{name}' {fault}"))
        resolved[name] = value
    return resolved, problems + _undeclared([str(name) for name in values if name not in resolved], resolved)


#: the members of a declaration that bound its values
_FURTHER = frozenset({"validation", "options"})
#: the type of the values that need no further look, where a declaration says no more than its kind
_PLAIN: dict[str, type] = {"string": str, "integer": int, "boolean": bool, "secret": str}
#: characters of a text, and the size of a number, that every kind takes
_SHORT, _SMALL = 4096, 2**31


class Declared:
    """The parameters of a revision, with what their checks need worked out once.

    A value of a plain kind is looked at here; all others, and every fault, are left to ``resolve``.
    """

    def __init__(self, definitions: list[dict[str, Any]]) -> None:
        self.definitions = definitions
        self.secret_names = secret_names(definitions)
        self._entries = [
            (one["name"], one, None if one.keys() & _FURTHER else _PLAIN.get(one["type"]), one.get("default"))
            for one in definitions
        ]

    def resolve(self, values: Any) -> tuple[dict[str, Any], list[Problem]]:
        """As ``resolve``."""
        found: dict[str, Any] = {}
        if type(values) is not dict:
            return resolve(self.definitions, values)
        for name, definition, plain, default in self._entries:
            value = values.get(name)
            if value is None:
                if default is not None or definition.get("required"):
                    return resolve(self.definitions, values)
            elif (type(value) is not plain or not _is_plain(value)) and value_fault(definition, value):
                return resolve(self.definitions, values)
            found[name] = value
        if values.keys() - found.keys():
            return resolve(self.definitions, values)
        return found, []


class OfRevision:
    """What the revisions of actions and playbooks have in common."""

    definition: Mapping[str, Any]

    @functools.cached_property
    def declared(self) -> Declared:
        """Its parameters, whose checks are prepared once."""
        return Declared(self.definition["parameters"])


def _is_plain(value: Any) -> bool:
    """Whether a text or a number is one that every kind takes."""
    if isinstance(value, str):
        return 0 < len(value) <= _SHORT and value.isascii()
    return bool(-_SMALL < value < _SMALL)


def _hint(name: str, declared: Mapping[str, Any]) -> str:
    """The parameter that is meant, or else those that there are."""
    if not declared:
        return "; there are none"
    there_are = f"; there are {', '.join(list(declared)[:MAX_NAMED])}" if len(declared) <= MAX_NAMED else ""
    return did_you_mean(name, declared) or there_are


def _undeclared(names: list[str], declared: Mapping[str, Any]) -> list[Problem]:
    problems = [
        Problem(
            step(name),
            f"'{name[:64]}' is not a parameter" + (_hint(name, declared) if index < MAX_SUGGESTED else ""),
        )
        for index, name in enumerate(names[:MAX_NAMED])
    ]
    if len(names) > MAX_NAMED:
        problems.append(Problem("", f"and {len(names) - MAX_NAMED} more that are not parameters"))
    return problems
