"""The operators of a field check, each a test of one value.

Values have the types of JSON: ``1`` equals ``1.0`` and differs from ``true`` and ``"1"``. An operator whose value has
another type than it compares is false, never an error; only ``ne`` is true then. Null and missing are the same. Regular
expressions run on RE2, whose time is linear in the text.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from expressions.conditions.patterns import reason
from playbooks.definitions.parameter_values import is_number

MAX_PATTERN_CHARACTERS = 512
MAX_TEXT_CHARACTERS = 4096
MAX_LIST = 10_000
#: bytes for a compiled pattern and its tables: with fewer, RE2 takes up to a hundred times as long on long texts
_PATTERN_BYTES = 256 * 1024
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = _PATTERN_BYTES

Test = Callable[[Any], bool]


@lru_cache(maxsize=4096)
def pattern(text: str) -> Any:
    """The compiled pattern of a text that RE2 takes."""
    return re2.compile(text, options=_OPTIONS)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    return bool(one == other)


def _eq(wanted: Any) -> Test:
    if wanted is None or isinstance(wanted, str):
        return lambda value: value == wanted
    return lambda value: same(value, wanted)


def _ne(wanted: Any) -> Test:
    return lambda value: not same(value, wanted)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    """Numbers compare with numbers, texts with texts."""

    def operator(wanted: Any) -> Test:
        if isinstance(wanted, str):
            return lambda value: isinstance(value, str) and compare(value, wanted)
        return lambda value: isinstance(value, int | float) and value.__class__ is not bool and compare(value, wanted)

    return operator


def _contains(wanted: Any) -> Test:
    def test(value: Any) -> bool:
        if isinstance(value, str):
            return isinstance(wanted, str) and wanted in value
        return isinstance(value, list) and any(same(item, wanted) for item in value)

    return test


def _starts_with(wanted: str) -> Test:
    return lambda value: isinstance(value, str) and value.startswith(wanted)


def _ends_with(wanted: str) -> Test:
    return lambda value: isinstance(value, str) and value.endswith(wanted)


def _regex(wanted: str) -> Test:
    search = pattern(wanted).search

    def test(value: Any) -> bool:
        if not isinstance(value, str):
            return False
        try:
            return search(value) is not None
        except UnicodeEncodeError:  # half surrogates have no form in UTF-8, on which RE2 works
            return False

    return test


def _in_list(wanted: list[Any]) -> Test:
    words = [item for item in wanted if item is None or isinstance(item, bool)]
    others = frozenset(item for item in wanted if item is not None and not isinstance(item, bool))

    def test(value: Any) -> bool:
        if value is None or isinstance(value, bool):
            return any(value is word for word in words)
        return isinstance(value, str | int | float) and value in others

    return test


def _exists(wanted: bool) -> Test:
    return (lambda value: value is not None) if wanted else (lambda value: value is None)


_MAKERS: dict[str, Callable[[Any], Test]] = {
    "eq": _eq,
    "ne": _ne,
    "gt": _ordered(lambda value, wanted: value > wanted),
    "gte": _ordered(lambda value, wanted: value >= wanted),
    "lt": _ordered(lambda value, wanted: value < wanted),
    "lte": _ordered(lambda value, wanted: value <= wanted),
    "contains": _contains,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "regex": _regex,
    "in_list": _in_list,
    "exists": _exists,
}
OPERATORS = tuple(_MAKERS)
#: other spelling → operator
ALIASES = {"matches": "regex"}
#: the operators of a count
NUMERIC = ("eq", "ne", "gt", "gte", "lt", "lte")


def test(operator: str, wanted: Any) -> Test:
    """The test of an operator with the value that the rule gives it; both are free of faults."""
    return _MAKERS[operator](wanted)


def fault(operator: str, wanted: Any) -> str | None:
    """Why an operator cannot take the value that a rule gives it, or None."""
    if isinstance(wanted, float) and not math.isfinite(wanted):
        return "must be a number that JSON has"
    if isinstance(wanted, str) and len(wanted) > MAX_TEXT_CHARACTERS:
        return f"must have at most {MAX_TEXT_CHARACTERS} characters"
    check = _FAULTS.get(operator)
    return check(wanted) if check else None


def _ordered_fault(wanted: Any) -> str | None:
    return None if isinstance(wanted, str) or is_number(wanted) else "must be a number, or text such as a date"


def _text_fault(wanted: Any) -> str | None:
    return None if isinstance(wanted, str) and wanted else "must be text of at least one character"


def _contains_fault(wanted: Any) -> str | None:
    if wanted == "" or wanted is None or isinstance(wanted, dict | list):
        return "must be a text to find in a text, or an item to find in a list"
    return None


def _regex_fault(wanted: Any) -> str | None:
    if not isinstance(wanted, str) or not 1 <= len(wanted) <= MAX_PATTERN_CHARACTERS:
        return f"must be a regular expression of 1 to {MAX_PATTERN_CHARACTERS} characters"
    try:
        pattern(wanted)
    except re2.error as error:
        return f"cannot use the pattern '{wanted[:64]}': {reason(error)}"
    return None


def _list_fault(wanted: Any) -> str | None:
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= MAX_LIST:
        return f"must be a list of 1 to {MAX_LIST} values"
    if any(isinstance(item, dict | list) for item in wanted):
        return "must be a list of texts, numbers, true, false and null"
    return None


def _exists_fault(wanted: Any) -> str | None:
    return None if isinstance(wanted, bool) else "must be true or false"


_FAULTS: dict[str, Callable[[Any], str | None]] = {
    "gt": _ordered_fault,
    "gte": _ordered_fault,
    "lt": _ordered_fault,
    "lte": _ordered_fault,
    "contains": _contains_fault,
    "starts_with": _text_fault,
    "ends_with": _text_fault,
    "regex": _regex_fault,
    "in_list": _list_fault,
    "exists": _exists_fault,
}
