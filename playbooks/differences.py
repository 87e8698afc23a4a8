"""The changes from one definition to another, as a readable list.

Objects are compared member by member. So are lists of objects with an ``id`` or a ``name`` (steps, parameters): an
inserted step moves the others and changes none. Other lists are compared item by item.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from config.pointers import step

#: changes of one answer; definitions with more differences are different playbooks
MAX_CHANGES = 1000

_ABSENT = object()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each change: ``pointer``, ``op`` (added, removed, changed), ``from`` and ``to``.

    At most ``MAX_CHANGES``. Pointers lead into ``new``, those of removed values into ``old``.
    """
    found = []
    for change in _compare("", old, new):
        found.append(change)
        if len(found) == MAX_CHANGES:
            break
    return found


def _compare(pointer: str, old: Any, new: Any) -> Iterator[dict[str, Any]]:
    if old is _ABSENT:
        yield {"pointer": pointer, "op": "added", "from": None, "to": new}
    elif new is _ABSENT:
        yield {"pointer": pointer, "op": "removed", "from": old, "to": None}
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _compare(pointer + step(name), old.get(name, _ABSENT), new.get(name, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _compare_lists(pointer, old, new)
    elif type(old) is not type(new) or old != new:
        yield {"pointer": pointer, "op": "changed", "from": old, "to": new}


def _compare_lists(pointer: str, old: list[Any], new: list[Any]) -> Iterator[dict[str, Any]]:
    before, after = _by_name(old), _by_name(new)
    for name, (index, item) in before.items():
        if name not in after:
            yield from _compare(f"{pointer}/{index}", item, _ABSENT)
    for name, (index, item) in after.items():
        yield from _compare(f"{pointer}/{index}", before.get(name, (0, _ABSENT))[1], item)
    order = [name for name in before if name in after]
    if order != [name for name in after if name in before]:
        yield {"pointer": pointer, "op": "changed", "from": list(before), "to": list(after)}


def _by_name(items: list[Any]) -> dict[Any, tuple[int, Any]]:
    """The index and value of each item, by its name.

    By its index where not every item has a name of its own.
    """
    for member in ("id", "name"):
        called = [item.get(member) if isinstance(item, Mapping) else None for item in items]
        if all(isinstance(name, str) for name in called) and len(set(called)) == len(called):
            return {name: (index, item) for index, (name, item) in enumerate(zip(called, items, strict=True))}
    return {index: (index, item) for index, item in enumerate(items)}
