"""One row of the table of error codes."""

from collections.abc import Mapping
from dataclasses import dataclass

#: what stands for a number of an error's details where it is not known
UNKNOWN_NUMBERS: Mapping[str, str] = {"status": "with another status than 2xx", "exit_code": "other than 0"}


@dataclass(frozen=True)
class ErrorCode:
    """A code, what it means and what to do about it.

    ``statuses`` are those with which the API answers it; ``ends`` says that executions, steps or runs can end with it,
    or that an answer names it for one of several things. ``{status}`` and ``{exit_code}`` in the meaning are numbers of
    the error's details. Code in the remedy stands in backticks.
    """

    code: str
    meaning: str
    remedy: str
    statuses: tuple[int, ...] = ()
    ends: bool = False

    def sentence(self, numbers: Mapping[str, str] = UNKNOWN_NUMBERS) -> str:
        """The meaning, with the numbers of one error; without them, in words for all."""
        return self.meaning.format_map({**UNKNOWN_NUMBERS, **numbers})


def answered(status: int, code: str, meaning: str, remedy: str) -> ErrorCode:
    """A code with which the API answers requests."""
    return ErrorCode(code, meaning, remedy, (status,))


def ended(code: str, meaning: str, remedy: str) -> ErrorCode:
    """A code with which an execution, a step or a run ends."""
    return ErrorCode(code, meaning, remedy, ends=True)


def either(status: int, code: str, meaning: str, remedy: str) -> ErrorCode:
    """A code of both: a request is refused for it, and what was accepted before can end with it."""
    return ErrorCode(code, meaning, remedy, (status,), ends=True)
