"""The roles of workers, their queues, and running one in this process.

A worker is called after its role; further ones of the same role on a machine carry a number (``steps2``).

A role is what ``celery -A worker worker -n NAME@%h -Q QUEUES -P POOL -c CONCURRENCY`` would say on a command line;
built here it spares every worker the command line's own libraries, which are a sixth of its memory.
"""

import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import signals

from config.settings import settings
from tasks.app import app
from tasks.messages.routing import with_former
from worker import scheduler
from worker.forked import forks


@dataclass(frozen=True, kw_only=True)
class Role:
    """One kind of worker.

    It asks its ``queues`` in this order, each followed by its former name.
    """

    queues: tuple[str, ...]
    #: greenlets for what waits for others; processes for what may have to be killed; threads for what does neither
    pool: str
    concurrency: Callable[[], int]
    #: what may wait a little leaves the processor to the API and to ``control``
    nice: int = 5
    #: whether it runs the scheduler
    schedules: bool = False


ROLES = {
    "steps": Role(
        queues=("urgent", "steps", "notifications", "bulk"),
        pool="worker.greenlets:TaskPool",
        concurrency=lambda: settings().steps_concurrency,
    ),
    "slow": Role(queues=("slow",), pool="worker.greenlets:TaskPool", concurrency=lambda: settings().slow_concurrency),
    "scripts": Role(
        queues=("quarantine", "scripts"),
        pool="worker.pool:TaskPool",
        concurrency=lambda: settings().scripts_concurrency,
    ),
    "control": Role(queues=("control",), pool="threads", concurrency=lambda: 2, nice=0, schedules=True),
}


#: former name of a role → its name
FORMER = {"patient": "slow"}


def of(name: str) -> Role | None:
    """The role of a worker of this name, or None."""
    return ROLES.get(name.rstrip("0123456789"))


def present(name: str) -> str:
    """The name that a worker has in this release.

    Its role may be given by its former name (``patient2``: ``slow2``).
    """
    role = name.rstrip("0123456789")
    return FORMER.get(role, role) + name[len(role) :]


def run(name: str) -> int:
    """Run this worker until a signal ends it; returns the exit status.

    Raises:
        KeyError: no worker may be called so.
    """
    role = of(name)
    if role is None:
        raise KeyError(name)
    os.nice(role.nice)
    forks.call_this_process(name)
    signals.worker_ready.connect(_hang_up)
    if role.schedules:
        scheduler.add_to(app)
    worker = app.Worker(
        hostname=f"{name}@{socket.gethostname()}",
        queues=list(with_former(role.queues)),
        pool=role.pool,
        concurrency=role.concurrency(),
        quiet=True,  # no banner: it looks at every setting of Celery, which costs 2 MiB of memory that is shared
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


def _hang_up(**_: Any) -> None:
    """Make HUP end a worker as TERM does.

    Celery would restart this command, which may be that of a supervisor.
    """
    signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
