"""Conditions of CACAO documents, read once.

``parse`` reads a text; what it cannot read is a sentence for a person, who is asked it as a question.
``cacao.reading.cel`` makes conditions of ours of what was read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from cacao.model.condition_syntax import Comparison, Junction, Node, Not, Reference, read
from expressions.limits import CACHED_CONDITIONS


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that could be read."""

    root: Node

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
