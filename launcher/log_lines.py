"""Shows trouble from the processes' log files in the terminal, once.

Each trouble is one line. Each process writes to its own file, so that no process depends on a reader. Our own processes
write JSON lines; gunicorn, Flower and a Python that ends with a traceback write text.
"""

import json
import re
import time
from collections import deque
from pathlib import Path

_BAD_LEVELS = {"warning", "error", "critical"}
_BAD_TEXT = re.compile(r"^\[[EC] |\[(?:ERROR|CRITICAL)\]")
_TRACEBACK = "Traceback (most recent call last):"
#: seconds during which a line is not repeated
_SILENCE = 60.0
#: most lines of one file within these seconds: one cause, such as a lost broker, has many complaints
_LINES, _SECONDS = 3, 10.0
_LONGEST = 200
#: loggers of warnings that report no trouble of Tocsin: of libraries to their users, about which this reader could do
#: nothing, and of providers of kind ``log``, which write what they have to
_NO_TROUBLE = {"py.warnings", "providers.inner.log"}
#: the members of a JSON line that name what it is about
_IDS = ("name", "playbook_id", "action_id", "execution_id", "queue", "table")


class LogTail:
    """The new lines of one log file that report trouble."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = 0
        self._rest = b""
        self._in_traceback = False
        self._said: dict[str, float] = {}
        self._times: deque[float] = deque(maxlen=_LINES)

    def news(self) -> list[str]:
        """The lines about trouble since the last call.

        Each comes once a minute at most, and few at a time.
        """
        now = time.monotonic()
        fresh = []
        for line in self._new_lines():
            text = self._trouble(line)
            if text and now - self._said.get(text, -_SILENCE) >= _SILENCE:
                self._said[text] = now
                fresh.append(text)
        return [text for text in fresh if self._may_speak(now)]

    def _may_speak(self, now: float) -> bool:
        if len(self._times) == _LINES and now - self._times[0] < _SECONDS:
            return False
        self._times.append(now)
        return True

    def _new_lines(self) -> list[str]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                data = file.read()
        except OSError:
            return []
        self._position += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def _trouble(self, line: str) -> str:
        """The trouble that a line reports; empty if it reports none."""
        if line.startswith("{"):
            return trouble_in_json(line)
        if line.startswith(_TRACEBACK):
            self._in_traceback = True
            return ""
        if self._in_traceback and line[:1].strip():  # the first line that is not indented names the error
            self._in_traceback = False
            return line[:_LONGEST]
        return line[:_LONGEST] if _BAD_TEXT.search(line) else ""


def trouble_in_json(line: str) -> str:
    """The event of a JSON log line of level warning or worse.

    It is followed by the ids that it is about, its reason, and the error that it ends in.
    """
    try:
        entry = json.loads(line)
    except ValueError:
        return ""
    if not isinstance(entry, dict) or str(entry.get("level", "")).lower() not in _BAD_LEVELS:
        return ""
    if entry.get("logger") in _NO_TROUBLE:
        return ""
    ids = ", ".join(str(entry[name]) for name in _IDS if entry.get(name))
    parts = [str(entry[name]) for name in ("worker", "event", "reason", "error") if entry.get(name)]
    if ids and entry.get("event"):
        parts[parts.index(str(entry["event"]))] += f" ({ids})"
    parts += [line for line in str(entry.get("exception", "")).splitlines() if line.strip()][-1:]
    return ": ".join(" ".join(part.split()) for part in parts)[:_LONGEST]


def last_lines(path: Path, count: int = 15) -> str:
    """The end of a log file, for a person."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(line[:300] for line in lines[-count:])
