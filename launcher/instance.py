"""One launcher for each var folder: a lock, and its facts.

The lock is released when its process dies; the facts are what a second launcher needs to know.
"""

import fcntl
import json
import os
from pathlib import Path
from typing import IO, Any


class Instance:
    """The lock ``var/launcher.lock``, with the addresses of its launcher."""

    def __init__(self, var: Path) -> None:
        self._path = var / "launcher.lock"
        self._file: IO[str] | None = None

    def take(self) -> bool:
        """Take the lock; false when another launcher has it."""
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        self.publish({})
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def publish(self, facts: dict[str, Any]) -> None:
        """Write the addresses of what runs here."""
        assert self._file is not None
        self._file.seek(0)
        self._file.truncate()
        json.dump({"pid": os.getpid(), **facts}, self._file)
        self._file.flush()

    def facts(self) -> dict[str, Any]:
        """The facts of the launcher that has the lock.

        They have at least its ``pid`` once it has begun.
        """
        try:
            facts = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}
