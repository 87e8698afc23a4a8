"""The functions of conditions: which there are, how each is called, and the words about any other call.

CEL reads ``contains(title, 'a')`` and ``title.contains(1)`` and refuses them when it evaluates them, by the name of the
function alone. So the form of each call is checked when the condition is written, and ``explained`` says which value a
function could not take.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from expressions.conditions.comparisons import Operand, Piece, Spans, literal, value_of
from expressions.filters import FILTERS
from expressions.suggestions import did_you_mean
from expressions.values import type_name

#: macros, called as ``list.name(item, question)``, which evaluate the question for each item
MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})
_OF_TIMES = (
    "Date",
    "DayOfMonth",
    "DayOfWeek",
    "DayOfYear",
    "FullYear",
    "Hours",
    "Milliseconds",
    "Minutes",
    "Month",
    "Seconds",
)
_CONVERSIONS = ("bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint")
_OF_TEXTS = ("contains", "endsWith", "matches", "size", "startsWith")
#: functions of a text that take one text
_TEXT_IN_TEXT = frozenset({"contains", "endsWith", "startsWith"})
_GETTERS = frozenset(f"get{part}" for part in _OF_TIMES)
FUNCTIONS = frozenset((*_CONVERSIONS, *_OF_TEXTS, "has", *_GETTERS))
#: other words for functions
_OTHER_WORDS = {
    **dict.fromkeys(("len", "length", "count"), "size"),
    **dict.fromkeys(("str", "tostring"), "string"),
    **dict.fromkeys(("float", "number"), "double"),
    **dict.fromkeys(("includes", "in", "has_item"), "contains"),
    **dict.fromkeys(("any", "some"), "exists"),
    **dict.fromkeys(("regex", "match"), "matches"),
    **dict.fromkeys(("startswith", "starts_with"), "startsWith"),
    **dict.fromkeys(("endswith", "ends_with"), "endsWith"),
}
#: words for functions that only filters have → the filter
_FILTERS = {
    **{name: name for name in FILTERS},
    **dict.fromkeys(("uppercase", "toupper", "upperascii"), "upper"),
    **dict.fromkeys(("lowercase", "tolower", "lowerascii"), "lower"),
    **dict.fromkeys(("strip",), "trim"),
}
_CLOCKS = frozenset({"now", "today", "time", "date"})
#: conversion of a text → what the text must be, and its form
_NUMBERS = {
    "int": ("a whole number", re.compile(r"[+-]?[0-9]+")),
    "uint": ("a whole number without a sign", re.compile(r"\+?[0-9]+")),
    "double": (
        "a number",
        re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:[+-]?(?:inf|nan)\w*)"),
    ),
}
#: function → the kinds of values it takes
_TAKES = {
    **dict.fromkeys(_TEXT_IN_TEXT, ("text",)),
    "size": ("text", "a list", "an object"),
    **dict.fromkeys(_NUMBERS, ("text", "a number")),
    **dict.fromkeys(("timestamp", "duration"), ("text",)),
}
_AMONG = ("contains", "a list")


class Call(NamedTuple):
    """A function asked of, or called with, a whole operand."""

    name: str
    asked: Operand


def unknown(tokens: Sequence[Piece], pairs: Mapping[int, int], place: int) -> str:
    """The words about a name that is no function."""
    name = tokens[place].text
    lower = name.lower()
    if lower in _CLOCKS:
        return f"there is no function '{name}': rules read the time as time.hour and time.weekday"
    if lower in _FILTERS and lower not in _OTHER_WORDS:
        given = _receiver(tokens, place) or _simple(_arguments(tokens, pairs, place)[:1]) or "finding.title"
        return f"there is no function '{name}': write it as a filter, {{{{ {given} | {_FILTERS[lower]} }}}}"
    return f"there is no function '{name[:64]}'{did_you_mean(name, sorted(MACROS | FUNCTIONS), synonyms=_OTHER_WORDS)}"


def misuse(tokens: Sequence[Piece], pairs: Mapping[int, int], place: int) -> str | None:
    """Why a function cannot be called as it is at an index, or None."""
    name, given = tokens[place].text, _arguments(tokens, pairs, place)
    asked = place > 0 and tokens[place - 1].text == "." and tokens[place - 1].kind == "sign"
    if name in MACROS:
        return f"{name} is asked of a list: list.{name}(x, {'x.id' if name == 'map' else 'x > 1'})"
    if name in _GETTERS and not asked:
        return f"{name} is asked of a time: timestamp({_simple(given[:1]) or 'finding.created_at'}).{name}()"
    if name in _TEXT_IN_TEXT and not asked:
        whole = _simple(given[:1]), _simple(given[1:2])
        example = f"{whole[0]}.{name}({whole[1]})" if all(whole) else f"finding.title.{name}('a')"
        return f"{name} is asked of a text: {example}"
    if name in _TEXT_IN_TEXT:
        found = literal(given[0], 0) if len(given) == 1 and len(given[0]) == 1 else None
        if len(given) != 1 or (found is not None and found.kind != "text"):
            wanted = found.text if found is not None else "a"
            return f"{name} takes one text: {_receiver(tokens, place) or 'finding.title'}.{name}('{wanted}')"
    if name in _NUMBERS and len(given) == 1 and len(given[0]) == 1:
        found, (what, form) = literal(given[0], 0), _NUMBERS[name]
        text = found.text[1:-1] if found is not None and found.kind == "text" else "0"
        if "\\" not in text and not form.fullmatch(text):
            return f"{name}('{text[:64]}') always fails: '{text[:64]}' is not {what}"
    return None


def _arguments(tokens: Sequence[Piece], pairs: Mapping[int, int], place: int) -> list[list[Piece]]:
    """The tokens of each argument of the call at an index."""
    end = pairs[place + 1]
    found: list[list[Piece]] = [[]]
    at = place + 2
    while at < end:
        if tokens[at].text == "," and tokens[at].kind == "sign":
            found.append([])
            at += 1
            continue
        closing = pairs.get(at, at)
        found[-1] += tokens[at : closing + 1]
        at = closing + 1
    return found if found[0] else []


def _simple(arguments: Sequence[Sequence[Piece]]) -> str:
    """An argument that is a path or a literal as text, else ""."""
    [argument] = arguments or [[]]
    whole = all(token.kind in ("name", "string", "number") or token.text == "." for token in argument)
    text = "".join(token.text for token in argument)
    return text if whole and "__value_" not in text else ""


def _receiver(tokens: Sequence[Piece], place: int) -> str:
    """The path before the dot of a call, else ""."""
    start = place - 1
    while start > 0 and (tokens[start].text == "." or tokens[start].kind == "name"):
        start -= 1
    if not (tokens[start].text == "." or tokens[start].kind == "name"):
        start += 1
    return _simple([tokens[start : place - 1]]) if start < place - 1 else ""


def calls(tokens: Sequence[Piece], pairs: Mapping[int, int], spans: Spans) -> Iterator[Call]:
    """The calls whose one operand is a path: ``size(a.b)`` and ``a.b.contains('x')``."""
    for start, (path, end) in spans.items():
        if path is None:
            continue
        operand = Operand("".join(token.text for token in tokens[start:end]), path, None)
        if end + 2 < len(tokens) and tokens[end].text == "." and tokens[end + 2].text == "(":
            yield Call(tokens[end + 1].text, operand)
        elif start > 1 and tokens[start - 1].text == "(" and pairs[start - 1] == end:
            yield Call(tokens[start - 2].text, operand)


def explained(found: Sequence[Call], values: Mapping[str, Any], name: str | None = None) -> str | None:
    """Which value a function could not take, or None; with ``name``, it was this function."""
    for one in found:
        value = value_of(one.asked, values)
        if value is None or one.name not in _TAKES or (name is not None and one.name != name):
            continue
        kind, takes = type_name(value[0]), _TAKES[one.name]
        if kind not in takes:
            remedy = f": ask for an item of it, 'a' in {one.asked.text}" if (one.name, kind) == _AMONG else ""
            return f"{one.name} takes {' or '.join(takes)}, and {one.asked.text} is {kind}{remedy}"
        if name is None and kind == "text" and one.name in _NUMBERS and not _NUMBERS[one.name][1].fullmatch(value[0]):
            return f"{one.name}({one.asked.text}) fails: {one.asked.text} is text, and not {_NUMBERS[one.name][0]}"
    return None
