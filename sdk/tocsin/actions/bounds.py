"""Bounds of values: ``Range``, ``Length`` and ``Pattern`` added to the kind of a type."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from typing import Any

from tocsin.actions.notes import Length, Pattern, Range
from tocsin.actions.scalars import Kind, Unfit

#: for each note the kinds that it bounds
_BOUNDS: dict[type, tuple[str, ...]] = {
    Range: ("integer", "number"),
    Length: ("string", "array"),
    Pattern: ("string",),
}
#: a check of a value: what it should be, where it is not
_Check = Callable[[Any], "str | None"]


def bounded(kind: Kind, notes: Iterable[Any]) -> Kind:
    """The kind, with the bounds that ``Annotated`` adds to it.

    Raises:
        TypeError: a note bounds no values of this kind.
    """
    for note in notes:
        if isinstance(note, tuple(_BOUNDS)):
            if kind.word not in _BOUNDS[type(note)]:
                raise TypeError(f"{type(note).__name__}, which bounds no values of the type {kind.word}")
            kind = _with(kind, note)
    return kind


def _with(kind: Kind, note: Any) -> Kind:
    rules, names, check = _rules(kind, note)
    inner = kind.convert

    def convert(value: Any, place: str) -> Any:
        fault = None
        converted = inner(value, place)
        fault = check(value)
        if fault:
            raise Unfit(f"{place}: {fault}")
        return converted

    schema = {**kind.schema, **{names[rule]: value for rule, value in rules.items()}}
    if "pattern" in rules:  # JSON Schema looks for a match anywhere
        schema["pattern"] = f"^(?:{rules['pattern']})$"
    return dataclasses.replace(kind, schema=schema, validation={**kind.validation, **rules}, convert=convert)


def _rules(kind: Kind, note: Any) -> tuple[dict[str, Any], dict[str, str], _Check]:
    """The rules of a declared parameter, their names in JSON Schema, and the check."""
    if isinstance(note, Pattern):
        whole = re.compile(note.expression)
        said = f"must match the pattern {note.expression}"
        return (
            {"pattern": note.expression},
            {"pattern": "pattern"},
            lambda value: None if whole.fullmatch(value) else said,
        )
    ends = {"least": note.least, "most": note.most}
    if isinstance(note, Range):
        given = {{"least": "min", "most": "max"}[end]: value for end, value in ends.items() if value is not None}
        return given, {"min": "minimum", "max": "maximum"}, lambda value: _between(note, value, "")
    unit = "Length" if kind.word == "string" else "Items"
    given = {
        {"least": "min_length", "most": "max_length"}[end]: value for end, value in ends.items() if value is not None
    }
    names = {"min_length": f"min{unit}", "max_length": f"max{unit}"}
    words = " characters" if kind.word == "string" else " items"
    return given, names, lambda value: _between(note, len(value), words)


def _between(note: Any, value: float, unit: str) -> str | None:
    verb = "must have" if unit else "must be"
    if note.least is not None and value < note.least:
        return f"{verb} at least {note.least}{unit}"
    if note.most is not None and value > note.most:
        return f"{verb} at most {note.most}{unit}"
    return None
