"""The variables of a CACAO document: typed texts that fill its commands.

A variable ``__ip__`` has a declared type and, as its value, a text or null. On import its name loses the underscores
and its text becomes a value of that type; a text that does not fit its type stays a text, nothing is refused. In a
command ``__ip__:value`` stands for the text itself, filled in once: a value that looks like a variable stays unchanged.
On export a value becomes text again, and the original text as long as the two mean the same: ``03`` for 3.
"""

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from expressions import values

#: a name by the standard
NAME = re.compile(r"__[A-Za-z_][A-Za-z0-9_-]{0,199}__")
#: the suffix of a name where the text asks for its value
VALUE = ":value"
#: a number as text; few digits also bound the cost of reading it
NUMBER = re.compile(r"[+-]?[0-9]{1,400}(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,4})?")
WHOLE_TYPES = frozenset({"integer", "long"})
NUMERIC_TYPES = WHOLE_TYPES | {"float"}

_MARK = "__"
_LONGEST_NAME = 204
_MEMBER = 200
_WHOLE = re.compile(r"[+-]?[0-9]{1,400}")
_WHOLES = range(-(2**63), 2**63)
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as a document declares it; ``value`` None: no value yet."""

    type: str
    value: str | None = None
    constant: bool = False
    external: bool = False
    description: str = ""


def from_document(declared: Mapping[str, Any]) -> Variable:
    """The variable that an entry of ``playbook_variables`` or ``step_variables`` declares.

    A value that is no text, which the standard's schema forbids and its text partly allows, becomes its JSON. Raises
    TemplateError for a value that has no form in JSON.
    """
    value = declared.get("value")
    return Variable(
        type=str(declared.get("type", "string")),
        value=value if value is None or isinstance(value, str) else values.as_text(value),
        constant=declared.get("constant") is True,
        external=declared.get("external") is True,
        description=str(declared.get("description") or ""),
    )


def as_native(variable: Variable) -> Any:
    """The value with its declared type, None where there is none.

    It is a bool, int (of 64 bits), float, dict or text. A text that does not fit the type stays a text.
    """
    text = variable.value
    if text is None:
        return None
    if variable.type == "bool":
        return {"true": True, "false": False}.get(text.lower(), text)
    if variable.type in WHOLE_TYPES:
        return int(text) if _WHOLE.fullmatch(text) and int(text) in _WHOLES else text
    if variable.type == "float":
        return float(text) if NUMBER.fullmatch(text) and math.isfinite(float(text)) else text
    if variable.type == "dictionary":
        found = json_value(text)
        return found if isinstance(found, dict) else text
    return text


def as_text(value: Any, of_type: str) -> str | None:
    """The text of a value in a variable of this type.

    None (no value) stays None. Raises TemplateError for a value that has no form in JSON.
    """
    if value is None:
        return None
    if of_type in WHOLE_TYPES and isinstance(value, float) and value.is_integer() and int(value) in _WHOLES:
        return str(int(value))
    return values.as_text(value)


def json_value(text: str) -> Any:
    """The JSON value of a text, or None for invalid JSON.

    JSON nested too deep to be parsed counts as invalid.
    """
    try:
        return json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None


def _refused(word: str) -> None:
    raise ValueError(word)  # NaN and Infinity are no JSON


def canonical(value: Any) -> str | None:
    """One text for values that are equal as JSON, else None."""
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return None


class Wanted:
    """The names that are searched for in texts."""

    def __init__(self, declared: Iterable[str]) -> None:
        self._names = frozenset(name for name in declared if name.startswith(_MARK) and len(name) <= _LONGEST_NAME)
        self._lengths = sorted({len(name) for name in self._names})

    def places(self, text: str) -> Iterator[tuple[int, int, str]]:
        """The start, end and name of each use of a variable.

        The longest known name wins. The search goes backwards from ``:value`` to the colon before it at most, which no
        name contains, so its cost is linear in the text.
        """
        end, colon = 0, text.find(VALUE)
        while colon >= 0:
            begin = max(end, text.rfind(":", end, colon) + 1)
            name = self._ending_at(text, begin, colon)
            if name is not None:
                end = colon + len(VALUE)
                yield colon - len(name), end, name
            colon = text.find(VALUE, colon + len(VALUE))

    def _ending_at(self, text: str, begin: int, colon: int) -> str | None:
        if not text.endswith(_MARK, begin, colon):
            return None
        fitting = self._lengths[: bisect_right(self._lengths, colon - begin)]
        endings = (text[colon - length : colon] for length in reversed(fitting))
        return next((ending for ending in endings if ending in self._names), None)
