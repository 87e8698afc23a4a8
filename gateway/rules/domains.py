"""The fields whose values are known beforehand, and what a rule compares them with by mistake.

``time.weekday``, ``action.origin`` and ``action.category`` have a closed set of values, the other members of ``time``
are whole numbers in a range. A comparison with anything else can never match, so it is a fault of the rule.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from expressions.conditions.comparisons import Comparison, Operand
from expressions.conditions.syntax import read
from expressions.suggestions import did_you_mean, nearest
from gateway.facts import ORIGINS
from gateway.rules import fields, operators
from playbooks.checks.faults import shown
from playbooks.definitions.actions import TYPES
from playbooks.definitions.parameter_values import is_number

#: what the values of ``time`` are to expressions, by path
KINDS = {f"time.{name}": "text" if name == "weekday" else "number" for name in fields.TIME_FIELDS}

#: path → what one of its values is called, and all of them
_WORDS: dict[fields.Path, tuple[str, tuple[str, ...]]] = {
    ("time", "weekday"): ("weekday", fields.WEEKDAYS),
    ("action", "origin"): ("origin", ORIGINS),
    ("action", "category"): ("category", TYPES),
}
#: path → the smallest and the largest value
_RANGES: dict[fields.Path, tuple[int, int]] = {
    ("time", "hour"): (0, 23),
    ("time", "minute"): (0, 59),
    ("time", "second"): (0, 59),
    ("time", "day"): (1, 31),
    ("time", "month"): (1, 12),
    ("time", "year"): (1970, 9999),
    ("time", "weekday_num"): (1, 7),
    ("time", "timestamp"): (0, 253_402_300_799),
}
_SAME = {"==": "eq", "!=": "ne", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
#: the operator that says the same with its sides exchanged
_SWAPPED = {"lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte"}
_WHOLE = re.compile(r"[+-]?(?:0x[0-9a-fA-F]+|0|[1-9][0-9]*)[uU]?")
_OF_TEXTS = ("contains", "starts_with", "ends_with", "regex")


def fault(path: fields.Path, operator: str, wanted: Any) -> str | None:
    """Why a comparison of a field can never match, or None.

    ``operator`` and ``wanted`` are free of faults of their own. For ``ne``: why it always matches.
    """
    if operator == "exists" or (operator == "ne" and wanted is None):
        return None
    if operator == "in_list":
        return next((detail for item in wanted if (detail := fault(path, "eq", item))), None)
    if path in _RANGES:
        return _of_range(path, operator, wanted)
    if path in _WORDS and operator in ("eq", "ne") and wanted is not None:
        return _of_words(path, wanted)
    return None


def _of_range(path: fields.Path, operator: str, wanted: Any) -> str | None:
    name, (least, most) = fields.spelled(path), _RANGES[path]
    says = f"{name} is a number from {least} to {most}"
    if operator in _OF_TEXTS:
        return f"{says}: compare it with {', '.join(operators.NUMERIC)}"
    if isinstance(wanted, str):
        remedy = f": write {wanted}" if wanted.isdecimal() and len(wanted) <= len(str(most)) else ""
        return f"{says}, and '{shown(wanted)}' is text{remedy}"
    if not is_number(wanted):
        return f"{says}, and {_written(wanted)} is none"
    if operator in ("gt", "gte"):
        fits = wanted < most or (operator == "gte" and wanted == most)
    elif operator in ("lt", "lte"):
        fits = wanted > least or (operator == "lte" and wanted == least)
    else:
        fits = least <= wanted <= most and wanted == int(wanted)
    return None if fits else f"{says}: {operator} {wanted} {'always' if operator == 'ne' else 'never'} matches"


def _of_words(path: fields.Path, wanted: Any) -> str | None:
    what, known = _WORDS[path]
    if not isinstance(wanted, str):
        hint = "; time.weekday_num counts from 1, Monday, to 7" if what == "weekday" else ""
        return f"{fields.spelled(path)} is text such as {known[0]}, and {_written(wanted)} is none{hint}"
    if wanted in known:
        return None
    if what == "weekday":
        full = nearest(wanted, known) or next((day for day in known if wanted[:3].lower() == day[:3].lower()), None)
        return f"'{shown(wanted)}' is no weekday: write {full or ', '.join(known)}"
    hint = did_you_mean(wanted, known) or f": there are {', '.join(known)}"
    return f"there is no {what} '{shown(wanted)}'{hint}"


def _written(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else shown(value)


def of_expression(found: Sequence[Comparison]) -> Iterator[str]:
    """The comparisons of an expression that can never be true."""
    for path, operator, other in _with_literals(found):
        kind = "number" if path in _RANGES else "text" if path in _WORDS else None
        if other.kind == kind and _is_plain(other.text) and (detail := fault(path, operator, _value(other))):
            yield detail


def _with_literals(found: Sequence[Comparison]) -> Iterator[tuple[fields.Path, str, Operand]]:
    """The comparisons of a path with a value written out: the path, the operator, the value."""
    for one in found:
        if one.operator not in _SAME or one.right is None:
            continue
        operator = _SAME[one.operator]
        if one.left.path is not None and one.right.path is None:
            yield one.left.path, operator, one.right
        elif one.left.path is None and one.right.path is not None:
            yield one.right.path, _SWAPPED.get(operator, operator), one.left


def _is_plain(text: str) -> bool:
    """Whether a literal is a number, or text in simple quotes without escapes."""
    return "\\" not in text and text[:3] not in ("'''", '"""')


def _value(literal: Operand) -> str | float:
    text = literal.text
    if literal.kind == "text":
        return text[1:-1]
    return int(text.rstrip("uU"), 0) if _WHOLE.fullmatch(text) else float(text)


def providers_named(condition: Mapping[str, Any]) -> Iterator[str]:
    """The providers that a stored condition compares with."""
    for part in (*condition.get("all", ()), *condition.get("any", ())):
        yield from providers_named(part)
    if "not" in condition:
        yield from providers_named(condition["not"])
    if condition.get("field") == "action.provider":
        wanted = [condition.get("eq"), condition.get("ne"), *condition.get("in_list", ())]
        yield from (name for name in wanted if isinstance(name, str))
    if "expression" in condition:
        for path, _, other in _with_literals(read(condition["expression"]).comparisons):
            if path == ("action", "provider") and other.kind == "text" and _is_plain(other.text):
                yield other.text[1:-1]
