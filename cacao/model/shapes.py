"""What a value of a CACAO document may look like, and the check of one value against it.

A shape says in plain words what it wants (``says``) and reports what differs. ``error`` tells how grave a difference
is: shapes that stand where the published schemas look are errors, those where only the text of the standard rules
are warnings; names that no table knows are always warnings. The depth of a check is that of the tables, never that
of the document.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cacao.model.findings import Findings, below, kind, shown
from cacao.model.vocabulary import IDENTIFIER


class Shape(Protocol):
    """What a value must look like."""

    @property
    def says(self) -> str:
        """What is wanted, as it stands in a message."""
        ...

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report what is wrong with the value at the pointer."""
        ...


def _wrong_kind(wanted: str, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
    found.add("wrong_value_type", pointer, f"{kind(value)} stands here: write {wanted}", error=error)


@dataclass(frozen=True)
class Anything:
    """Any value: somebody else's business."""

    says: str = "any value"

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report nothing."""


@dataclass(frozen=True)
class Text:
    """A text, perhaps one of a few or one that a pattern fits."""

    says: str = "a text"
    one_of: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    code: str = "bad_format"
    #: the pattern need fit some part of the text only
    partly: bool = False

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report another kind of value, an unknown word or a text of the wrong form."""
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
    """A number within bounds; a whole one unless told otherwise."""

    says: str = "a whole number"
    least: int | None = None
    most: int | None = None
    whole: bool = True

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report another kind of value and what is out of bounds; 5.0 is whole, true is no number."""
        if not self._is_number(value):
            _wrong_kind(self.says, value, pointer, found, error=error)
        elif (self.least is not None and value < self.least) or (self.most is not None and value > self.most):
            found.add("out_of_range", pointer, f"{shown(value)} is out of range: write {self.says}", error=error)

    def _is_number(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return not self.whole or isinstance(value, int) or value.is_integer()


@dataclass(frozen=True)
class Flag:
    """A truth value."""

    says: str = "true or false"

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report another kind of value."""
        if not isinstance(value, bool):
            _wrong_kind(self.says, value, pointer, found, error=error)


@dataclass(frozen=True)
class Nullable:
    """A value or null."""

    shape: Shape

    @property
    def says(self) -> str:
        """What is wanted, or null."""
        return f"{self.shape.says} or null"

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report what is wrong with a value that is not null."""
        if value is not None:
            self.shape.check(value, pointer, found, error=error)


@dataclass(frozen=True)
class Many:
    """A list; that it must not be empty is an error or, where the published schemas forget it, a warning."""

    item: Shape
    least: int = 0
    wanted: int = 1

    @property
    def says(self) -> str:
        """What each item is, and how many are needed."""
        return f"a list of at least {max(self.least, self.wanted)}, each {self.item.says}"

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report another kind of value, too few items, and what is wrong with each."""
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
    #: properties the standard forbids here
    forbidden: tuple[str, ...] = ()
    #: of these exactly one is needed
    exactly_one: tuple[str, ...] = ()
    #: of these at least one is needed, says the text of the standard alone
    at_least_one: tuple[str, ...] = ()
    #: properties that another shape checks
    elsewhere: frozenset[str] = frozenset()
    #: whether other properties belong here too
    open: bool = False

    @property
    def says(self) -> str:
        """The name of the type."""
        return f"an object ({self.name})"

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report another kind of value, what is missing, forbidden, unknown, and what is wrong with each property."""
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
    """An object whose ``type`` says what else holds for it; that part is a warning, and unknown types are legal."""

    base: Shape
    kinds: Mapping[str, Shape]

    @property
    def says(self) -> str:
        """What all types share."""
        return self.base.says

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report what is wrong with what all types share and, as warnings, with what this type adds."""
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
        """Both."""
        return f"{self.text.says} or {self.thing.says}"

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report what is wrong with the one that it is."""
        shape = self.thing if isinstance(value, dict) else self.text
        shape.check(value, pointer, found, error=error)


@dataclass(frozen=True)
class Dictionary:
    """An object whose keys the author chooses; keys of another form than the standard's are warnings."""

    says: str
    value: Shape
    key: re.Pattern[str] | None = None
    key_says: str = "another name"
    code: str = "bad_key"
    least: int = 0
    #: the published schemas look at the values of such keys too
    all_keys: bool = False

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report another kind of value, too few entries, wrong keys, and what is wrong with each value."""
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
    """A dictionary of objects by identifier; the type in the identifier tells what each must look like."""

    says: str
    kinds: Mapping[str, Shape]
    #: what is held against objects of other types, as warnings
    other: Shape | None = None
    #: whether other types are legal
    open: bool = False
    least: int = 0

    def check(self, value: Any, pointer: str, found: Findings, *, error: bool) -> None:
        """Report another kind of value, too few entries, identifiers of no known type, and each object's faults."""
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
