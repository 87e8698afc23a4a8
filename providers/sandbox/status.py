"""Finds out what bounds the memory of scripts on this machine.

A separate process checks (``python -m providers.sandbox.status``), because the check starts launchers and makes control
groups.
"""

import json
import subprocess
import sys

_PATIENCE = 60.0  # for a machine that is starting everything at once, seconds


def ask() -> tuple[str, str]:
    """The kind of this machine's sandbox, and the reason for ``none``.

    Kinds are ``none``, ``filter`` and ``cgroup``.
    """
    command = [sys.executable, "-m", "providers.sandbox.status"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=_PATIENCE)  # noqa: S603 - our own
        kind, reason = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return "none", str(error)
    return kind, reason


def _find_out() -> tuple[str, str]:
    from providers.sandbox import cgroup, sandbox  # the asking process needs neither

    reason = sandbox.probe()
    if reason is not None:
        return "none", reason
    return "filter" if cgroup.place() is None else "cgroup", ""


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_find_out()))
