"""What the launcher says: plain lines with the seconds since the command began, colours on a terminal only."""

import sys
import time

_COLOURS = {"good": "32", "bad": "31", "careful": "33", "quiet": "2"}
#: how far details stand in, so that they begin where the text of a line begins
_INDENT = " " * 9


class Terminal:
    """The lines of one command; ``since`` is the ``time.monotonic()`` at which it began."""

    def __init__(self, since: float | None = None) -> None:
        self._since = time.monotonic() if since is None else since
        self._colours = sys.stdout.isatty()

    def say(self, text: str, mood: str = "") -> None:
        """A line with the time; ``mood`` is good, bad, careful, quiet or nothing."""
        print(f"[{time.monotonic() - self._since:5.1f}s] {self.painted(text, mood)}", flush=True)

    def detail(self, text: str, mood: str = "") -> None:
        """More about the line before, each line of it indented."""
        for line in text.splitlines():
            print(_INDENT + self.painted(line, mood), flush=True)

    def painted(self, text: str, mood: str) -> str:
        """The text in the colour of its mood, where colours can be seen."""
        return f"\033[{_COLOURS[mood]}m{text}\033[0m" if mood and self._colours else text


class LauncherError(Exception):
    """The command cannot go on; the message is for the person at the terminal."""
