"""How a worker process starts and stops.

Start: logs are configured, a forked child drops its parent's database connections, the pulse begins. Stop: on
TERM Celery waits for running work; a thread that never returns would make it wait for ever, so after
``GRACE`` seconds the process ends hard. That is safe: what it held is recovered by lease.
"""

import os
import threading
import time
from typing import Any

from celery import signals

from config import logs
from providers import registry
from store import db
from worker.pulse import Pulse

#: how long a stopping worker may finish its work, seconds
GRACE = 25

_pulses: dict[str, Pulse] = {}


def connect() -> None:
    """Tie this module to Celery's signals."""
    signals.setup_logging.connect(_configure_logs)
    signals.worker_init.connect(_warm_up)
    signals.worker_process_init.connect(_forget_parent)
    signals.worker_ready.connect(_start)
    signals.worker_shutting_down.connect(_end_hard_later)
    signals.worker_shutdown.connect(_stop)


def _configure_logs(**_: Any) -> None:
    logs.configure()


def _warm_up(**_: Any) -> None:
    registry.load_all()  # the first execution must not pay for the imports


def _forget_parent(**_: Any) -> None:
    db.dispose()  # a connection shared across the fork would hand one task the rows of another


def _start(sender: Any, **_: Any) -> None:
    queues = [name for name in sender.app.amqp.queues.consume_from if not name.endswith(".dq2")]
    pulse = Pulse(sender.hostname, queues)
    _pulses[sender.hostname] = pulse
    pulse.start()


def _end_hard_later(**_: Any) -> None:
    def end() -> None:
        time.sleep(GRACE)
        os._exit(0)

    threading.Thread(target=end, name="hard-exit", daemon=True).start()


def _stop(sender: Any, **_: Any) -> None:
    pulse = _pulses.pop(sender.hostname, None)
    if pulse is not None:
        pulse.stop()
