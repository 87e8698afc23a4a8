"""The kinds of single values: texts, numbers, times, addresses, and choices among given ones.

A kind knows its word (the ``type`` of a declared parameter), its JSON Schema, and how a value of JSON becomes one of
Python. No message holds the value itself: it may be a secret.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: turns a value into Python's; its second argument names the place of the value, for the message
Converter = Callable[[Any, str], Any]


class Unfit(Exception):
    """A value does not fit its type; the message names the place and what was expected."""


@dataclass(frozen=True)
class Kind:
    """A type as JSON has it."""

    #: the ``type`` of a declared parameter
    word: str
    #: as JSON Schema (draft 2020-12)
    schema: Mapping[str, Any]
    convert: Converter
    #: the values of an enum
    options: list[Any] | None = None
    #: the rules of a declared parameter: ``min``, ``max``, ``min_length``, ``max_length``, ``pattern``
    validation: Mapping[str, Any] = field(default_factory=dict)
    #: whether the schema says more than the word, the options and the rules
    detailed: bool = False


_WORDS: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
}

ANYTHING = Kind("any", {}, lambda value, _place: value)


def expect(value: Any, kind: type, place: str) -> Any:
    """The value, if it has this type.

    Raises:
        Unfit: it has another one; a boolean is no number.
    """
    fits = isinstance(value, (int, float) if kind is float else kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise Unfit(f"{place}: expected {_WORDS[kind]}, got {type(value).__name__}")
    return value


def plain(kind: type) -> Kind | None:
    """The kind of a type that JSON has itself; None for any other."""
    if kind not in _WORDS:
        return None
    return Kind(_WORDS[kind], {"type": _WORDS[kind]}, lambda value, place: expect(value, kind, place))


def one_of(options: Iterable[Any], into: Callable[[Any], Any] = lambda value: value) -> Kind:
    """The kind of a choice; ``into`` makes the option a value of Python."""
    allowed = list(options)

    def convert(value: Any, place: str) -> Any:
        # 1 and true are equal to Python and different to JSON
        if not any(option == value and isinstance(option, bool) == isinstance(value, bool) for option in allowed):
            raise Unfit(f"{place}: expected one of {allowed}")
        return into(value)

    return Kind("enum", {"enum": allowed}, convert, options=allowed)


def enumeration(kind: type[enum.Enum]) -> Kind:
    """The kind of an ``Enum``: its options are the members' values, a function receives the member."""
    return one_of([member.value for member in kind], kind)


def _text(form: str, read: Callable[[str], Any], expected: str) -> Kind:
    def convert(value: Any, place: str) -> Any:
        try:
            return read(expect(value, str, place))
        except ValueError:
            raise Unfit(f"{place}: expected {expected}") from None

    return Kind("string", {"type": "string", "format": form}, convert, detailed=True)


_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)


def _read_time(text: str) -> dt.datetime:
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError(text)
    zone = found[3]
    body, fraction = text[: -len(zone)], found[2] or ""
    if fraction:  # before Python 3.11 it has three or six digits
        body = body[: -len(fraction)] + f"{fraction:0<7}"
    return dt.datetime.fromisoformat(body + ("+00:00" if zone in "Zz" else zone))


FORMATS: dict[type, Kind] = {
    dt.datetime: _text("date-time", _read_time, "a time with its zone, such as 2026-03-01T12:00:00Z"),
    ipaddress.IPv4Address: _text("ipv4", ipaddress.IPv4Address, "an IPv4 address"),
    ipaddress.IPv6Address: _text("ipv6", ipaddress.IPv6Address, "an IPv6 address"),
    ipaddress.IPv4Network: _text("ipv4-network", ipaddress.IPv4Network, "an IPv4 network, such as 192.0.2.0/24"),
    ipaddress.IPv6Network: _text("ipv6-network", ipaddress.IPv6Network, "an IPv6 network, such as 2001:db8::/32"),
}


def either(kinds: list[Kind]) -> Kind:
    """The kind of a union of formatted texts, such as both versions of an address."""

    def convert(value: Any, place: str) -> Any:
        expect(value, str, place)
        for kind in kinds:
            with contextlib.suppress(Unfit):
                return kind.convert(value, place)
        raise Unfit(f"{place}: expected text of the format {' or '.join(kind.schema['format'] for kind in kinds)}")

    return Kind("string", {"anyOf": [dict(kind.schema) for kind in kinds]}, convert, detailed=True)
