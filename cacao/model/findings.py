"""What the check of a CACAO document finds, bounded in number and in the length of each pointer and message.

Errors and warnings are kept apart until the end, so that however many warnings a document has none of its errors is
crowded out.
"""

from dataclasses import dataclass
from typing import Any

from config.pointers import step

#: findings that are named; who sees so many corrects them before asking again
MAX_FINDINGS = 100
#: pointers longer than this stop at the last member that fits; it keeps the work linear in the document
MAX_POINTER = 1000
_SHOWN_CHARACTERS = 64
_SHOWN_BITS = 128


@dataclass(frozen=True)
class Finding:
    """One thing to correct: a stable word, where it is (RFC 6901), what to do, and whether it breaks the document."""

    code: str
    pointer: str
    message: str
    error: bool


class Findings:
    """Collects findings, each once, until there are enough of them."""

    def __init__(self) -> None:
        self._errors: dict[Finding, None] = {}
        self._warnings: dict[Finding, None] = {}

    def add(self, code: str, pointer: str, message: str, *, error: bool = False) -> None:
        """A finding; a warning unless told otherwise."""
        kept = self._errors if error else self._warnings
        if len(kept) <= MAX_FINDINGS:
            kept[Finding(code, pointer, message, error)] = None

    def listed(self) -> list[Finding]:
        """The findings, errors first, at most ``MAX_FINDINGS`` and a last one that says there are more."""
        found = [*self._errors, *self._warnings]
        if len(found) <= MAX_FINDINGS:
            return found
        more = f"there is more to correct: only the first {MAX_FINDINGS} findings are named, correct these first"
        return [*found[:MAX_FINDINGS], Finding("more_findings", "", more, error=False)]


def below(pointer: str, key: Any) -> str:
    """The pointer of a member or item, or of what holds it where it would become too long."""
    name = str(key)
    if len(name) > MAX_POINTER:
        return pointer
    longer = pointer + step(name)
    return longer if len(longer) <= MAX_POINTER else pointer


def shown(value: Any) -> str:
    """How a value is named in a message: short, and without the insides of lists and objects."""
    if isinstance(value, str):
        seen = "".join(letter if letter.isprintable() else "?" for letter in value[:_SHOWN_CHARACTERS])
        return f"'{seen}'" + ("..." if len(value) > _SHOWN_CHARACTERS else "")
    if isinstance(value, int) and value.bit_length() > _SHOWN_BITS:
        return "a very long number"
    return kind(value) if isinstance(value, dict | list | None) else str(value).lower()


def named(kind_name: str) -> str:
    """A name with its article."""
    return f"{'an' if kind_name[0] in 'aeiou' else 'a'} {kind_name}"


def kind(value: Any) -> str:
    """What JSON calls a value."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else "no JSON value")
