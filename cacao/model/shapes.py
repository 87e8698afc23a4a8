"""The shapes that values of a CACAO document must have.

A shape says in plain words what it expects (``says``) and reports what differs. ``error`` is the severity of a
difference: an error where the published schemas look, a warning where only the text of the standard rules; names that
no table knows are always warnings. The depth of a check is that of the tables, never that of the document.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cacao.model.findings import Findings, below, kind, shown
from cacao.model.vocabulary import IDENTIFIER


class Shape(Protocol):
    """The shape that a value must have."""

    @property
    def says(self) -> str:
        """The expected value, as messages name it."""
        ...

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report faults of the value at the pointer."""
        ...


def _wrong_kind(wanted: str, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
    found.add("wrong_value_type", pointer, f"{kind(value)} stands here: write {wanted}", error=error)


@dataclass(frozen=True)
class Anything:
    """Any value: no table describes it."""

    says: str = "any value"

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report nothing."""


@dataclass(frozen=True)
class Text:
    """A text, optionally one of some words or matching a pattern."""

    says: str = "a text"
    one_of: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    code: str = "bad_format"
    #: whether the pattern may match a part of the text
    partly: bool = False

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report a value of another type, unknown word or wrong format."""
        if not isinstance(value, str):
            _wrong_kind(self.says, value, pointer, found, error=error)
        elif self.one_of and value not in self.one_of:
            found.add("unknown_value", pointer, f"{shown(value)} is not known: write {self.says}", error=error)
        elif not self._fits(value):
            found.add(self.code, pointer, f"{shown(value)} has the wrong form: write {self.says}", error=error)

    def _fits(self, value: str) -> bool:
        if self.pattern is None:
            return True
        return bool(self.pattern.search(value) if self.partly else self.pattern.fullmatch(value))


@dataclass(frozen=True)
class Number:
    """A number within bounds, by default a whole one."""

    says: str = "a whole number"
    least: int | None = None
    most: int | None = None
    whole: bool = True

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report a value of another type or out of bounds.

        5.0 is whole; true is no number.
        """
        if not self._is_number(value):
            _wrong_kind(self.says, value, pointer, found, error=error)
        elif (self.least is not None and value < self.least) or (self.most is not None and value > self.most):
            found.add("out_of_range", pointer, f"{shown(value)} is out of range: write {self.says}", error=error)

    def _is_number(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return not self.whole or isinstance(value, int) or value.is_integer()


@dataclass(frozen=True)
class Boolean:
    """A truth value."""

    says: str = "true or false"

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report a value of another type."""
        if not isinstance(value, bool):
            _wrong_kind(self.says, value, pointer, found, error=error)


@dataclass(frozen=True)
class Nullable:
    """A value or null."""

    shape: Shape

    @property
    def says(self) -> str:
        """The expected value, or null."""
        return f"{self.shape.says} or null"

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report faults of a value that is not null."""
        if value is not None:
            self.shape.check(value, pointer, found, error=error)


@dataclass(frozen=True)
class Many:
    """A list.

    A list with too few items is an error or, where the published schemas do not look, a warning.
    """

    item: Shape
    least: int = 0
    wanted: int = 1

    @property
    def says(self) -> str:
        """The items it expects, and how many."""
        return f"a list of at least {max(self.least, self.wanted)}, each {self.item.says}"

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report a value of another type, too few items, and faulty items."""
        if not isinstance(value, list):
            _wrong_kind(self.says, value, pointer, found, error=error)
            return
        if len(value) < max(self.least, self.wanted):
            grave = error and len(value) < self.least
            remedy = "leave it out or fill it" if self.least <= 1 else "add what is missing"
            found.add("too_few", pointer, f"{len(value)} are too few ({self.says}): {remedy}", error=grave)
        for index, item in enumerate(value):
            self.item.check(item, below(pointer, index), found, error=error)


@dataclass(frozen=True)
class Thing:
    """An object with named properties."""

    name: str
    properties: Mapping[str, Shape]
    required: tuple[str, ...] = ()
    #: properties that the standard forbids here
    forbidden: tuple[str, ...] = ()
    #: exactly one of these is required
    exactly_one: tuple[str, ...] = ()
    #: at least one of these is required, by the text of the standard only
    at_least_one: tuple[str, ...] = ()
    #: properties that another shape checks
    elsewhere: frozenset[str] = frozenset()
    #: whether other properties are allowed
    open: bool = False

    @property
    def says(self) -> str:
        """The name of the type."""
        return f"an object ({self.name})"

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report a wrong type and missing, forbidden, unknown and faulty properties."""
        if not isinstance(value, dict):
            _wrong_kind(self.says, value, pointer, found, error=error)
            return
        self._check_presence(value, pointer, found, error=error)
        for name, member in value.items():
            shape = self.properties.get(name)
            if shape is not None:
                shape.check(member, below(pointer, name), found, error=error)
            elif not self.open and name not in self.elsewhere and name not in self.forbidden:
                message = f"{self.name} has no property {shown(name)}: correct its name, remove it or use an extension"
                found.add("unknown_property", below(pointer, name), message)

    def _check_presence(self, value: Mapping[str, Any], pointer: str, found: Findings, *, error: bool) -> None:
        for name in self.required:
            if name not in value:
                message = f"{self.name} needs '{name}': add it, {self.properties[name].says}"
                found.add("missing_property", pointer, message, error=error)
        for name in self.forbidden:
            if name in value:
                message = f"{self.name} must not have '{name}': remove it"
                found.add("forbidden_property", below(pointer, name), message, error=error)
        if self.exactly_one and sum(name in value for name in self.exactly_one) != 1:
            message = f"{self.name} needs exactly one of {', '.join(self.exactly_one)}: add or remove some"
            found.add("not_exactly_one", pointer, message, error=error)
        if self.at_least_one and not any(name in value for name in self.at_least_one):
            message = f"{self.name} needs one of {', '.join(self.at_least_one)}: add one"
            found.add("missing_alternative", pointer, message)


@dataclass(frozen=True)
class Typed:
    """An object whose ``type`` decides which further properties it has.

    Faults of those are warnings, and unknown types are legal.
    """

    base: Shape
    kinds: Mapping[str, Shape]

    @property
    def says(self) -> str:
        """The properties that all types share."""
        return self.base.says

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report faults, as warnings where only this type has the property."""
        self.base.check(value, pointer, found, error=error)
        name = value.get("type") if isinstance(value, dict) else None
        if isinstance(name, str) and name in self.kinds:
            self.kinds[name].check(value, pointer, found, error=False)


@dataclass(frozen=True)
class Either:
    """A text or an object."""

    text: Text
    thing: Shape

    @property
    def says(self) -> str:
        """Both alternatives."""
        return f"{self.text.says} or {self.thing.says}"

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report faults by the alternative that the value is."""
        shape = self.thing if isinstance(value, dict) else self.text
        shape.check(value, pointer, found, error=error)


@dataclass(frozen=True)
class Dictionary:
    """An object with keys of the author's choice.

    A key whose form differs from the standard's is a warning.
    """

    says: str
    value: Shape
    key: re.Pattern[str] | None = None
    key_says: str = "another name"
    code: str = "bad_key"
    least: int = 0
    #: whether the published schemas check the values of faulty keys too
    all_keys: bool = False

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report a wrong type, too few entries, faulty keys and values."""
        if not isinstance(value, dict):
            _wrong_kind(self.says, value, pointer, found, error=error)
            return
        if len(value) < self.least:
            found.add("too_few", pointer, f"nothing stands here: leave it out or write {self.says}", error=error)
        for name, member in value.items():
            here, fits = below(pointer, name), self.key is None or self.key.fullmatch(str(name))
            if not fits:
                found.add(self.code, here, f"{shown(name)} cannot be a key here: use {self.key_says}")
            self.value.check(member, here, found, error=error and bool(fits or self.all_keys))


@dataclass(frozen=True)
class Definitions:
    """A dictionary of objects by identifier, whose type decides their shape."""

    says: str
    kinds: Mapping[str, Shape]
    #: the shape of objects of other types; their faults are warnings
    other: Shape | None = None
    #: whether other types are legal
    open: bool = False
    least: int = 0

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report a wrong type, too few entries, faulty identifiers and objects."""
        if not isinstance(value, dict):
            _wrong_kind(self.says, value, pointer, found, error=error)
            return
        if len(value) < self.least:
            found.add("too_few", pointer, f"nothing stands here: leave it out or write {self.says}", error=error)
        for name, member in value.items():
            match = IDENTIFIER.fullmatch(str(name))
            shape = self.kinds.get(match[1]) if match else None
            if shape is not None:
                shape.check(member, below(pointer, name), found, error=error)
                continue
            if match is None or not self.open:
                message = f"{shown(name)} cannot be a key here: use a type, two hyphens and a UUID; {self.says}"
                found.add("bad_definition_id", below(pointer, name), message)
            if self.other is not None:
                self.other.check(member, below(pointer, name), found, error=False)
