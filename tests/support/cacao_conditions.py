"""An oracle decides conditions of CACAO documents with the current variables.

The product turns conditions into its own (``cacao.reading.cel``); this decides them directly, so that both can be held
against each other. A part that has no answer (an undeclared variable, an order between values that have none)
leaves the whole without one, unless the other parts decide alone: of "no and perhaps" the answer is no.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

from cacao.model.condition_syntax import ComparisonExpression, Exists, Junction, Node, Not, Operand, Reference, Truth
from cacao.model.conditions import DocumentCondition
from cacao.model.values import DOUBTFUL, Value, like_pattern, moment, pattern_fault, value_of
from cacao.model.variables import NUMBER, Variable, canonical, json_value
from expressions.conditions.patterns import Matching
from expressions.values import is_encodable


def holds(condition: DocumentCondition, variables: Mapping[str, Variable]) -> bool:
    """Whether it is true with these variables, by their full names (``__ip__``).

    Raises Undecidable when a variable it turns on is not among them, or when a comparison makes no sense.
    """
    return _Decision(variables).decide(condition.root)


_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:[:-]?[0-9A-Fa-f]{2}){5}")


_TRUTH = {"true": True, "false": False}


class Undecidable(Exception):  # noqa: N818 - not a fault: the answer is a person's
    """A readable condition has no answer; the message tells the approver why."""


def _truth(text: str) -> bool | None:
    return _TRUTH.get(text.lower())


def _number(text: str) -> Decimal | None:
    return Decimal(text) if NUMBER.fullmatch(text) else None


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
    """The kind that decides, and both sides as it reads them."""
    kind = next((kind for kind in _READERS if kind in (left.kind, right.kind)), "text")
    read = _READERS.get(kind, str)
    return kind, read(left.text or ""), read(right.text or "")


def equal(left: Value, right: Value) -> bool:
    """Whether two values are the same; null equals only null.

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
    """-1, 0 or 1: the left value is below, same or above.

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
    """Whether the left network or address lies inside the right.

    Raises Undecidable for other values.
    """
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
    """Whether a single value means yes: null, empty and 0 do not.

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
    """Whether the whole text fits a LIKE pattern (``%``, ``_``)."""
    return _matched(value, pattern, matching, like_pattern)


def matches(value: Value, pattern: Value, matching: Matching) -> bool:
    """Whether a regular expression occurs in the text, in linear time."""
    return _matched(value, pattern, matching, str)


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


_SHOWN = 100


_ORDERS: dict[str, Callable[[int], bool]] = {
    "<": lambda found: found < 0,
    "<=": lambda found: found <= 0,
    ">": lambda found: found > 0,
    ">=": lambda found: found >= 0,
}


@dataclass(frozen=True, slots=True)
class _Decision:
    """One evaluation of a condition, with its budget for patterns."""

    variables: Mapping[str, Variable]
    matching: Matching = field(default_factory=Matching)

    def decide(self, node: Node) -> bool:
        if isinstance(node, Junction):
            return _any((partial(self.settles, part, node) for part in node.parts), decided=node.is_any)
        if isinstance(node, Not):
            return not self.decide(node.part)
        if isinstance(node, Exists):
            return self.exists(node.operand)
        if isinstance(node, Truth):
            return truth(self.value(node.operand))
        return self.compare(node)

    def settles(self, part: Node, junction: Junction) -> bool:
        """Whether a part alone decides: false in AND, true in OR."""
        return self.decide(part) is junction.is_any

    def equals(self, left: Value, right: Operand) -> bool:
        return equal(left, self.value(right))

    def exists(self, reference: Reference) -> bool:
        found = self.variables.get(reference.name)
        if found is None and reference.is_path:
            raise Undecidable(_unknown(reference))  # it may well exist where the platform cannot look
        return found is not None and found.value is not None

    def value(self, operand: Operand) -> Value:
        if isinstance(operand, Value):
            return operand
        found = self.variables.get(operand.name)
        if found is None:
            raise Undecidable(_unknown(operand))
        return value_of(found)

    def compare(self, node: ComparisonExpression) -> bool:
        left, right = self.value(node.left), node.right[0]
        if node.operator == "IN" and node.in_set:
            return _any((partial(self.equals, left, one) for one in node.right), decided=True)
        operator, other = node.operator, self.value(right)
        if operator in ("=", "!="):
            return equal(left, other) is (operator == "=")
        if operator in _ORDERS:
            return _ORDERS[operator](order(left, other))
        if operator == "ISSUPERSET":
            return subset(other, left)
        if operator in ("ISSUBSET", "IN"):  # IN without a set can only mean a network
            return subset(left, other)
        return (like if operator == "LIKE" else matches)(left, other, self.matching)


def _any(questions: Iterator[Callable[[], bool]], *, decided: bool) -> bool:
    """``decided`` as soon as one question is true, else its opposite.

    Raises the first Undecidable when no question is answered with yes and one has no answer.
    """
    doubt: Undecidable | None = None
    for question in questions:
        try:
            if question():
                return decided
        except Undecidable as found:
            doubt = doubt or found
    if doubt is not None:
        raise doubt
    return not decided


def _unknown(reference: Reference) -> str:
    what = "a value the platform cannot look up" if reference.is_path else "a variable that is not known here"
    return f"the condition asks for {reference.name[:_SHOWN]}, {what}"
