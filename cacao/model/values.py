"""The values in a CACAO condition: a text with a kind.

The kind comes from the variable's type or the form of the literal.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import re2

from cacao.model.variables import NUMERIC_TYPES, Variable
from expressions.conditions.patterns import check_pattern
from expressions.conditions.syntax import ConditionError
from expressions.limits import CACHED_CONDITIONS

_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,100}))?Z")
#: texts that may mean no, where a condition asks for the truth of a text
DOUBTFUL = frozenset({"0", "no", "n", "off", "none", "null", "nil", "f", "-"})
_KINDS = {
    "bool": "boolean",
    "dictionary": "object",
    "hash": "folded",
    "hexstring": "folded",
    "ipv4-addr": "address",
    "ipv6-addr": "address",
    "mac-addr": "mac",
    "uuid": "folded",
} | dict.fromkeys(NUMERIC_TYPES, "number")


class Value(NamedTuple):
    """One side of a comparison: its kind and text (None for null)."""

    text: str | None
    kind: str = "text"


def value_of(variable: Variable) -> Value:
    """The value of a variable, of the kind its declared type has."""
    kind = "folded" if variable.type.endswith("-hash") else _KINDS.get(variable.type, "text")
    return Value(variable.value, kind)


def moment(text: str) -> tuple[datetime, str] | None:
    """A timestamp in a form that compares, or None for other texts.

    Seconds may have any number of digits.
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found[1]).replace(tzinfo=UTC), (found[2] or "").rstrip("0")
    except ValueError:  # the 30th of February
        return None


@lru_cache(maxsize=CACHED_CONDITIONS)
def like_pattern(pattern: str) -> str:
    """The regular expression for a pattern of LIKE."""
    wild = {"%": ".*", "_": "."}
    pieces = re.findall(r"%+|_|[^%_]+", pattern)
    return "".join(["(?s)^", *(wild.get(piece[0]) or re2.escape(piece) for piece in pieces), "$"])


def pattern_fault(pattern: str, *, is_like: bool = False) -> str:
    """The reason why RE2 refuses a pattern of MATCHES or LIKE.

    Empty for a pattern that RE2 can use.
    """
    try:
        check_pattern(like_pattern(pattern) if is_like else pattern)
    except ConditionError as error:
        return str(error)
    return ""
