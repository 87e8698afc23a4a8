"""Running scripts in the sandbox directly, and what of them can be seen on the machine."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from providers.sandbox import recipe, sandbox


def run(text: str, *, python: bool = False, timeout: float = 10, aborted: Callable[[], bool] = lambda: False, **more):
    """Run a script in the sandbox."""
    command, readonly = ["/bin/bash"], []
    if python:
        interpreter, readonly = recipe.python()
        command = [interpreter, "-B"]
    return sandbox.run(
        [*command, "/job/script"],
        stdin=more.get("stdin", b""),
        env=more.get("env", {}),
        files={"/job/script": text.encode()},
        timeout=timeout,
        aborted=aborted,
        readonly=readonly,
    )


def processes(word: str, what: str = "cmdline") -> set[int]:
    """Every process of the machine that has the word in its command line (or environment)."""
    found = set()
    for path in Path("/proc").glob(f"[0-9]*/{what}"):
        with suppress(OSError):
            if word.encode() in path.read_bytes():
                found.add(int(path.parent.name))
    return found


def dead_children() -> set[int]:
    """Processes that have ended as children of this one and that nobody has waited for."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                found.add(int(path.parent.name))
    return found


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
