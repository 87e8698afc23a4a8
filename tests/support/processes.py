"""Real processes for tests, each in a group that ends whole."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]


def clean_environment(**more: str) -> dict[str, str]:
    """The environment to run from this checkout, without the shell's settings."""
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}"  # noqa: TID251
    home = os.environ.get("HOME", "/tmp")  # noqa: TID251
    sources = f"{ROOT}:{ROOT / 'sdk'}"
    return {"PATH": path, "HOME": home, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "PYTHONPATH": sources} | more


def free_port() -> int:
    """A TCP port of the loopback interface on which no process listens.

    It lies below those that the kernel gives to outgoing connections: one of these might take it before it is used.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, max(lowest, 20_000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Process:
    """One command with its output in a log file."""

    def __init__(
        self,
        command: list[str],
        log: Path,
        *,
        env: Mapping[str, str],
        cwd: Path = ROOT,
        user: str | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=user,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, which is the id of its group too."""
        return self.popen.pid

    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def send(self, number: int) -> None:
        """Send a signal to the whole group; once it has stopped where that is the signal."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)
        if number == signal.SIGSTOP:
            eventually(lambda: all(map(_stands, _living(self.pid))), 10, f"group {self.pid} stands", every=0.001)

    def kill(self) -> None:
        """Kill the whole group and wait until no process of it runs."""
        self.send(signal.SIGKILL)
        self.wait(10)
        eventually(lambda: not _living(self.pid), 10, f"every process of group {self.pid} has ended", every=0.01)

    def wait(self, timeout: float) -> None:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it has not ended.
        """
        self.popen.wait(timeout)

    def end(self, *, grace: float = 5, with_signal: int = signal.SIGTERM) -> None:
        """Ask it to end, then end it and all its descendants."""
        family = descendants([self.pid])
        if self.alive():
            self.send(signal.SIGCONT)
            self.send(with_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait(grace)
        for pid, started in family.items():
            if born(pid) == started:  # not another process that got the number since
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.wait(10)


def end_all(processes: Iterable[Process], *, grace: float = 5) -> None:
    """Ask all to end at once, then see each of them off."""
    waiting = list(processes)
    for process in waiting:
        if process.alive():
            process.send(signal.SIGCONT)
            process.send(signal.SIGTERM)
    give_up = time.monotonic() + grace
    for process in waiting:
        process.end(grace=max(0.05, give_up - time.monotonic()))


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; empty without the process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def stop(pid: int) -> None:
    """Stop a process; it stands when this returns.

    The signal is taken by one thread as soon as that has a processor; until then the others go on.
    """
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: _stands(pid), 10, f"process {pid} stands", every=0.001)


def _stands(pid: int | str) -> bool:
    """Whether no thread of a process runs."""
    try:
        threads = [Path(path).read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:  # one of them has just ended
        return False
    return all(text.rpartition(")")[2].split()[0] in "TtZX" for text in threads)


def born(pid: int) -> str:
    """When a process started, in ticks since boot; unique with the pid."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def gone(pid: int) -> bool:
    """Whether a process has ended, collected by its parent or not."""
    return _stat(pid)[:1] in ([], ["Z"], ["X"])


def descendants(roots: Iterable[int]) -> dict[int, str]:
    """The roots and their living descendants, each with the time it started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: dict[int, str] = {}
    queue = list(roots)
    while queue:
        pid = queue.pop()
        if pid not in found and (started := born(pid)):
            found[pid] = started
            queue += children.get(pid, [])
    return found


def _living(group: int) -> list[str]:
    """The processes of a group that have not ended; zombies have."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                found.append(path.parent.name)
    return found
