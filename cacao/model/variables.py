"""The variables of a CACAO document: typed texts that are filled into its commands.

A variable ``__ip__`` has a declared type and, as its value, a text or null. Coming in, its name loses the underscores
and its text becomes a value of that type; a text that does not fit its type stays a text, nothing is refused. In a
command ``__ip__:value`` stands for the text itself, filled in once: a value that looks like a variable stays as it
is. Going out, a value becomes text again, and the very text it came from while the two mean the same: ``03`` for 3.
"""

import json
import math
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from expressions import values
from expressions.limits import MAX_TOTAL_CHARACTERS
from expressions.values import TemplateError

#: a name as the standard has it
NAME = re.compile(r"__[A-Za-z_][A-Za-z0-9_-]{0,199}__")
#: what follows a name where its value is meant
VALUE = ":value"
#: a number as text; that the digits are few also bounds what reading it takes
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
    """A variable as a document declares it; ``value`` is its text, None where it has none yet."""

    type: str
    value: str | None = None
    constant: bool = False
    external: bool = False
    description: str = ""


def from_document(declared: Mapping[str, Any]) -> Variable:
    """The variable that an entry of ``playbook_variables`` or ``step_variables`` declares.

    A value that is no text, which the standard's schema forbids and its words partly allow, is taken as the JSON it
    was written as. Raises TemplateError for a value that has no form in JSON.
    """
    value = declared.get("value")
    return Variable(
        type=str(declared.get("type", "string")),
        value=value if value is None or isinstance(value, str) else values.as_text(value),
        constant=declared.get("constant") is True,
        external=declared.get("external") is True,
        description=str(declared.get("description") or ""),
    )


def native_name(name: str) -> str:
    """What a variable is called here: ``__ip__`` is ``ip``; a name without the underscores stays as it is."""
    return name[len(_MARK) : -len(_MARK)] if NAME.fullmatch(name) else name


def cacao_name(name: str) -> str:
    """What a name of ours is called in a document: ``ip`` is ``__ip__``.

    The result is always a name by the standard: a character it does not know becomes ``_``, what is too long is
    cut. So two names that differ only there become one; names that are valid here come back unchanged.
    """
    plain = _UNFIT.sub("_", name)
    if not plain or not (plain[0].isalpha() or plain[0] == "_"):
        plain = f"_{plain}"
    return f"{_MARK}{plain[:_MEMBER]}{_MARK}"


def as_native(variable: Variable) -> Any:
    """The value with its declared type: bool, int (of 64 bits), float, dict, text, or None where there is none.

    A text that does not fit the type stays a text.
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
    """The text of a value in a variable of this type; None (no value) stays None.

    Raises TemplateError for a value that has no form in JSON.
    """
    if value is None:
        return None
    if of_type in WHOLE_TYPES and isinstance(value, float) and value.is_integer() and int(value) in _WHOLES:
        return str(int(value))
    return values.as_text(value)


def as_text_like(value: Any, original: Variable) -> str | None:
    """The text of a value that came from a variable: its own text while the two mean the same, ``03`` for 3.

    Raises TemplateError for a value that has no form in JSON.
    """
    return original.value if _same(as_native(original), value) else as_text(value, original.type)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right  # to Python, true is 1
    if isinstance(left, dict) and isinstance(right, dict):
        return canonical(left) == canonical(right)
    return bool(left == right)


def json_value(text: str) -> Any:
    """What a text says as JSON; None also where it is no JSON, or JSON that is nested too deep to be read."""
    try:
        return json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None


def _refused(word: str) -> None:
    raise ValueError(word)  # NaN and Infinity are no JSON


def canonical(value: Any) -> str | None:
    """One text for values that are equal as JSON; None where there is none."""
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return None


def fill_in(text: str, variables: Mapping[str, Variable]) -> str:
    """The text with the value of every declared ``__name__:value`` in it; what has no value becomes nothing.

    Values are not read again. Raises TemplateError when the result would be longer than one call may insert.
    """
    pieces: list[str] = []
    end = length = 0
    for start, stop, name in Wanted(variables).places(text):
        pieces += (text[end:start], variables[name].value or "")
        length += len(pieces[-1])
        end = stop
        if length > MAX_TOTAL_CHARACTERS:
            raise TemplateError(f"all inserted values are longer than {MAX_TOTAL_CHARACTERS} characters together")
    return "".join([*pieces, text[end:]])


def names_in(text: str, declared: Collection[str]) -> list[str]:
    """The declared variables whose values a text asks for, each once, in the order of the text."""
    return list(dict.fromkeys(name for _, _, name in Wanted(declared).places(text)))


class Wanted:
    """The names that are looked for in texts."""

    def __init__(self, declared: Iterable[str]) -> None:
        self._names = frozenset(name for name in declared if name.startswith(_MARK) and len(name) <= _LONGEST_NAME)
        self._lengths = sorted({len(name) for name in self._names})

    def places(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Where a text asks for a value: the first place, the place after it, and the longest name it can be.

        It is looked for backwards from ``:value``, no further than to the colon before, which no name holds. So a text
        costs what its length is, whatever it repeats.
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
