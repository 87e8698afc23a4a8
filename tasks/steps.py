"""The tasks of which runs are made.

``tocsin.begin`` takes a run up, ``tocsin.step`` carries out an action of it, ``tocsin.branches`` several side by side,
``tocsin.join`` attends to a step that
holds others, ``tocsin.follow`` goes on after a step that ended outside of a worker (a delay, a decision, a time-out).
Each message may carry more than the one thing out: ``tasks.walk``.

Where a run breaks by a fault of ours it is failed, because a run that hangs is worse; where the database is away it
is left to recovery.
"""

import contextlib
import functools
import time
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from celery import Task
from celery.exceptions import Retry

from config import logs
from config.errors import Unavailable
from store import db, steps
from tasks import lanes, stop
from tasks.app import app
from tasks.walk import Walk

#: what this process has been at for longer than this is not begun once more beside it, seconds
LONG = 1.0

log = logs.logger(__name__)

#: what this process is at → since when
_since: dict[str, float] = {}


def _walk(task: Task, what: str, execution_id: str) -> str:
    logs.bind(execution_id=execution_id)
    walk, now = Walk(task), time.monotonic()
    if now - _since.setdefault(execution_id, now) > LONG:  # tick asks again; planning it twice would only take longer
        walk.links.leave(None)
        return "stale"
    try:
        return walk.drive(functools.partial(getattr(walk, what), execution_id))
    except (Retry, SoftTimeLimitExceeded):
        raise
    except Unavailable:
        log.warning("left to recovery: the database is away")
        return "unavailable"
    except Exception as error:
        log.exception("a run broke")
        with contextlib.suppress(Unavailable):
            _fail(execution_id.partition(".")[0], error)
        return "broken"
    finally:
        _since.pop(execution_id, None)
        logs.unbind("execution_id", "request_id")


def _fail(run_id: str, error: Exception) -> None:
    message = f"The run broke ({type(error).__name__}); the worker's log says where."
    with db.write() as connection:
        steps.break_off(connection, run_id, {"code": "internal_error", "message": message})
    stop.end_steps(run_id, "system")


_OPTIONS: dict[str, Any] = {"bind": True, "max_retries": None}


@app.task(name="tocsin.begin", **_OPTIONS)
def begin(self: Task, run_id: str) -> str:
    """Take a run up."""
    return _walk(self, "begin", run_id)


@app.task(name="tocsin.step", **_OPTIONS)
def step(self: Task, execution_id: str) -> str:
    """Carry out a step."""
    return _walk(self, "step", execution_id)


@app.task(name="tocsin.branches", **_OPTIONS)
def branches(self: Task, *execution_ids: str) -> str:
    """Carry out the first steps of several branches."""
    return lanes.carry_out(lambda task, one: _walk(task, "step", one), self.request.id, list(execution_ids))


@app.task(name="tocsin.join", **_OPTIONS)
def join(self: Task, execution_id: str) -> str:
    """Attend to a step that holds others."""
    return _walk(self, "join", execution_id)


@app.task(name="tocsin.follow", **_OPTIONS)
def follow(self: Task, execution_id: str) -> str:
    """Go on after a step that ended outside of a worker."""
    return _walk(self, "follow", execution_id)
