"""Whether one value fits one declared parameter.

First the type is checked, then the bounds of the declaration, then the bounds of all values. No message contains the
value itself: it may be a secret.
"""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import re2

from expressions.values import is_encodable

#: characters; the most that stays readable in an execution's record
MAX_STRING_CHARACTERS = 65_536
#: characters; the longest private keys and certificates in use have half as many
MAX_SECRET_CHARACTERS = 8192
#: characters of a pattern; RE2 matches in linear time, but its compiled form grows with the pattern
MAX_PATTERN_CHARACTERS = 512
#: bytes a compiled pattern may take: short ones such as \pL{250} grow large, and take long to compile
MAX_PATTERN_BYTES = 512 * 1024
#: containers inside containers of one value
MAX_VALUE_DEPTH = 16
#: characters of all keys and texts of one object or array, and the number of its items
MAX_VALUE_CHARACTERS = 262_144
MAX_VALUE_ITEMS = 10_000

_LARGEST_INTEGER = 2**63 - 1
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = MAX_PATTERN_BYTES


@lru_cache(maxsize=128)
def _compiled(pattern: str) -> tuple[Any, str]:
    """The compiled pattern, or None and the reason.

    Failures are cached too: they take as long as successes.
    """
    try:
        return re2.compile(pattern, options=_OPTIONS), ""
    except re2.error as error:
        words = error.args[0] if error.args else ""
        return None, words.decode(errors="replace") if isinstance(words, bytes) else str(words)


def pattern_fault(pattern: Any) -> str | None:
    """The reason why a pattern cannot be used, or None."""
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN_CHARACTERS or not is_encodable(pattern):
        return f"must be a string of at most {MAX_PATTERN_CHARACTERS} characters"
    compiled, reason = _compiled(pattern)
    return None if compiled is not None else f"is not a regular expression RE2 can read: {reason}"


def value_fault(definition: Mapping[str, Any], value: Any) -> str | None:
    """The fault of a value for the parameter ``definition``, or None.

    ``definition`` is normalised.
    """
    kind = definition["type"]
    validation = definition.get("validation") or {}
    fault = _TYPE_CHECKS[kind](value)
    if fault is None and isinstance(value, str | list | dict):
        fault = _size_fault(kind, value) or _length_fault(validation, value)
    if fault is None and isinstance(value, int | float):
        fault = _range_fault(validation, value)
    if fault is None and definition.get("options"):
        fault = _option_fault(definition["options"], value)
    if fault is None and isinstance(value, str) and validation.get("pattern") is not None:
        fault = _match_fault(validation["pattern"], value)
    return fault


def is_number(value: Any) -> bool:
    """Whether the value is a JSON number, neither boolean nor infinite."""
    return is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def is_integer(value: Any) -> bool:
    """Whether the value is an integer, neither a boolean nor ``3.0``."""
    return isinstance(value, int) and not isinstance(value, bool)


def _integer(value: Any) -> str | None:
    if not is_integer(value):
        return "must be a whole number"
    return None if abs(value) <= _LARGEST_INTEGER else "must fit into 64 bits"


def _number(value: Any) -> str | None:
    if is_integer(value):
        return _integer(value)
    return None if is_number(value) else "must be a number"


def _secret(value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be a string"
    return None if value else "must not be empty"


def _of(kind: type, words: str) -> Callable[[Any], str | None]:
    return lambda value: None if isinstance(value, kind) else f"must be {words}"


_TYPE_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "string": _of(str, "a string"),
    "integer": _integer,
    "number": _number,
    "boolean": _of(bool, "true or false"),
    "enum": lambda _value: None,
    "object": _of(dict, "an object"),
    "array": _of(list, "an array"),
    "secret": _secret,
}
TYPES = tuple(_TYPE_CHECKS)


def _size_fault(kind: str, value: str | list[Any] | dict[str, Any]) -> str | None:
    if not isinstance(value, str):
        return _structure_fault(value)
    most = MAX_SECRET_CHARACTERS if kind == "secret" else MAX_STRING_CHARACTERS
    if len(value) > most:
        return f"must have at most {most} characters"
    return None if is_encodable(value) else "must be text that UTF-8 can write"


def _structure_fault(value: list[Any] | dict[str, Any]) -> str | None:
    level: list[Any] = [value]
    items = characters = 0
    for _ in range(MAX_VALUE_DEPTH + 1):
        texts = [text for text in level if isinstance(text, str)]
        texts.extend(str(key) for container in level if isinstance(container, dict) for key in container)
        items += len(level)
        characters += sum(map(len, texts))
        if items > MAX_VALUE_ITEMS:
            return f"must have at most {MAX_VALUE_ITEMS} items in all"
        if characters > MAX_VALUE_CHARACTERS:
            return f"must have at most {MAX_VALUE_CHARACTERS} characters in all"
        if not all(map(is_encodable, texts)):
            return "must hold text that UTF-8 can write"
        if any(isinstance(number, float) and not math.isfinite(number) for number in level):
            return "must hold finite numbers"
        containers = [container for container in level if isinstance(container, dict | list)]
        if not containers:
            return None
        level = [item for one in containers for item in (one.values() if isinstance(one, dict) else one)]
    return f"must not be nested more than {MAX_VALUE_DEPTH} deep"


def _length_fault(validation: Mapping[str, Any], value: str | list[Any] | dict[str, Any]) -> str | None:
    unit = "characters" if isinstance(value, str) else "items"
    least, most = validation.get("min_length"), validation.get("max_length")
    if least is not None and len(value) < least:
        return f"must have at least {least} {unit}"
    if most is not None and len(value) > most:
        return f"must have at most {most} {unit}"
    return None


def _range_fault(validation: Mapping[str, Any], value: float) -> str | None:
    least, most = validation.get("min"), validation.get("max")
    if least is not None and value < least:
        return f"must be at least {least}"
    if most is not None and value > most:
        return f"must be at most {most}"
    return None


def _option_fault(options: list[Any], value: Any) -> str | None:
    # 1 and true are equal to Python and different to JSON
    if any(option == value and isinstance(option, bool) == isinstance(value, bool) for option in options):
        return None
    return "must be one of " + ", ".join(str(option) for option in options[:50])


def _match_fault(pattern: str, value: str) -> str | None:
    compiled, _ = _compiled(pattern)
    if compiled is None or compiled.fullmatch(value) is None:
        return f"must match the pattern {pattern}"
    return None
