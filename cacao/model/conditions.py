"""Conditions of CACAO documents, parsed once and cached.

A text that ``parse`` cannot read is a question for a person. ``cacao.reading.cel`` translates the others into CEL.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from cacao.model.condition_syntax import ComparisonExpression, Junction, Node, Not, Reference, read
from expressions.limits import CACHED_CONDITIONS


@dataclass(frozen=True, slots=True)
class DocumentCondition:
    """A condition that could be parsed."""

    root: Node

    def variables(self) -> frozenset[str]:
        """The names it reads: of variables, and STIX paths (``file:name``)."""
        return frozenset(_names(self.root))


@lru_cache(maxsize=CACHED_CONDITIONS)
def parse(text: str) -> DocumentCondition | None:
    """The condition in a text, or None when it is none.

    Raises nothing, whatever the text.
    """
    root = read(text)
    return None if root is None else DocumentCondition(root)


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, Junction):
        for part in node.parts:
            yield from _names(part)
    elif isinstance(node, Not):
        yield from _names(node.part)
    else:
        operands = (node.left, *node.right) if isinstance(node, ComparisonExpression) else (node.operand,)
        yield from (operand.name for operand in operands if isinstance(operand, Reference))
