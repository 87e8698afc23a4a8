"""What bounds the memory of scripts here: found out once at a worker's start, logged, kept for ``/health``.

In order of time: the worker of scripts asks (``providers.sandbox.status``), logs the answer, and repeats it in Redis
while it lives; the API shows the weakest of all living workers.
"""

import threading

from config import logs
from providers.sandbox import status
from store import sandbox_kinds

#: how often a worker repeats itself, seconds
EVERY = 30.0

log = logs.logger(__name__)


class Notice(threading.Thread):
    """Tells what bounds scripts here until the process ends."""

    def __init__(self, worker: str) -> None:
        super().__init__(name="sandbox-notice", daemon=True)
        self._worker = worker
        self._ended = threading.Event()

    def run(self) -> None:
        """Find out, log it, and repeat it."""
        kind, reason = status.ask()
        if kind == "none":
            log.warning("scripts cannot run on this machine", sandbox=kind, reason=reason)
        else:
            log.info("the memory of scripts is bounded", sandbox=kind)
        while not self._ended.is_set():
            sandbox_kinds.keep(self._worker, kind)
            self._ended.wait(EVERY)

    def stop(self) -> None:
        """End."""
        self._ended.set()
