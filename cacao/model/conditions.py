"""Conditions of CACAO documents: read once, and decided with the variables of the moment.

``parse`` reads a text; what it cannot read is a sentence for a person, who is asked it as a question. ``holds`` walks
what was read. A part that has no answer (a variable nobody declared, an order between things that have none) leaves
the whole without one, unless the other parts decide alone: of "no and perhaps" the answer is no. Nothing that was
given can stop the worker or keep it for long: text, depth and patterns are bounded before they are used.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial

from cacao.model.condition_syntax import Comparison, Exists, Junction, Node, Not, Operand, Reference, Truth, read
from cacao.model.values import Undecidable, Value, equal, like, matches, order, subset, truth, value_of
from cacao.model.variables import Variable
from expressions.conditions.patterns import Matching
from expressions.limits import CACHED_CONDITIONS

__all__ = ["Condition", "Undecidable", "parse"]

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that could be read."""

    root: Node

    def holds(self, variables: Mapping[str, Variable]) -> bool:
        """Whether it is true with these variables, by their full names (``__ip__``).

        Raises Undecidable when a variable it turns on is not among them, or when a comparison makes no sense.
        """
        return _Decision(variables).decide(self.root)

    def variables(self) -> frozenset[str]:
        """The names it reads: of variables, and of what only STIX knows (``file:name``)."""
        return frozenset(_names(self.root))


@lru_cache(maxsize=CACHED_CONDITIONS)
def parse(text: str) -> Condition | None:
    """The condition a text is, or None when it cannot be read as one; raises nothing, whatever the text."""
    root = read(text)
    return None if root is None else Condition(root)


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, Junction):
        for part in node.parts:
            yield from _names(part)
    elif isinstance(node, Not):
        yield from _names(node.part)
    else:
        operands = (node.left, *node.right) if isinstance(node, Comparison) else (node.operand,)
        yield from (operand.name for operand in operands if isinstance(operand, Reference))


_ORDERS: dict[str, Callable[[int], bool]] = {
    "<": lambda found: found < 0,
    "<=": lambda found: found <= 0,
    ">": lambda found: found > 0,
    ">=": lambda found: found >= 0,
}


@dataclass(frozen=True, slots=True)
class _Decision:
    """One walk over a condition, with the work its patterns may still do."""

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
        """Whether a part alone decides: a false one of AND, a true one of OR."""
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

    def compare(self, node: Comparison) -> bool:
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
    """``decided`` as soon as one question is answered with yes, else its opposite.

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
