"""What a type of Python is in JSON: its schema, and how a value of JSON becomes one of Python.

``kind_of`` reads a type once, when its function is marked; ``Kind.convert`` checks and converts a value before each
call. ``str`` is string, ``int`` integer, ``float`` number, ``bool`` boolean, ``Literal`` and ``Enum`` are enum,
``list`` is array, ``dict``, a dataclass and a ``TypedDict`` are object, ``datetime`` and addresses are strings with a
format. ``Optional[X]`` is an X that may be left out.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from tocsin.actions.bounds import bounded
from tocsin.actions.scalars import ANYTHING, FORMATS, Kind, Unfit, either, enumeration, expect, one_of, plain

#: the origins of X | Y
UNIONS = (Union, getattr(types, "UnionType", Union))  # X | Y is a type of its own from Python 3.10 on
_MARKERS = tuple(getattr(typing, name) for name in ("Required", "NotRequired") if hasattr(typing, name))


def kind_of(hint: Any, inside: tuple[Any, ...] = ()) -> Kind:
    """The kind of a type.

    Args:
        hint: the type, as ``typing.get_type_hints`` gives it.
        inside: the classes of which it is a member.

    Raises:
        TypeError: JSON has nothing like it.
    """
    if get_origin(hint) is Annotated:
        return bounded(kind_of(hint.__origin__, inside), hint.__metadata__)
    if get_origin(hint) in UNIONS:
        return _union([one for one in get_args(hint) if one is not type(None)], inside)
    if get_origin(hint) is Literal:
        return one_of(get_args(hint))
    return _class_kind(hint, get_origin(hint) or hint, inside)


def _union(members: list[Any], inside: tuple[Any, ...]) -> Kind:
    formats = [FORMATS[one] for one in members if isinstance(one, type) and one in FORMATS]
    if len(members) > 1 and len(formats) == len(members):
        return either(formats)
    return kind_of(members[0], inside)


def _class_kind(hint: Any, kind: Any, inside: tuple[Any, ...]) -> Kind:
    if not isinstance(kind, type):
        raise TypeError(f"a type that JSON does not have: {hint}")
    if kind in inside:
        raise TypeError(f"a type that holds itself: {kind.__name__}")
    if kind in (list, dict) and get_args(hint):
        return _container(kind, get_args(hint)[-1], inside)
    if issubclass(kind, enum.Enum):
        return enumeration(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, (*inside, kind))
    if issubclass(kind, dict) and hasattr(kind, "__required_keys__"):
        return _typed_dict(kind, (*inside, kind))
    found = FORMATS.get(kind) or plain(kind)
    if found is None:
        raise TypeError(f"a type that JSON does not have: {hint}")
    return found


def _container(kind: type, hint: Any, inside: tuple[Any, ...]) -> Kind:
    """``list[X]``, or ``dict[str, X]``; an X that JSON does not have is not looked into."""
    try:
        inner = ANYTHING if hint in (Any, object) or isinstance(hint, typing.TypeVar) else kind_of(hint, inside)
    except TypeError:
        if inside:
            raise
        inner = ANYTHING
    if inner is ANYTHING:
        known = plain(kind)
        assert known is not None
        return known
    if kind is list:

        def convert_items(value: Any, place: str) -> Any:
            return [inner.convert(one, f"{place}[{at}]") for at, one in enumerate(expect(value, list, place))]

        return Kind("array", {"type": "array", "items": inner.schema}, convert_items, detailed=True)

    def convert_members(value: Any, place: str) -> Any:
        return {name: inner.convert(one, f"{place}.{name}") for name, one in expect(value, dict, place).items()}

    return Kind("object", {"type": "object", "additionalProperties": inner.schema}, convert_members, detailed=True)


def _member(owner: str, name: str, hint: Any, inside: tuple[Any, ...]) -> Kind:
    if hint in (Any, object):
        return ANYTHING
    try:
        return kind_of(hint, inside)
    except TypeError as error:
        raise TypeError(f"{owner}.{name} has {error}") from error


def _object(kinds: Mapping[str, Kind], required: set[str], make: Any) -> Kind:
    schema = {
        "type": "object",
        "properties": {name: kind.schema for name, kind in kinds.items()},
        "required": [name for name in kinds if name in required],
        "additionalProperties": False,
    }

    def convert(value: Any, place: str) -> Any:
        given = expect(value, dict, place)
        missing = [name for name in kinds if name in required and name not in given]
        unknown = [str(name) for name in given if name not in kinds]
        if missing or unknown:
            raise Unfit(f"{place}: " + (f"needs {missing[0]}" if missing else f"has no member {unknown[0][:64]}"))
        optional = {name for name in given if given[name] is None and name not in required}
        return make(
            {name: kinds[name].convert(one, f"{place}.{name}") for name, one in given.items() if name not in optional}
        )

    return Kind("object", schema, convert, detailed=True)


def _dataclass(kind: Any, inside: tuple[Any, ...]) -> Kind:
    hints = get_type_hints(kind, include_extras=True)
    fields = [one for one in dataclasses.fields(kind) if one.init]
    kinds = {one.name: _member(kind.__name__, one.name, hints[one.name], inside) for one in fields}
    nothing = dataclasses.MISSING
    required = {one.name for one in fields if one.default is nothing and one.default_factory is nothing}
    return _object(kinds, required, lambda members: kind(**members))


def _typed_dict(kind: Any, inside: tuple[Any, ...]) -> Kind:
    hints, kinds, required = get_type_hints(kind, include_extras=True), {}, set(kind.__required_keys__)
    for name, hint in hints.items():
        marker = get_origin(hint)
        if marker in _MARKERS:
            (hint,) = get_args(hint)  # noqa: PLW2901 - the type without its marker
            (required.add if marker.__name__ == "Required" else required.discard)(name)
        kinds[name] = _member(kind.__name__, name, hint, inside)
    return _object(kinds, required, dict)
