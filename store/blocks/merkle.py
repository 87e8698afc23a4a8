"""Merkle trees as certificate logs have them (RFC 6962): of leaves and nodes, with proofs for one leaf.

A leaf is SHA-256 of a zero byte and the canonical row, a node SHA-256 of a one byte and the two below it. A level of an
odd number hands its last node up as it is.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

_LEAF, _NODE = b"\0", b"\1"


def leaves(texts: Iterable[bytes]) -> list[bytes]:
    """The leaves of canonical rows."""
    return [sha256(_LEAF + text).digest() for text in texts]


def root(level: Sequence[bytes]) -> bytes:
    """The root of a tree with at least one leaf."""
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path(level: Sequence[bytes], index: int) -> list[tuple[str, bytes]]:
    """What leads from a leaf to the root: the nodes next to it, each with its side."""
    found: list[tuple[str, bytes]] = []
    while len(level) > 1:
        other = index ^ 1
        if other < len(level):
            found.append(("left" if other < index else "right", level[other]))
        level, index = _above(level), index // 2
    return found


def _above(level: Sequence[bytes]) -> list[bytes]:
    pairs = iter(level)
    nodes = [sha256(_NODE + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
    return [*nodes, level[-1]] if len(level) % 2 else nodes
