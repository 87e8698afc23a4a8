"""Scripts run in the sandbox directly, and their traces on the machine."""

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
    """Every process with the word in its command line (or environment)."""
    found = set()
    for path in Path("/proc").glob(f"[0-9]*/{what}"):
        with suppress(OSError):
            if word.encode() in path.read_bytes():
                found.add(int(path.parent.name))
    return found


def dead_children() -> set[int]:
    """Launchers and sandboxed processes that are zombies of this process.

    Others may end at any time: whatever an earlier test has started and left becomes a child of this process.
    """
    found = set()
    for path in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            status = dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)
            is_ours = status["State"].startswith("Z") and int(status["PPid"]) == os.getpid()
            # a launcher that is run from a memory file is called like the file's number
            launcher = status["Name"] == "bwrap" or status["Name"].isdecimal()
            if is_ours and (launcher or len(status["NSpid"].split()) > 1):
                found.add(int(path.parent.name))
    return found


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
