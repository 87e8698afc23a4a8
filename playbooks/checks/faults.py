"""The faults found by a check, bounded in number and cost."""

from collections.abc import Iterable, Mapping
from typing import Any

from config.errors import Problem
from config.pointers import step
from expressions.suggestions import did_you_mean

#: faults in one answer; an author corrects these before the next check
MAX_PROBLEMS = 100
#: faults that get a suggestion of the nearest known name, which takes some milliseconds
MAX_SUGGESTED = 25
_SHOWN_CHARACTERS = 64
_NONE: Mapping[str, str] = {}


class Faults:
    """A bounded collection of faults."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._suggested = 0

    @property
    def full(self) -> bool:
        """Whether there are enough faults to stop the check."""
        return len(self.problems) > MAX_PROBLEMS

    def add(self, pointer: str, detail: str) -> None:
        """Add a fault at a pointer."""
        self.problems.append(Problem(pointer, detail))

    def extend(self, pointer: str, problems: Iterable[Problem]) -> None:
        """Add the faults of the part at ``pointer``."""
        self.problems.extend(problem.under(pointer) for problem in problems)

    def hint(self, name: Any, known: Iterable[object], synonyms: Mapping[str, str] = _NONE) -> str:
        """The end of a sentence that suggests the nearest known name.

        Empty where there is none. ``synonyms`` are known names by other words for them.
        """
        self._suggested += 1
        return did_you_mean(str(name), known, synonyms=synonyms) if self._suggested <= MAX_SUGGESTED else ""

    def listed(self) -> list[Problem]:
        """The faults without duplicates, at most ``MAX_PROBLEMS``.

        One more says when there are others.
        """
        unique = list(dict.fromkeys(self.problems))
        if len(unique) <= MAX_PROBLEMS:
            return unique
        return [*unique[:MAX_PROBLEMS], Problem("", f"and more: only the first {MAX_PROBLEMS} faults are named")]


def shown(value: Any) -> str:
    """The form of a value in a message."""
    return str(value)[:_SHOWN_CHARACTERS] if isinstance(value, str | int | float) else type(value).__name__


def below(pointer: str, key: Any) -> str:
    """The pointer of a member or item."""
    return pointer + step(key)
