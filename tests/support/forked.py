"""Processes for one test to freeze and kill, forked from one that has imported what they need.

To import the product takes an interpreter a second and more, longer than most of these processes live. In order of
time: the first ``start`` of a session makes the parent, which has imported nothing yet; for each process that is wanted
it is sent the module's name, its words and its environment, with the files that are its input and output; it imports
the module if no earlier process has, forks, and answers with the pid; the child calls the module's ``main``. ``end``
ends the parents. A process that has ended leaves no exit code.
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from tests.support.processes import ROOT, born, clean_environment, gone

#: what is read while modules are imported: each set of values has a parent of its own
_READ_EARLY = ("TOCSIN_ENV", "TOCSIN_VAR_DIR", "TOCSIN_REDIS_URL")
#: what a process of the test's own database has like the test
_OWN = (*_READ_EARLY, "TOCSIN_DATABASE_URL")
#: the largest message, bytes
_MOST = 1024 * 1024


class Child:
    """A forked process; what it offers is called as in ``subprocess.Popen``."""

    def __init__(self, pid: int, stdin: IO[str] | None, stdout: IO[str] | None) -> None:
        self.pid, self.stdin, self.stdout = pid, stdin, stdout
        self._born = born(pid)

    def poll(self) -> int | None:
        """None while it lives."""
        return 0 if gone(self.pid) or born(self.pid) != self._born else None

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it hard."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 60) -> None:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it has not ended.
        """
        give_up = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > give_up:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.002)

    def close(self) -> None:
        """Close its input and output."""
        for pipe in (self.stdin, self.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class _Parent:
    """The tests' side of a process that forks."""

    def __init__(self, early: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked", str(theirs.fileno())],
            cwd=ROOT,
            env=clean_environment(**early),
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def fork(self, module: str, words: tuple[str, ...], environment: Mapping[str, str], files: list[int]) -> int:
        """The pid of a process that runs ``main`` of a module, with these files as its input, output and errors."""
        asked = json.dumps([module, words, dict(environment)]).encode()
        assert len(asked) < _MOST
        socket.send_fds(self._socket, [asked], files)
        answer = self._socket.recv(100)
        assert answer, f"{module} cannot be imported, or the process that forks has ended"
        return int(answer)

    def end(self) -> None:
        """End it; no process that it has forked ends with it."""
        self._socket.close()
        self._process.wait(60)


_parents: dict[str, _Parent] = {}


def start(
    module: str, *words: str, takes_input: bool = False, output: Path | int | None = None, **environment: str
) -> Child:
    """A process that runs ``main(*words)`` of a module on the test's own database.

    Args:
        module: its full name.
        words: what ``main`` is given.
        takes_input: whether it has ``stdin``.
        output: a file, ``subprocess.PIPE`` for ``stdout``, or ``subprocess.DEVNULL`` for that and errors; None leaves
            it the output of the tests.
        environment: variables that differ from the test's.
    """
    values = {name: os.environ[name] for name in _OWN if name in os.environ}  # noqa: TID251
    values = clean_environment(**{**values, **environment})
    early = {name: values[name] for name in _READ_EARLY if name in values}
    key = json.dumps(early)
    if key not in _parents:
        _parents[key] = _Parent(early)
    with contextlib.ExitStack() as ours:
        nothing = os.open(os.devnull, os.O_RDWR)
        ours.callback(os.close, nothing)
        files, stdin, stdout = [nothing, 1, 2], None, None
        if takes_input:
            files[0], writing = os.pipe()
            ours.callback(os.close, files[0])
            stdin = os.fdopen(writing, "w")
        if output == subprocess.PIPE:
            reading, files[1] = os.pipe()
            ours.callback(os.close, files[1])
            stdout = os.fdopen(reading)
        elif output == subprocess.DEVNULL:
            files[1] = files[2] = nothing
        elif isinstance(output, Path):
            files[1] = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            ours.callback(os.close, files[1])
        return Child(_parents[key].fork(module, words, values, files), stdin, stdout)


def end() -> None:
    """End the processes that fork."""
    while _parents:
        _parents.popitem()[1].end()


def _main(number: str) -> None:
    asking = socket.socket(fileno=int(number))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no caller asks for their exit codes
    while True:
        asked, files, _, _ = socket.recv_fds(asking, _MOST, 3)
        if not asked:
            return
        module, words, environment = json.loads(asked)
        importlib.import_module(module)
        pid = os.fork()
        if pid == 0:
            asking.close()
            _live(module, words, environment, files)
        for file in files:
            os.close(file)
        asking.send(str(pid).encode())


def _live(module: str, words: list[str], environment: dict[str, str], files: list[int]) -> None:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.clear()  # noqa: TID251
        os.environ.update(environment)  # noqa: TID251
        for source, target in zip(files, (0, 1, 2), strict=True):
            os.dup2(source, target)
            os.close(source)
        from config.settings import settings

        settings.cache_clear()
        sys.modules[module].main(*words)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _main(sys.argv[1])
