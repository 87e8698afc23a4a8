"""What bounds the memory of scripts on each machine: found out once at a worker's start, logged, told to ``/health``.

In order of time: a worker of scripts asks a process of its own (``python -m providers.sandbox_status``), because
looking starts launchers and makes control groups; it logs the answer and keeps it in Redis while it lives; the API
shows the weakest of all living workers.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterable

from redis.exceptions import RedisError

from config import logs
from store import redis

#: from the weakest: no script can run; the filter of system calls and the watch; also a control group for each script
KINDS = ("none", "filter", "cgroup")
#: how often a worker repeats itself, and how long it is believed, seconds
EVERY, GOOD_FOR = 30.0, 120
_PATIENCE = 60.0  # for a machine that is starting everything at once, seconds

log = logs.logger(__name__)


class Notice(threading.Thread):
    """Tells what bounds scripts here until the process ends."""

    def __init__(self, worker: str) -> None:
        super().__init__(name="sandbox-notice", daemon=True)
        self._worker = worker
        self._ended = threading.Event()

    def run(self) -> None:
        """Find out, log it, and repeat it."""
        kind, reason = ask()
        if kind == "none":
            log.warning("scripts cannot run on this machine", sandbox=kind, reason=reason)
        else:
            log.info("the memory of scripts is bounded", sandbox=kind)
        while not self._ended.is_set():
            tell(self._worker, kind)
            self._ended.wait(EVERY)

    def stop(self) -> None:
        """End."""
        self._ended.set()


def ask() -> tuple[str, str]:
    """The kind that holds on this machine, and why where it is ``none``."""
    command = [sys.executable, "-m", "providers.sandbox_status"]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=_PATIENCE)  # noqa: S603 - our own
        kind, reason = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return "none", str(error)
    return kind, reason


def tell(worker: str, kind: str) -> None:
    """Keep it for ``/health``; while Redis is away nobody hears."""
    try:
        redis.client().set(_key(worker), kind, ex=GOOD_FOR)
    except RedisError:
        log.debug("what bounds scripts is told to nobody: Redis is away")


def told(workers: Iterable[str]) -> str | None:
    """The weakest kind that these workers have told; None where none of them runs scripts, or Redis is away."""
    keys = [_key(worker) for worker in workers]
    try:
        kinds = redis.client().mget(keys) if keys else []
    except RedisError:
        return None
    return min((kind for kind in kinds if kind in KINDS), key=KINDS.index, default=None)


def _key(worker: str) -> str:
    return f"tocsin:sandbox:{worker}"


def _find_out() -> tuple[str, str]:
    from providers import sandbox, sandbox_cgroup  # the API, which only reads what workers tell, needs neither

    reason = sandbox.probe()
    if reason is not None:
        return "none", reason
    return "filter" if sandbox_cgroup.place() is None else "cgroup", ""


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_find_out()))
