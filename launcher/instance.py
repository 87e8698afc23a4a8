"""One launcher for each var folder: a lock that dies with its holder, and what the second one needs to know."""

import fcntl
import json
import os
from pathlib import Path
from typing import IO, Any


class Instance:
    """The lock ``var/launcher.lock``; its contents publish others how to reach what runs here."""

    def __init__(self, var: Path) -> None:
        self._path = var / "launcher.lock"
        self._file: IO[str] | None = None

    def take(self) -> bool:
        """Become the one; false when another one is running."""
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
        """Let another one in."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def publish(self, facts: dict[str, Any]) -> None:
        """Write down how to reach what runs here."""
        assert self._file is not None
        self._file.seek(0)
        self._file.truncate()
        json.dump({"pid": os.getpid(), **facts}, self._file)
        self._file.flush()

    def facts(self) -> dict[str, Any]:
        """What the running one has written down; at least its ``pid`` once it has begun."""
        try:
            facts = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}
