"""A preloaded parent forks workers like the supervisor, for tests.

Starting a worker costs a second and a half of importing; a test that kills and starts many saves that. The nursery is
a process that imports once, reads a line with a worker's name, a log file and settings of its own for each that is
wanted, and answers with the pid. Unlike the supervisor it lets the dead rest. Before the first worker it makes the
database and an administrator's key, which spares two interpreters that would import the same.
"""

import faulthandler
import gc
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

from tests.support.processes import ROOT, Process, born, gone

#: settings that a worker reads after it was forked, and that one worker may thus have for itself
READ_LATE = {"TOCSIN_DRAIN_SECONDS", "TOCSIN_SCRIPTS_CONCURRENCY", "TOCSIN_STEPS_CONCURRENCY"}


class Forked(Process):
    """A worker forked by the nursery, not a child of the tests."""

    def __init__(self, pid: int, log: Path) -> None:
        self.log = log
        self._pid, self._born = pid, born(pid)

    @property
    def pid(self) -> int:
        """The process id, which is the id of its group too."""
        return self._pid

    def alive(self) -> bool:
        """Whether it has not ended."""
        return bool(self._born) and born(self._pid) == self._born and not gone(self._pid)

    def wait(self, timeout: float) -> None:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it has not ended.
        """
        give_up = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > give_up:
                raise subprocess.TimeoutExpired(f"worker {self._pid}", timeout)
            time.sleep(0.01)

    def send(self, number: int) -> None:
        """Send a signal to the whole group, unless its number was reused."""
        if born(self._pid) in ("", self._born):
            super().send(number)


class Nursery:
    """The tests' side of it."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self._log = (directory / "nursery.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.nursery"],
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )

    def start(self, worker: str, log: Path, settings: Mapping[str, str]) -> Forked:
        """Fork a worker with these settings; its output is appended to ``log``."""
        assert settings.keys() <= READ_LATE
        return Forked(int(self._answer(worker, str(log), dict(settings))), log)

    def make_key(self) -> str:
        """Migrate the database like ``release``, and make a workspace and administrator's key."""
        return self._answer()

    def _answer(self, *asked: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer, f"the nursery has ended: {Path(self._log.name).read_text()[-2000:]}"
        return answer

    def end(self) -> None:
        """End it; what it has forked lives on."""
        self._process.communicate(timeout=20)
        self._log.close()


def _main() -> None:
    gc.disable()
    from worker import supervisor

    supervisor.load()
    gc.freeze()  # as the supervisor does: what is forked leaves alone what it shares
    gc.enable()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no caller asks for their exit codes
    for line in sys.stdin:
        asked = json.loads(line)
        if os.fork() == 0:
            _live(*asked) if asked else _make_key()


def _make_key() -> None:
    from store import access, migrate
    from store.engine import db

    try:
        migrate.upgrade()
        with db.write() as connection:
            access.ensure_workspace(connection, "tests", "Tests")
            everything = '[{"tenants": ["*"]}]'
            of_whom = {
                "workspace_id": "tests",
                "name": "tests",
                "role": "admin",
                "actor": "tests",
                "grants": everything,
            }
            key = access.create_key(connection, scopes=[], expires_at=None, **of_whom)[1]
        os.write(1, f"{key}\n".encode())
    except BaseException:
        traceback.print_exc()
        os.write(1, b"\n")
    os._exit(0)


def _live(worker: str, log: str, own: dict[str, str]) -> None:
    from config.settings import settings
    from worker import supervisor

    os.environ.update(own)  # noqa: TID251
    settings.cache_clear()

    os.setsid()
    os.write(1, f"{os.getpid()}\n".encode())  # from here on it can be killed with its group
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    faulthandler.register(signal.SIGRTMIN)  # where each thread is, asked by a test that waits in vain
    sys.exit(supervisor.main([worker]))


if __name__ == "__main__":
    _main()
