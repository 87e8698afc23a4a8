"""Every JSON type in every member of a document, for hostile requests."""

import copy
import re
from collections.abc import Iterator
from itertools import cycle
from typing import Any

Json = dict[str, Any]
Path = tuple[str | int, ...]

#: what cannot be looked up in a set or an object, which is asked of most members
UNHASHABLE: tuple[Any, ...] = ([], [["x"]], {}, {"type": "action"})
OTHERS: tuple[Any, ...] = (None, True, 0, -1.5, "", "x", 10**30, "{{ a }}", [None, 1, "x", {}])
#: what in a key says which one it is of its kind
_NUMBER = re.compile(r"(?<=--)[0-9a-f-]{36}|(?<=_)[0-9]+")


def variations(document: Json, *, thorough: bool = False) -> Iterator[tuple[Path, Json]]:
    """Variants of the document with another value in one member.

    Each place gets a list, an object and one of the other types in turn; ``thorough`` gives it all of them, and every
    place instead of one of each kind.
    """
    lists, objects, others = cycle(UNHASHABLE[:2]), cycle(UNHASHABLE[2:]), cycle(OTHERS)
    seen: set[Path] = set()
    for path in _places(document):
        kind = tuple(_NUMBER.sub("", one) if isinstance(one, str) else 0 for one in path)
        if kind in seen and not thorough:
            continue
        seen.add(kind)
        for value in (*UNHASHABLE, *OTHERS) if thorough else (next(lists), next(objects), next(others)):
            yield path, _changed(document, path, value)


def _places(value: Any, path: Path = ()) -> Iterator[Path]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*path, key)
        yield from _places(member, (*path, key))


def _changed(document: Json, path: Path, value: Any) -> Json:
    changed = copy.deepcopy(document)
    parent: Any = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = copy.deepcopy(value)
    return changed
