"""Registers the examples as an operator does: ``python -m launcher.load examples``.

It is a process of its own: the launcher, which runs as long as everything else, needs none of what that loads.
"""

import subprocess
import sys

from launcher.environment import ROOT
from launcher.terminal import LauncherError

FOLDER = ROOT / "examples"
#: the variable by which the examples' actions name the systems that they call
_SYSTEMS = "SYSTEMS_URL"


def register(workspace: str, systems: str) -> str:
    """Register the examples with ``systems`` as the URL of what they call; returns the summary.

    Raises:
        LauncherError: they were refused; the message has every fault.
    """
    command = [sys.executable, "-m", "launcher.load", str(FOLDER), "--workspace", workspace]
    done = subprocess.run(  # noqa: S603 - our own words
        [*command, "--set", f"{_SYSTEMS}={systems}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LauncherError(f"The examples were refused:\n{done.stdout}{done.stderr}")
    return done.stdout.rstrip().rpartition("\n")[2]
