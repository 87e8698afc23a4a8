"""Faults of the stored form, pointed to where the author wrote it.

The stored form has other names for some members (``duration`` is kept as ``seconds``) and blocks where an author may
write a list. A fault is found there; its pointer is followed through the text as it was written.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from config.errors import Problem
from config.pointers import step, unescape
from playbooks.definitions.step_types import ALIASES, COMMON_ALIASES, TOP_ALIASES

#: spellings that ``normalise`` reads besides those in ``ALIASES``
_MORE = {"delay": {"delay_seconds": "seconds"}}


def as_written(problems: Iterable[Problem], definition: Mapping[str, Any]) -> list[Problem]:
    """The same faults, with pointers into the definition as given."""
    return [Problem(_followed(problem.pointer, definition), problem.detail) for problem in problems]


def _followed(pointer: str, definition: Mapping[str, Any]) -> str:
    parts = [unescape(part) for part in pointer.split("/")[1:]]
    at: Any = definition
    written, aliases = "", dict(TOP_ALIASES)
    while parts:
        part = parts.pop(0)
        if isinstance(at, list):
            if not part.isdecimal() or int(part) >= len(at):
                if part == "steps":  # a branch may be written as its list of steps
                    continue
                return written + step(part) + _rest(parts)
            written, at = written + step(part), at[int(part)]
            aliases = _aliases(at)
            continue
        if not isinstance(at, Mapping):
            return written
        if part == "branches" and part not in at and isinstance(at.get("steps"), list):
            number, parts = parts[:1], parts[3:]  # each step is a branch: branches/2/steps/0
            parts = [*number, *parts]
            part = "steps"
        spelled = part if part in at else next((name for name in _spellings(part, aliases) if name in at), None)
        if spelled is None:
            return written + step(part) + _rest(parts)
        written, at = written + step(spelled), at[spelled]
        aliases = {}
    return written


def _spellings(member: str, aliases: Mapping[str, str]) -> Iterator[str]:
    return (alias for alias, canonical in aliases.items() if canonical == member)


def _aliases(one: Any) -> dict[str, str]:
    """The other spellings of a step's members."""
    kind = one.get("type") if isinstance(one, Mapping) else None
    if not isinstance(kind, str):
        return dict(COMMON_ALIASES)
    return {**COMMON_ALIASES, **ALIASES.get(kind, {}), **_MORE.get(kind, {})}


def _rest(parts: Iterable[str]) -> str:
    return "".join(map(step, parts))
