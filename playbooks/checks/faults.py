"""The faults found while a playbook definition is checked: bounded in number and in the work each may cause."""

from collections.abc import Iterable
from typing import Any

from config.errors import Problem
from config.pointers import step
from expressions.suggestions import did_you_mean

#: faults that are named; who sees so many corrects them before asking again
MAX_PROBLEMS = 100
#: of them those for which the nearest known name is looked up: it takes some milliseconds
MAX_SUGGESTED = 25
_SHOWN_CHARACTERS = 64


class Faults:
    """Collects faults until there are enough of them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._suggested = 0

    @property
    def full(self) -> bool:
        """Whether looking for more is of no use."""
        return len(self.problems) > MAX_PROBLEMS

    def add(self, pointer: str, detail: str) -> None:
        """A fault at a place."""
        self.problems.append(Problem(pointer, detail))

    def extend(self, pointer: str, problems: Iterable[Problem]) -> None:
        """Faults of a part that stands at ``pointer``."""
        self.problems.extend(problem.under(pointer) for problem in problems)

    def hint(self, name: Any, known: Iterable[object]) -> str:
        """The end of a sentence that names the nearest of the known names, if there is one."""
        self._suggested += 1
        return did_you_mean(str(name), known) if self._suggested <= MAX_SUGGESTED else ""

    def listed(self) -> list[Problem]:
        """The faults, each once, at most ``MAX_PROBLEMS`` and a last one that says there are more."""
        unique = list(dict.fromkeys(self.problems))
        if len(unique) <= MAX_PROBLEMS:
            return unique
        return [*unique[:MAX_PROBLEMS], Problem("", f"and more: only the first {MAX_PROBLEMS} faults are named")]


def shown(value: Any) -> str:
    """How a value is named in a message."""
    return str(value)[:_SHOWN_CHARACTERS] if isinstance(value, str | int | float) else type(value).__name__


def below(pointer: str, key: Any) -> str:
    """The pointer of a member or item."""
    return pointer + step(key)
