"""Where the time goes: py-spy during a burst, with ``--profile``."""

import argparse
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from layouts import Layout
from processes import BenchError


@contextmanager
def profiled(layout: Layout, options: argparse.Namespace, work: str, say: Callable[[str], None]) -> Iterator[None]:
    """Sample the GIL of processes during the block, at a cost."""
    if not options.profile:
        yield
        return
    command = shutil.which("py-spy")
    if not command:
        raise BenchError("--profile needs py-spy on PATH: pip install py-spy")
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{layout.name.replace(' ', '-').lower()}-{work}-{options.profile}.txt"
    target = ["--pid", str(pid_of(layout, options.profile))]
    sampler = subprocess.Popen(
        [command, "record", *target, "--gil", "--format", "raw", "--output", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        sampler.send_signal(signal.SIGINT)  # py-spy writes its file then
        sampler.wait(60)
    say(f"profile of {options.profile} (collapsed stacks): {path}")


def pid_of(layout: Layout, part: str) -> int:
    """The process to sample: the API, or the first worker for quick calls."""
    wanted = {"web": "web", "workers": "steps"}[part]
    named = [pid for pid in layout.processes.pids() if Path(f"/proc/{pid}/comm").read_text().strip() == wanted]
    return min(named) if named else layout.processes.running[part].pid
