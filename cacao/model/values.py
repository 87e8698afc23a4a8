"""How two values of a CACAO condition compare: by the kind of either, else as texts.

A value is a text with a kind, from the declared type of its variable or the form of the literal. When one side is of
a kind that more than one text can mean (numbers, moments, addresses, hashes, objects), both texts are read as that
kind. Texts that cannot be are compared as they stand where only equality is asked, and have no order. What has no
answer raises ``Undecidable``, and a person is asked; no message holds a value, which may be a secret.
"""

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import re2

from cacao.model.variables import NUMBER, NUMERIC_TYPES, Variable, canonical, json_value
from expressions.conditions.patterns import Matching, check_pattern
from expressions.conditions.syntax import ConditionError
from expressions.limits import CACHED_CONDITIONS
from expressions.values import is_encodable

_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,100}))?Z")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:[:-]?[0-9A-Fa-f]{2}){5}")
_TRUTH = {"true": True, "false": False}
#: texts that as likely mean no as yes when somebody asks for the truth of a text
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


class Undecidable(Exception):  # noqa: N818 - not a fault: the answer is a person's
    """A condition that can be read has no answer here; the message says why, in words for the person who is asked."""


class Value(NamedTuple):
    """One side of a comparison: its text (None is null) and its kind."""

    text: str | None
    kind: str = "text"


def value_of(variable: Variable) -> Value:
    """The value of a variable, with the kind its declared type gives it."""
    kind = "folded" if variable.type.endswith("-hash") else _KINDS.get(variable.type, "text")
    return Value(variable.value, kind)


def _truth(text: str) -> bool | None:
    return _TRUTH.get(text.lower())


def _number(text: str) -> Decimal | None:
    return Decimal(text) if NUMBER.fullmatch(text) else None


def moment(text: str) -> tuple[datetime, str] | None:
    """A timestamp as something that has an order, whatever the digits of its seconds; None when it is none."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found[1]).replace(tzinfo=UTC), (found[2] or "").rstrip("0")
    except ValueError:  # the 30th of February
        return None


def _address(text: str) -> tuple[int, int, int] | None:
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        return None
    if getattr(found, "scope_id", None):
        return None  # the same number on two links is two addresses
    return found.version, int(found.ip), found.network.prefixlen


def _mac(text: str) -> str | None:
    return re.sub("[:-]", "", text).lower() if _MAC.fullmatch(text) else None


def _object(text: str) -> str | None:
    found = json_value(text)
    return canonical(found) if isinstance(found, dict) else None


#: the kinds whose texts are read, the first that one side has decides
_READERS: dict[str, Callable[[str], Any]] = {
    "boolean": _truth,
    "number": _number,
    "timestamp": moment,
    "object": _object,
    "address": _address,
    "mac": _mac,
    "folded": str.lower,
}
_WORDS = {"number": "a number", "timestamp": "a timestamp", "address": "an address"}


def _read(left: Value, right: Value) -> tuple[str, Any, Any]:
    """The kind that decides, and both sides as it reads them (None where it cannot)."""
    kind = next((kind for kind in _READERS if kind in (left.kind, right.kind)), "text")
    read = _READERS.get(kind, str)
    return kind, read(left.text or ""), read(right.text or "")


def equal(left: Value, right: Value) -> bool:
    """Whether two values are the same; null is only the same as null.

    Raises Undecidable when one is a boolean and the other is neither true nor false: 'yes' and 1 may mean true.
    """
    if left.text is None or right.text is None:
        return left.text is right.text
    kind, one, other = _read(left, right)
    if one is not None and other is not None:
        return bool(one == other)
    if kind == "boolean":
        raise Undecidable("true or false is compared with something that is neither")
    return left.text == right.text


def order(left: Value, right: Value) -> int:
    """-1, 0 or 1 as the left value is below, the same as or above the right one.

    Raises Undecidable for what has no order: null, booleans, objects, and a number (timestamp, address) with
    something that is none.
    """
    if left.text is None or right.text is None:
        raise Undecidable("a value that is not set is neither more nor less than another")
    kind, one, other = _read(left, right)
    if kind in ("boolean", "object"):
        raise Undecidable(f"of {'two booleans' if kind == 'boolean' else 'two objects'}, none is more than the other")
    if kind in _WORDS and (one is None or other is None):
        raise Undecidable(f"{_WORDS[kind]} is compared with a text that is none")
    if kind == "address" and one[0] != other[0]:
        raise Undecidable("an IPv4 address is compared with an IPv6 address")
    if one is None or other is None:
        one, other = left.text, right.text
    return int(one > other) - int(one < other)


def subset(left: Value, right: Value) -> bool:
    """Whether the network (or address) on the left lies inside that on the right; raises Undecidable for others."""
    inner, outer = _network(left), _network(right)
    if inner.version != outer.version:
        return False
    return int(outer.network_address) <= int(inner.network_address) and int(inner.broadcast_address) <= int(
        outer.broadcast_address
    )


def _network(value: Value) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(value.text or "", strict=False)
    except ValueError:
        raise Undecidable("networks are compared, and one side is neither a network nor an address") from None


def truth(value: Value) -> bool:
    """Whether a value that stands alone means yes: nothing, no text and 0 mean no, any other text yes.

    Raises Undecidable where a text may well mean no ('off', '0'), and where it does not fit its type.
    """
    text = value.text
    if text is None or not text:
        return False
    known = _truth(text)
    if known is not None:
        return known
    if value.kind == "number" and (number := _number(text)) is not None:
        return number != 0
    if value.kind in ("boolean", "number"):
        raise Undecidable("a value that stands alone does not fit its type")
    if text.strip().lower() in DOUBTFUL or not text.strip():
        raise Undecidable("a text that stands alone may mean yes or no")
    return True


def like(value: Value, pattern: Value, matching: Matching) -> bool:
    """Whether the whole text fits a pattern in which ``%`` is any text and ``_`` any one character."""
    return _matched(value, pattern, matching, like_pattern)


def matches(value: Value, pattern: Value, matching: Matching) -> bool:
    """Whether a regular expression occurs in the text; it runs in time linear in the text."""
    return _matched(value, pattern, matching, str)


@lru_cache(maxsize=CACHED_CONDITIONS)
def like_pattern(pattern: str) -> str:
    """The regular expression that a pattern of LIKE is."""
    wild = {"%": ".*", "_": "."}
    pieces = re.findall(r"%+|_|[^%_]+", pattern)
    return "".join(["(?s)^", *(wild.get(piece[0]) or re2.escape(piece) for piece in pieces), "$"])


def _matched(value: Value, pattern: Value, matching: Matching, read: Callable[[str], str]) -> bool:
    if value.text is None or pattern.text is None:
        raise Undecidable("a value that is not set is held against a pattern, or is the pattern")
    if not is_encodable(value.text) or not is_encodable(pattern.text):
        raise Undecidable("a text with half surrogates is held against a pattern, or is the pattern")
    expression = read(pattern.text)
    if pattern_fault(expression):
        raise Undecidable("a pattern is too long, or not a regular expression RE2 can read")
    found = matching(value.text, expression)
    if found is None:
        raise Undecidable(matching.fault)
    return found


def pattern_fault(pattern: str, *, is_like: bool = False) -> str:
    """Why a pattern of MATCHES (or LIKE) cannot be used, or nothing."""
    try:
        check_pattern(like_pattern(pattern) if is_like else pattern)
    except ConditionError as error:
        return str(error)
    return ""
