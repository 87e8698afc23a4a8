"""What a function prints and logs becomes the log of its execution."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

Say = Callable[[str, str], None]


class _Printed:
    """``sys.stdout``: its lines become log lines."""

    encoding = "utf-8"

    def __init__(self, say: Say) -> None:
        self._say = say
        self._begun = ""

    def write(self, text: str) -> int:
        """Log what is printed, line by line."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(str.strip, lines):
            self._say("INFO", line)
        return len(text)

    def flush(self) -> None:
        """Nothing waits but the line that is not finished."""

    def isatty(self) -> bool:
        """Never."""
        return False

    def finish(self) -> None:
        """Log the line that is not finished."""
        if self._begun.strip():
            self._say("INFO", self._begun)


class _Records(logging.Handler):
    """Log records become log lines."""

    def __init__(self, say: Say) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say("ERROR" if record.levelno >= logging.ERROR else record.levelname, record.getMessage())


@contextlib.contextmanager
def captured(say: Say) -> Iterator[None]:
    """Lead this process's prints and log records to ``say(level, line)``."""
    root, printed, records = logging.getLogger(), _Printed(say), _Records(say)
    level = root.level
    root.addHandler(records)
    root.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(printed):
            yield
    finally:
        root.removeHandler(records)
        root.setLevel(level)
        printed.finish()
