"""Machines whose clocks a test sets, by a preloaded library."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

from tests.support.processes import ROOT
from tests.support.services import Missing

_SOURCE = ROOT / "tests" / "support" / "clockshift.c"


def library(directory: Path) -> Path:
    """Compile the library; returns where it is.

    Raises:
        Missing: there is no compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise Missing("no C compiler (cc) to set clocks with")
    made = directory / "clockshift.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-Wall", "-Werror", "-o", made, _SOURCE], check=True)
    return made


class Machine:
    """A machine with its own clock; ``settings`` puts a process on it."""

    def __init__(self, directory: Path, preloaded: Path, name: str = "") -> None:
        self._file = directory / f"clock-{name or 'here'}"
        self.name = name or os.uname().nodename
        self.set(0)
        self.settings = {"LD_PRELOAD": str(preloaded), "CLOCK_SHIFT": str(self._file), "CLOCK_HOSTNAME": self.name}

    def set(self, seconds: float) -> None:
        """Set its processes' wall clock this much after the true time."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("q", int(seconds * 1e9)))
