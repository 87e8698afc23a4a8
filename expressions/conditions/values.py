"""The values a condition reads: taken out of the context, made plain, and what evaluating it on them may cost.

Only the paths that are read are taken, because CEL copies what it is given and, at every step of a path, what
it passes: a condition on one output does not pay for the outputs of all other steps.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from expressions import limits
from expressions.conditions.syntax import Condition, ConditionError, Macro
from expressions.values import is_encodable, type_name

_CHARACTERS_A_VALUE = 64
_CALL = 30  # what one call from CEL back into Python costs, in copies of a value
_INTEGERS = range(-(2**63), 2**63)
_TOO_MUCH = "the condition takes too long for values as large as these; ask less at once, or walk a shorter list"

Tree = dict[str, "Tree | None"]


class Size(NamedTuple):
    """How large a value is: values in it, items of its longest list, values in the largest item of a list."""

    values: int = 1
    longest: int = 1
    widest: int = 1


def taken(context: Mapping[str, Any], paths: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    """The part of the context that the paths lead to; what is not there is left out."""
    tree: Tree = {}
    for path in sorted(set(paths)):  # shorter first: what is read whole is not cut
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
    """Copies values into what CEL can take, and counts them. Raises ConditionError for what has no form in CEL."""

    def __init__(self) -> None:
        self.left = limits.MAX_CONDITION_VALUES

    def copy(self, value: Any, depth: int = 0) -> Any:
        """The same value, made of dict, list, str, int, float, bool and None, all within what CEL can hold."""
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
    """How large a plain value is."""
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
    """Raises ConditionError when evaluating the condition on these (plain) values could take too long.

    Each path costs a copy of what it passes, each filter copies its result once for every item it keeps, each
    ``+`` copies what stands before it; inside a macro all this is paid for every item of the list.
    """
    known: dict[tuple[str, ...], Size] = {(root,): size(value) for root, value in values.items()}
    columns = list(zip(*known.values(), strict=True)) or [(0,), (1,), (1,)]
    whole = Size(sum(columns[0]), max(columns[1]), max(columns[2]))

    def at(path: tuple[str, ...]) -> Size:
        """The size of what a path copies: what its first step leads to."""
        short = path[:2]
        if short not in known:
            value = values.get(short[0])
            known[short] = size(value.get(short[1]) if len(short) > 1 and isinstance(value, dict) else value)
        return known[short]

    def items(macro: Macro) -> int:
        if macro.walks is None:
            return whole.longest
        return macro.walks if isinstance(macro.walks, int) else at(macro.walks).longest

    def passes(macros: tuple[Macro, ...]) -> int:
        return math.prod(max(1, items(macro)) for macro in macros)

    work = sum(map(passes, condition.plain)) + whole.values * sum(map(passes, condition.selects))
    for read in condition.reads:
        each = whole.widest if read.local else at(read.path).values
        work += passes(read.inside) * each * len(read.path)
    for macro in condition.macros:
        if macro.name in ("filter", "map"):
            work += passes(macro.outer) * items(macro) ** 2 * whole.widest // 2
    work += _CALL * sum(map(passes, condition.matches))
    if work * (1 + condition.additions) > limits.MAX_CONDITION_WORK:
        raise ConditionError(_TOO_MUCH)
