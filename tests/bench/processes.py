"""The processes of one product under measurement: started, watched through /proc, stopped.

Everything is started in a session of its own with its output in a log file. What belongs to the product is
found by walking parents down to children, because PostgreSQL's backends leave their process group.
"""

import contextlib
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent.parent
TICKS = os.sysconf("SC_CLK_TCK")

sys.path.append(str(ROOT))  # the bench is started by its path, which makes its own folder the one that is searched

from tests.support.processes import free_port  # noqa: E402, F401 - the other modules import it from here


class BenchError(Exception):
    """Something under measurement did not start or did not do its work."""


class Processes:
    """A named set of running commands; as a context manager ends all."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = dict(environment)
        self.running: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self.running)):  # servers were started first, they end last
            self.stop(name, grace=3)

    def start(self, name: str, command: list[str] | str, cwd: Path = ROOT, user: str | None = None) -> None:
        """Run a command (a string goes through the shell) until ``stop``."""
        with (self.directory / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command,
                shell=isinstance(command, str),
                cwd=cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user,
                start_new_session=True,
            )

    def run(self, command: list[str], cwd: Path = ROOT, timeout: float = 120) -> str:
        """Run a command to its end and return its output."""
        done = subprocess.run(
            command,
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise BenchError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
        return done.stdout

    def begin(self, command: list[str]) -> subprocess.Popen:
        """Run a command that is talked to; the caller awaits its end."""
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdin=pipe, stdout=pipe, text=True)

    def stop(self, *names: str, grace: float = 5) -> None:
        """End the named commands and their descendants, after ``grace`` seconds by force."""
        going = [self.running.pop(name) for name in names]
        family = tree(process.pid for process in going)
        for process in going:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        end = time.monotonic() + grace
        for process in going:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.05, end - time.monotonic()))
        for pid, started in family.items():
            if birth(pid) == started:  # not another process that got the number since
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for process in going:
            process.wait()

    def check(self) -> None:
        """Raise when one of the commands has ended by itself."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise BenchError(f"{name} ended with {process.returncode}:\n{self.log_tail(name)}")

    def log_tail(self, name: str, size: int = 3000) -> str:
        """The last of what a command printed."""
        return (self.directory / f"{name}.log").read_text(errors="replace")[-size:]

    def log_tails(self) -> str:
        """The last of what every command printed."""
        return "\n".join(f"--- {name}\n{self.log_tail(name)}" for name in self.running)

    def pids(self, *names: str) -> list[int]:
        """The processes of the named commands (default: all), children included."""
        chosen = names or tuple(self.running)
        return list(tree(self.running[name].pid for name in chosen))

    def cpu_seconds(self) -> float:
        """CPU time of all processes so far, ended and awaited children included."""
        return sum(self.cpu_by_name().values())

    def cpu_by_name(self) -> dict[str, float]:
        """The same for each command with its children."""
        return {name: sum(map(cpu_of, self.pids(name))) for name in self.running}

    def pss_mib(self) -> dict[str, float]:
        """Proportional memory of each command with its children, in MiB."""
        return {name: sum(memory_of(pid)["Pss"] for pid in self.pids(name)) / 1024 for name in self.running}

    def memory_by_process(self) -> dict[str, dict[str, float]]:
        """``Pss`` and ``Rss`` in MiB of each command and its children.

        The children are numbered by age: ``web``, ``web.1``, ``web.2``.
        """
        found, children = {}, children_of_all()
        for name, process in self.running.items():
            families = [[process.pid], *(tree([child]) for child in sorted(children.get(process.pid, [])))]
            for number, family in enumerate(families):
                memories = [memory_of(pid) for pid in family]
                sums = {kind: sum(memory[kind] for memory in memories) / 1024 for kind in ("Pss", "Rss")}
                found[f"{name}.{number}" if number else name] = sums
        return found


def stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on; empty without the process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def birth(pid: int) -> str:
    """When a process started, in ticks since boot; unique with the pid."""
    fields = stat_fields(pid)
    return fields[19] if fields else ""


def children_of_all() -> dict[int, list[int]]:
    """The children of every process of the machine."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat_fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    return children


def tree(roots: Iterable[int]) -> dict[int, str]:
    """The roots and their living descendants, each with its ``birth``."""
    children = children_of_all()
    found: dict[int, str] = {}
    queue = list(roots)
    while queue:
        pid = queue.pop()
        if pid not in found and (started := birth(pid)):
            found[pid] = started
            queue += children.get(pid, [])
    return found


def cpu_of(pid: int) -> float:
    """User and system seconds of a process and of its ended children."""
    return sum(map(int, stat_fields(pid)[11:15])) / TICKS


def memory_of(pid: int) -> dict[str, int]:
    """A process's memory in KiB: ``Rss``, and ``Pss`` (shared pages by share)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        lines = []
    found = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    return {name: int(found.get(name, "0").split()[0]) for name in ("Pss", "Rss")}


def busy_seconds() -> float:
    """CPU time the whole machine has spent on anything but idling."""
    user, nice, system, _idle, _wait, interrupt, soft = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + interrupt + soft) / TICKS


def environment(**more: str) -> dict[str, str]:
    """Our environment without any TOCSIN_ setting, this interpreter's commands first on PATH."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}  # noqa: TID251
    bin_dir = str(Path(sys.executable).parent)
    return kept | {"PATH": f"{bin_dir}:{kept.get('PATH', '')}", "PYTHONUNBUFFERED": "1"} | more


def machine_facts() -> dict[str, object]:
    """What the figures were measured on."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split("\n", 1)[0].split()[1]
    return {
        "cpu": model[0].partition(":")[2].strip() if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": int(memory) // 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
