"""Captures the output of a program or function into its execution's log.

``LineLog`` bounds how much one execution may log. ``capture`` leads the operator's ``logging`` and ``print`` calls
there: a handler on the root logger and a stand-in for ``sys.stdout`` find the execution by a context variable, so that
executions in other threads of the process keep their lines to themselves. Both are installed once and stay, because
threads that installed and removed them would undo each other. A thread that the function itself starts has no
execution: its output goes where it always went.
"""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, TextIO

LINE_BYTES = 2048
LINES = 200
_CUT = " […]"

_speaking: ContextVar["LineLog | None"] = ContextVar("speaking", default=None)


class LineLog:
    """A log of at most 200 lines of 2 KB.

    It says how many lines it left out.
    """

    def __init__(self, log: Callable[[str, str], None]) -> None:
        self._log = log
        self._lines = 0
        self._begun = ""  # print() writes a line in pieces

    def __call__(self, level: str, text: str) -> None:
        """Log every non-empty line of ``text``."""
        for line in text.splitlines():
            if line.strip():
                self._lines += 1
                if self._lines <= LINES:
                    self._log(level, shorten(line.rstrip()))

    def write(self, text: str) -> None:
        """Log what is printed, line by line."""
        *lines, self._begun = (self._begun + text).split("\n")
        if len(self._begun) > LINE_BYTES:
            lines, self._begun = [*lines, self._begun], ""
        for line in lines:
            self("INFO", line)

    def close(self) -> None:
        """Log how many lines are missing; call once, at the end."""
        self("INFO", self._begun)
        if self._lines > LINES:
            self._log("WARNING", f"{self._lines - LINES} more lines were not kept")


def shorten(line: str) -> str:
    """The line in at most 2 KB of UTF-8, without NUL.

    The database cannot store NUL.
    """
    data = line.replace("\0", "\ufffd").encode(errors="replace")
    if len(data) <= LINE_BYTES:
        return data.decode()
    return data[: LINE_BYTES - len(_CUT.encode())].decode(errors="ignore") + _CUT


class _Records(logging.Handler):
    """The handler that logs the records of a captured execution."""

    def emit(self, record: logging.LogRecord) -> None:
        log = _speaking.get()
        if log is None:
            return
        level = "ERROR" if record.levelno >= logging.ERROR else record.levelname
        with _silent():  # keeping a line may itself log
            log(level, record.getMessage())


class _Stdout:
    """``sys.stdout``, except that captured executions print to their logs."""

    def __init__(self, usual: TextIO) -> None:
        self._usual = usual

    def write(self, text: str) -> int:
        log = _speaking.get()
        if log is None:
            return self._usual.write(text)
        with _silent():
            log.write(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._usual, name)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    token = _speaking.set(None)
    try:
        yield
    finally:
        _speaking.reset(token)


@contextlib.contextmanager
def capture(log: Callable[[str, str], None]) -> Iterator[LineLog]:
    """Lead this thread's log records and prints to ``log(level, line)``."""
    root = logging.getLogger()
    if not any(isinstance(handler, _Records) for handler in root.handlers):
        root.addHandler(_Records())
    if not isinstance(sys.stdout, _Stdout):
        sys.stdout = _Stdout(sys.stdout)
    lines = LineLog(log)
    token = _speaking.set(lines)
    try:
        yield lines
    finally:
        _speaking.reset(token)
        lines.close()
