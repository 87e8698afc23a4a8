"""Runs the workers of one machine: ``python -m worker.supervisor NAME...``.

For example with the names ``steps steps2 slow scripts control``. In order of time: everything that workers need is
imported, once; each worker is forked from there, so that all share that memory; a worker that ends is forked again,
after a pause that grows while it keeps dying; TERM is passed on, and the supervisor ends when its last worker has
ended. A supervisor that is killed takes its workers along.

The parent has one thread and no connection, so no child inherits anything half done. With one name there is no parent:
the process is that worker itself.
"""

import gc
import importlib
import os
import signal
import sys
import time
from dataclasses import dataclass

from config import logs
from config.settings import former_names
from providers import registry
from store import redis
from store.engine import db
from tasks.app import app
from tasks.policy import meaning
from worker import boot, roles

#: the first pause before a worker that died is started again, and the longest one, seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: a worker that has lived this long is forgiven its earlier deaths, seconds
FORGIVEN_AFTER = 60.0

_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_WATCHED = {*_ENDING, signal.SIGCHLD}

#: what workers import when they start, those of a pool included, and when they first open a secret
_SHARED = (
    "billiard.heap",
    "billiard.popen_fork",
    "billiard.sharedctypes",
    "billiard.synchronize",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.apps.worker",
    "celery.backends.redis",
    "celery.beat",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "celery.events.receiver",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "cffi.cparser",  # every process of a pool parses a declaration, and with it a parser's tables
    "cryptography.fernet",
    "worker.consumer",
    "worker.intervals",
)

log = logs.logger(__name__)


def main(names: list[str]) -> int:
    """Run these workers; returns the exit status."""
    given, names = names, [roles.present(name) for name in names]
    if not names or not all(map(roles.of, names)) or len(set(names)) < len(names):
        known = ", ".join(roles.ROLES)
        sys.stderr.write(
            f"usage: python -m worker.supervisor NAME...   (of {known}; another of a kind: steps2, steps3)\n"
        )
        return 2
    _warn_of_former({old: new for old, new in zip(given, names, strict=True) if old != new} | former_names())
    redis.refuse_unsound()
    if len(names) == 1:
        return roles.run(names[0])
    load()
    return Supervisor(names).run()


def _warn_of_former(names: dict[str, str]) -> None:
    """Log which former names of workers and settings are still used."""
    if names:
        logs.configure("supervisor")
    for former, name in names.items():
        log.warning("deprecated worker name used; it stops working in the next release", former=former, name=name)


def load() -> None:
    """Import what every worker needs.

    Nothing here opens a connection or starts a thread.
    """
    for name in _SHARED:
        importlib.import_module(name)
    app.loader.import_default_modules()
    app.finalize()
    registry.load_all()
    db.load_driver()
    meaning.load_shared()


@dataclass
class ForkedWorker:
    """A worker of the supervisor; ``pid`` is 0 while none runs."""

    name: str
    pid: int = 0
    deaths: int = 0
    started_at: float = 0.0
    start_at: float = 0.0


class Supervisor:
    """The parent of the workers."""

    def __init__(self, names: list[str]) -> None:
        self._members = [ForkedWorker(name) for name in names]
        self._ending = False

    def run(self) -> int:
        """Keep every worker running until a signal to end.

        Returns 0 when the last one has ended.
        """
        logs.configure("supervisor")
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        gc.collect()
        gc.freeze()  # a child's garbage collector leaves alone what it shares with the others
        while not self._ending or any(member.pid for member in self._members):
            pause = self._start_due()
            received = signal.sigtimedwait(_WATCHED, pause)
            if received and received.si_signo in _ENDING:
                self._end()
            self._bury()
        return 0

    def _start_due(self) -> float:
        """Start the workers that are due; returns the seconds until the next."""
        waiting = [] if self._ending else [member for member in self._members if not member.pid]
        for member in waiting:
            if member.start_at <= time.monotonic():
                self._start(member)
        next_at = min((member.start_at for member in waiting if not member.pid), default=float("inf"))
        return max(0.0, min(next_at - time.monotonic(), LONGEST_PAUSE))

    def _start(self, member: ForkedWorker) -> None:
        parent = os.getpid()
        member.started_at = time.monotonic()
        try:
            member.pid = os.fork()
        except OSError:  # no memory, or too many processes: the others go on meanwhile
            member.start_at = member.started_at + LONGEST_PAUSE
            log.exception("worker not started; trying again", name=member.name, seconds=LONGEST_PAUSE)
            return
        if member.pid:
            return
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        boot.end_with_parent()
        if os.getppid() != parent:  # it was killed before this child was tied to it
            sys.exit(1)
        sys.exit(roles.run(member.name))

    def _end(self) -> None:
        self._ending = True
        for member in self._members:
            if member.pid:
                os.kill(member.pid, signal.SIGTERM)

    def _bury(self) -> None:
        """Record the deaths of the workers that have ended."""
        for member in self._members:
            pid, status = os.waitpid(member.pid, os.WNOHANG) if member.pid else (0, 0)
            if not pid:
                continue
            member.pid = 0
            if self._ending:
                continue
            now = time.monotonic()
            member.deaths = 1 if now - member.started_at > FORGIVEN_AFTER else member.deaths + 1
            pause = min(FIRST_PAUSE * 2.0 ** (member.deaths - 1), LONGEST_PAUSE)
            member.start_at = now + pause
            code = os.waitstatus_to_exitcode(status)
            log.error("worker ended; restarting it", name=member.name, code=code, seconds=pause)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
