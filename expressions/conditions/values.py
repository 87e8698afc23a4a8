"""The values that a condition reads, and what its evaluation costs.

Only the paths that the condition reads are taken, because CEL copies its input and, at every step of a path, the value
before it: a condition on one output does not pay for the outputs of all other steps.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from expressions import limits
from expressions.conditions.syntax import Condition, ConditionError, Macro
from expressions.values import is_encodable, type_name

_CHARACTERS_A_VALUE = 64
_CALL = 30  # the cost of one call from CEL into Python, in copies of a value
_INTEGERS = range(-(2**63), 2**63)
_TOO_MUCH = "the condition takes too long for values as large as these; ask less at once, or walk a shorter list"

Tree = dict[str, "Tree | None"]


class Size(NamedTuple):
    """The size of a value.

    It counts the values inside, the items of the longest list, and the values inside the largest item of a list.
    """

    values: int = 1
    longest: int = 1
    widest: int = 1


def taken(context: Mapping[str, Any], paths: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    """The part of the context that the paths lead to.

    Missing values are left out.
    """
    tree: Tree = {}
    for path in sorted(set(paths)):  # shorter first: a value that is read completely is not cut
        branch: Tree | None = tree
        for key in path[:-1]:
            branch = branch.setdefault(key, {}) if branch is not None else None
        if branch is not None:
            branch[path[-1]] = None
    return {root: _cut(context[root], below) for root, below in tree.items() if root in context}


def _cut(value: Any, tree: Tree | None) -> Any:
    if tree is None or not isinstance(value, dict):
        return value
    return {key: _cut(value[key], below) for key, below in tree.items() if key in value}


class Plain:
    """Copies values into the types of CEL, and counts them.

    Raises ConditionError for a value that has no form in CEL.
    """

    def __init__(self) -> None:
        self.left = limits.MAX_CONDITION_VALUES

    def copy(self, value: Any, depth: int = 0) -> Any:
        """The value as dict, list, str, int, float, bool and None.

        All are within the range of CEL.
        """
        self.left -= 1
        if isinstance(value, str):
            self.left -= len(value) // _CHARACTERS_A_VALUE
        if self.left < 0:
            raise ConditionError("the condition reads more data than a condition may; name the part of it that matters")
        if depth > limits.MAX_CONDITION_DEPTH:
            raise ConditionError(f"the condition reads containers nested more than {limits.MAX_CONDITION_DEPTH} deep")
        if isinstance(value, dict):
            return {self._key(key): self.copy(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.copy(item, depth + 1) for item in value]
        return _scalar(value)

    def _key(self, key: Any) -> str:
        if not isinstance(key, str):
            raise ConditionError("the condition reads an object with a key that is no text")
        self.left -= len(key) // _CHARACTERS_A_VALUE
        return str(_scalar(key))


def _scalar(value: Any) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        if value.isascii() or is_encodable(value):
            return value
        kind = "a text with half surrogates"
    elif isinstance(value, int):
        if value in _INTEGERS:
            return value
        kind = "a whole number of more than 64 bits"
    elif isinstance(value, float):
        if math.isfinite(value):
            return value
        kind = "a number that is not finite"
    else:
        kind = type_name(value)
    raise ConditionError(f"the condition meets {kind}, which conditions cannot hold")


def size(value: Any) -> Size:
    """The size of a plain value."""
    if isinstance(value, str):
        return Size(1 + len(value) // _CHARACTERS_A_VALUE)
    if not isinstance(value, dict | list):
        return Size()
    is_object = isinstance(value, dict)
    values = 1 + (sum(1 + len(key) // _CHARACTERS_A_VALUE for key in value) if is_object else 0)
    longest, widest = max(1, len(value)), 1
    for item in value.values() if isinstance(value, dict) else value:
        inner = size(item)
        values += inner.values
        longest = max(longest, inner.longest)
        widest = max(widest, inner.widest, 1 if is_object else inner.values)
    return Size(values, longest, widest)


def bound_work(condition: Condition, values: Mapping[str, Any]) -> None:
    """Raise ConditionError when evaluating the condition could take too long.

    ``values`` are plain. Each path costs a copy of the values along it, each filter copies its result once for every
    item it keeps, each ``+`` copies its left side; inside a macro all this is paid for every item of the list.
    """
    known: dict[tuple[str, ...], Size] = {(root,): size(value) for root, value in values.items()}
    columns = list(zip(*known.values(), strict=True)) or [(0,), (1,), (1,)]
    total = Size(sum(columns[0]), max(columns[1]), max(columns[2]))

    def at(path: tuple[str, ...]) -> Size:
        """The size that reading a path copies: that of its first step."""
        short = path[:2]
        if short not in known:
            value = values.get(short[0])
            known[short] = size(value.get(short[1]) if len(short) > 1 and isinstance(value, dict) else value)
        return known[short]

    def items(macro: Macro) -> int:
        if macro.source is None:
            return total.longest
        return macro.source if isinstance(macro.source, int) else at(macro.source).longest

    def iterations(macros: tuple[Macro, ...]) -> int:
        return math.prod(max(1, items(macro)) for macro in macros)

    work = sum(map(iterations, condition.plain)) + total.values * sum(map(iterations, condition.selects))
    for read in condition.reads:
        each = total.widest if read.local else at(read.path).values
        work += iterations(read.inside) * each * len(read.path)
    for macro in condition.macros:
        if macro.name in ("filter", "map"):
            work += iterations(macro.outer) * items(macro) ** 2 * total.widest // 2
    work += _CALL * sum(map(iterations, condition.matches))
    if work * (1 + condition.additions) > limits.MAX_CONDITION_WORK:
        raise ConditionError(_TOO_MUCH)
