"""Whether the database accepts writes.

It may answer and accept none, when its disk is full or it is a read-only copy. A small write every few seconds finds
that out, as long as requests ask for it, and in the background, because a write may have to wait. Requests get the
result of the last one.
"""

import os
import secrets
import socket
import threading
import time

from config import logs
from config.errors import Unavailable
from store import worker_processes
from store.engine import db

#: between two writes, seconds; and their size, about that of an accepted execution, in bytes
EVERY, SIZE = 2.0, 4096

log = logs.logger(__name__)


class Writes:
    """The writer of test rows; one per process."""

    def __init__(self) -> None:
        #: whether the last write succeeded
        self.taken = True
        #: of the row; no other process has one of that name, in whatever container it runs
        self._name = f"api@{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._lock = threading.Lock()
        self._tried_at = float("-inf")
        self._thread: threading.Thread | None = None

    def look(self) -> bool:
        """Whether the last write succeeded; starts the next when due."""
        with self._lock:
            if self._thread is None and time.monotonic() - self._tried_at > EVERY:
                self._thread = threading.Thread(target=self._try, name="health", daemon=True)
                self._thread.start()
        return self.taken

    def drain(self, seconds: float) -> bool:
        """Wait at most ``seconds`` until no write is under way.

        Returns whether that is so.
        """
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return self._thread is None

    def _try(self) -> None:
        try:
            with db.write() as connection:
                worker_processes.try_write(connection, self._name, secrets.token_hex(SIZE // 2))
            taken = True
        except Unavailable as error:
            taken = False
            if self.taken:
                log.warning("database refuses writes", reason=str(error))
        finally:
            self._tried_at, self._thread = time.monotonic(), None
        self.taken = taken
