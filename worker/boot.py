"""Starts and stops a worker process.

Start: logs are configured, the executors are imported, the heartbeat begins, the process follows the gateway's
configuration, and where scripts run it reports what bounds them; the processes that it starts (those of its pool, its
scheduler) are tied to it, so that none outlives it.
Stop: on TERM Celery waits for running work; what has not ended after ``TOCSIN_DRAIN_SECONDS`` is given up
(``tasks.attempts.drain``), and the process ends hard.
"""

import os
import resource
import threading
import time
from typing import Any

from celery import signals

from config import logs, spans
from config.settings import settings
from providers import registry
from store.engine import refusals
from tasks.attempts import drain
from tasks.generations import follow
from tasks.messages import flower_events
from worker import panel, sandbox_notice
from worker.forked.forks import end_with_parent
from worker.heartbeat import Heartbeat

#: open files that a worker wants to be allowed
_OPEN_FILES = 16_384

_heartbeats: dict[str, Heartbeat] = {}
_notices: dict[str, sandbox_notice.Notice] = {}
_name = ""
_pools: list[Any] = []


def connect() -> None:
    """Tie this module to Celery's signals."""
    signals.celeryd_init.connect(_learn_name)
    signals.setup_logging.connect(_configure_logs)
    signals.worker_init.connect(_warm_up)
    signals.beat_embedded_init.connect(end_with_parent)
    signals.worker_process_init.connect(end_with_parent)
    signals.worker_process_init.connect(_follow)
    signals.worker_ready.connect(_start)
    signals.worker_shutting_down.connect(_end_hard_later)
    signals.worker_shutdown.connect(_stop)
    signals.worker_process_shutdown.connect(_stop_process)


def _learn_name(sender: str, **_: Any) -> None:
    global _name  # noqa: PLW0603 - a process is one worker
    _name = sender.partition("@")[0]


def _configure_logs(**_: Any) -> None:
    logs.configure(_name)


def _warm_up(**_: Any) -> None:
    panel.restrict()
    _allow_open_files()
    registry.load_all()  # the first execution must not pay for the imports


def _allow_open_files() -> None:
    """Raise the soft limit of open files: each file of a bundle that runs is one, besides the connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _follow(**_: Any) -> None:
    """Follow the configuration, in a process of a pool: from its first attempt, and it may never make one."""
    follow.begin(_name, at_once=False)


def _start(sender: Any, **_: Any) -> None:
    flower_events.send_through(sender)
    follow.begin(_name, at_once="processes" not in sender.pool.info)  # the parent of such a pool decides nothing
    queues = [name for name in sender.app.amqp.queues.consume_from if not name.endswith(".dq2")]
    heartbeat = Heartbeat(sender.hostname, queues, getattr(sender.controller, "beat", None))
    _heartbeats[sender.hostname] = heartbeat
    heartbeat.start()
    _pools.append(sender.pool)
    if "control" in queues:  # one of the workers is enough
        refusals.watch()
    if "scripts" in queues:
        _notices[sender.hostname] = sandbox_notice.Notice(sender.hostname)
        _notices[sender.hostname].start()


def _end_hard_later(**_: Any) -> None:
    def end() -> None:
        time.sleep(settings().drain_seconds)
        try:
            drain.leave([pid for pool in _pools for pid in pool.info.get("processes", ())])  # threads have none
        finally:
            os._exit(0)

    threading.Thread(target=end, name="hard-exit", daemon=True).start()


def _stop_process(**_: Any) -> None:
    spans.close()


def _stop(sender: Any, **_: Any) -> None:
    follow.end()
    heartbeat = _heartbeats.pop(sender.hostname, None)
    if heartbeat is not None:
        heartbeat.stop()
    notice = _notices.pop(sender.hostname, None)
    if notice is not None:
        notice.stop()
    spans.close()
