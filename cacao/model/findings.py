"""The findings of the check, bounded in number and length.

Errors and warnings are collected separately, so that warnings, however many, crowd out no error.
"""

from dataclasses import dataclass
from typing import Any

from config.pointers import step

#: findings in one answer; an author corrects these before the next check
MAX_FINDINGS = 100
#: a longer pointer stops at the last member that fits, which keeps the work linear in the document
MAX_POINTER = 1000
_SHOWN_CHARACTERS = 64
_SHOWN_BITS = 128


@dataclass(frozen=True)
class Finding:
    """One fault: a stable code, its place (RFC 6901) and the remedy.

    ``error`` says that the fault makes the document invalid.
    """

    code: str
    pointer: str
    message: str
    error: bool


class Findings:
    """A bounded collection of findings without duplicates."""

    def __init__(self) -> None:
        self._errors: dict[Finding, None] = {}
        self._warnings: dict[Finding, None] = {}

    def add(self, code: str, pointer: str, message: str, *, error: bool = False) -> None:
        """Add a finding, by default a warning."""
        kept = self._errors if error else self._warnings
        if len(kept) <= MAX_FINDINGS:
            kept[Finding(code, pointer, message, error)] = None

    def listed(self) -> list[Finding]:
        """The findings, errors first, at most ``MAX_FINDINGS``.

        One more says when there are others.
        """
        found = [*self._errors, *self._warnings]
        if len(found) <= MAX_FINDINGS:
            return found
        more = f"there is more to correct: only the first {MAX_FINDINGS} findings are named, correct these first"
        return [*found[:MAX_FINDINGS], Finding("more_findings", "", more, error=False)]


def below(pointer: str, key: Any) -> str:
    """The pointer of a member, or its parent's if too long."""
    name = str(key)
    if len(name) > MAX_POINTER:
        return pointer
    longer = pointer + step(name)
    return longer if len(longer) <= MAX_POINTER else pointer


def shown(value: Any) -> str:
    """The short form of a value in a message.

    Lists and objects show their type only.
    """
    if isinstance(value, str):
        seen = "".join(letter if letter.isprintable() else "?" for letter in value[:_SHOWN_CHARACTERS])
        return f"'{seen}'" + ("..." if len(value) > _SHOWN_CHARACTERS else "")
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return "a very long number"
    return kind(value) if isinstance(value, dict | list | None) else str(value).lower()


def named(kind_name: str) -> str:
    """A name with its indefinite article."""
    return f"{'an' if kind_name[0] in 'aeiou' else 'a'} {kind_name}"


def kind(value: Any) -> str:
    """The JSON type of a value, in words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else "no JSON value")
