"""Runs the API and the workers of one machine: ``python -m worker.supervisor NAME...``.

For example with the names ``web steps steps2 slow scripts control``. In order of time: everything that workers need is
imported, once; each worker is forked from there, so that all share that memory, and so is the API, which lets gevent
patch the library before it imports what it alone needs (``worker.forked.patching``); a process that ends is forked
again, after a pause that grows while it keeps dying; TERM is passed on, and the supervisor ends when its last child has
ended. A supervisor that is killed takes its children along.

The parent has one thread and no connection, only the socket on which the API listens, so no child inherits anything
half done. With one name there is no parent: the process is that worker itself, or gunicorn.
"""

import functools
import gc
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from config import logs
from config.settings import former_names, settings
from providers import registry
from store import redis
from store.engine import db
from tasks.app import app
from tasks.policy import meaning
from worker import roles
from worker.forked import forks, patching, web

#: the first pause before a child that died is started again, and the longest one, seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: a child that has lived this long is forgiven its earlier deaths, seconds
FORGIVEN_AFTER = 60.0
#: seconds between two looks at the signs of life
LOOK_EVERY = 5.0

#: the name of the API
WEB = "web"

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
    "worker.greenlets",
    "worker.intervals",
    "worker.pool",
)

log = logs.logger(__name__)


def main(names: list[str]) -> int:
    """Run these; returns the exit status."""
    given, names = names, [roles.present(name) for name in names]
    if not names or not all(map(_is_known, names)) or len(set(names)) < len(names):
        known = ", ".join((WEB, *roles.ROLES))
        sys.stderr.write(
            f"usage: python -m worker.supervisor NAME...   (of {known}; another of a kind: steps2, steps3)\n"
        )
        return 2
    _warn_of_former({old: new for old, new in zip(given, names, strict=True) if old != new} | former_names())
    if names == [WEB]:
        os.execv(sys.executable, [sys.executable, "-m", *web.COMMAND])  # noqa: S606 - it becomes gunicorn
    redis.refuse_unsound()
    if len(names) == 1:
        return roles.run(names[0])
    members = [ForkedProcess(name, functools.partial(roles.run, name)) for name in names if name != WEB]
    if WEB in names:
        try:
            members = [*_apis(members), *members]
        except OSError as error:
            sys.stderr.write(f"web: {settings().host}:{settings().port} cannot be listened on: {error.strerror}\n")
            return 1
    load()
    return Supervisor(members).run()


def _is_known(name: str) -> bool:
    return name == WEB or roles.of(name) is not None


def _warn_of_former(names: dict[str, str]) -> None:
    """Log which former names of workers and settings are still used."""
    if names:
        logs.configure("supervisor")
    for former, name in names.items():
        log.warning("deprecated worker name used; it stops working in the next release", former=former, name=name)


def _apis(workers: list["ForkedProcess"]) -> list["ForkedProcess"]:
    """The processes of the API, which share a socket that the workers do not keep open.

    Raises:
        OSError: this machine does not let the supervisor listen there.
    """
    listener = web.listen()
    for worker in workers:
        worker.first = listener.close
    noted = functools.cache(patching.note)  # before the first fork, when all has been imported
    return [_api(name, listener, noted) for name in web.names()]


def _api(name: str, listener: socket.socket, noted: Callable[[], patching.Noted]) -> "ForkedProcess":
    sign = web.Sign()
    return ForkedProcess(
        name,
        run=lambda: web.serve(listener, sign),
        first=lambda: patching.patch(noted()),
        before=noted,
        sign=sign,
        hopeless=web.HOPELESS,
    )


def load() -> None:
    """Import what every worker needs, and the API needs of it.

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
class ForkedProcess:
    """A child of the supervisor; ``pid`` is 0 while none runs."""

    name: str
    #: what the child does; returns its exit status
    run: Callable[[], int]
    #: what the child does before anything else
    first: Callable[[], None] | None = None
    #: what the supervisor does before the first fork, for that
    before: Callable[[], object] | None = None
    #: where it shows that it lives, if it does
    sign: web.Sign | None = None
    #: the exit statuses after which a restart would not help
    hopeless: tuple[int, ...] = ()
    pid: int = 0
    deaths: int = 0
    started_at: float = 0.0
    start_at: float = 0.0


class Supervisor:
    """The parent of the children."""

    def __init__(self, members: list[ForkedProcess]) -> None:
        self._members = members
        self._ending = False
        self._status = 0
        self._longest_wait = LOOK_EVERY if any(member.sign for member in members) else LONGEST_PAUSE

    def run(self) -> int:
        """Keep every child running until a signal to end.

        Returns 0 when the last one has ended; the status of a child that a restart would not help.
        """
        logs.configure("supervisor")
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        gc.collect()
        for member in self._members:
            if member.before:
                member.before()
        gc.freeze()  # a child's garbage collector leaves alone what it shares with the others
        while not self._ending or any(member.pid for member in self._members):
            pause = self._start_due()
            received = signal.sigtimedwait(_WATCHED, pause)
            if received and received.si_signo in _ENDING:
                self._end()
            self._bury()
            self._end_still()
        return self._status

    def _start_due(self) -> float:
        """Start the children that are due; returns the seconds until the next look."""
        waiting = [] if self._ending else [member for member in self._members if not member.pid]
        for member in waiting:
            if member.start_at <= time.monotonic():
                self._start(member)
        next_at = min((member.start_at for member in waiting if not member.pid), default=float("inf"))
        return max(0.0, min(next_at - time.monotonic(), self._longest_wait))

    def _start(self, member: ForkedProcess) -> None:
        member.started_at = time.monotonic()
        if member.sign:
            member.sign.begin()
        try:
            member.pid = forks.fork(member.first)
        except OSError:  # no memory, or too many processes: the others go on meanwhile
            member.start_at = member.started_at + LONGEST_PAUSE
            log.exception("process not started; trying again", name=member.name, seconds=LONGEST_PAUSE)
            return
        if member.pid:
            return
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        forks.call_this_process(member.name)
        sys.exit(member.run())

    def _end(self) -> None:
        self._ending = True
        for member in self._members:
            if member.pid:
                os.kill(member.pid, signal.SIGTERM)

    def _bury(self) -> None:
        """Record the deaths of the children that have ended."""
        for member in self._members:
            pid, status = os.waitpid(member.pid, os.WNOHANG) if member.pid else (0, 0)
            if not pid:
                continue
            member.pid = 0
            if self._ending:
                continue
            now, code = time.monotonic(), os.waitstatus_to_exitcode(status)
            if code in member.hopeless:
                log.error("process cannot start; ending", name=member.name, code=code)
                self._status = code
                self._end()
                continue
            member.deaths = 1 if now - member.started_at > FORGIVEN_AFTER else member.deaths + 1
            pause = min(FIRST_PAUSE * 2.0 ** (member.deaths - 1), LONGEST_PAUSE)
            member.start_at = now + pause
            log.error("worker ended; restarting it", name=member.name, code=code, seconds=pause)

    def _end_still(self) -> None:
        """End a child that has shown no sign of life for too long: ABRT lets Python say where it was."""
        for member in self._members:
            if member.pid and member.sign and member.sign.age() > web.STANDS_STILL:
                hard = member.sign.age() > web.STANDS_STILL + LOOK_EVERY
                log.error("process stands still; ending it", name=member.name, seconds=round(member.sign.age()))
                os.kill(member.pid, signal.SIGKILL if hard else signal.SIGABRT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
