"""Prints the launcher's lines, with the seconds since the command began.

Colours appear on a terminal only.
"""

import sys
import time

_COLOURS = {"good": "32", "bad": "31", "careful": "33", "quiet": "2"}
#: the indentation of details, so that they begin where the text of a line begins
_INDENT = " " * 9


class Terminal:
    """The lines of one command.

    ``since`` is the ``time.monotonic()`` at which it began.
    """

    def __init__(self, since: float | None = None) -> None:
        self._since = time.monotonic() if since is None else since
        self._colours = sys.stdout.isatty()

    def say(self, text: str, mood: str = "") -> None:
        """Print a line with the time.

        ``mood`` is good, bad, careful, quiet or nothing.
        """
        print(f"[{time.monotonic() - self._since:5.1f}s] {self.painted(text, mood)}", flush=True)

    def detail(self, text: str, mood: str = "") -> None:
        """Print details of the line before, each line indented."""
        for line in text.splitlines():
            print(_INDENT + self.painted(line, mood), flush=True)

    def painted(self, text: str, mood: str) -> str:
        """The text in the colour of its mood, if colours are visible."""
        return f"\033[{_COLOURS[mood]}m{text}\033[0m" if mood and self._colours else text


class LauncherError(Exception):
    """The command cannot go on; its message says why."""
