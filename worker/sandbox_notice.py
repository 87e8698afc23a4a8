"""Publishes what bounds the memory of scripts on this machine.

In order of time: the worker of scripts asks at its start (``providers.sandbox.status``), logs the answer, and repeats
it in Redis while it lives; the API shows the weakest of all living workers in ``/health``.
"""

import threading

from config import logs
from providers.sandbox import status
from store import sandbox_kinds
from worker.forked.forks import between_forks

#: how often a worker publishes it, seconds
EVERY = 30.0

log = logs.logger(__name__)


class Notice(threading.Thread):
    """The thread that publishes until the process ends."""

    def __init__(self, worker: str) -> None:
        super().__init__(name="sandbox-notice", daemon=True)
        self._worker = worker
        self._ended = threading.Event()

    def run(self) -> None:
        """Find out, log it, and publish it at intervals."""
        with between_forks():
            kind, reason = status.ask()
        if kind == "none":
            log.warning("scripts cannot run on this machine", sandbox=kind, reason=reason)
        else:
            log.info("scripts run with a memory limit", sandbox=kind)
        while not self._ended.is_set():
            with between_forks():
                sandbox_kinds.keep(self._worker, kind)
            self._ended.wait(EVERY)

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
