"""The tasks of which runs are made.

``tocsin.begin`` takes a run up (or several side by side), ``tocsin.step`` carries out an action of it,
``tocsin.branches`` several side by side, ``tocsin.join`` attends to a step that holds others, ``tocsin.follow`` goes on
after a step that ended outside of a worker (a delay, a decision, a time-out).
Each message may carry more than the one thing out: ``tasks.runs.driver``.

Where a run breaks by a fault of ours it is failed, because a run that hangs is worse; where the database is away it
is left to recovery.
"""

import contextlib
import functools
import time
from types import SimpleNamespace
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from celery import Task
from celery.exceptions import Reject, Retry

from config import logs
from config.errors import Unavailable
from store.engine import db
from store.executions import steps
from store.sealing.seal import SealBroken
from tasks.app import app
from tasks.dry_run import simulation
from tasks.fairness import slots
from tasks.messages import flower_events
from tasks.messages.requeue import Bundle
from tasks.runs import stop
from tasks.runs.driver import RunDriver
from tasks.runs.errors import of_run
from tasks.runs.run import Run

#: an execution under way here for longer than this is not begun a second time, seconds
LONG = 1.0

log = logs.logger(__name__)

#: what this process is at → since when
_since: dict[str, float] = {}


def _drive(task: Task, what: str, execution_id: str, known: dict[str, Run] | None = None) -> str:
    logs.bind(execution_id=execution_id)
    forget = functools.partial(_since.pop, execution_id, None)
    driver, now = RunDriver(task, simulate=simulation.carry_out, written=forget, known=known), time.monotonic()
    if now - _since.setdefault(execution_id, now) > LONG:  # tick asks again; planning it twice would only take longer
        driver.handoff.leave(None)
        return "stale"
    try:
        return driver.drive(functools.partial(getattr(driver, what), execution_id))
    except (Retry, Reject, SoftTimeLimitExceeded):  # Reject: the broker did not take a retry; tick wakes it
        raise
    except Unavailable:
        log.warning("left to recovery: the database is away")
        return "unavailable"
    except SealBroken as broken:
        return _broken(execution_id, "sealed", str(broken))
    except Exception as error:
        log.exception("a run broke")
        message = f"The run broke ({type(error).__name__}); the worker's log says where."
        return _broken(execution_id, "internal_error", message)
    finally:
        forget()
        logs.unbind("execution_id", "request_id")


def _broken(execution_id: str, code: str, message: str) -> str:
    """Fail the run of what could not be carried out; recovery does it where the database is away."""
    run_id, error = execution_id.partition(".")[0], of_run(code, message)
    with contextlib.suppress(Unavailable):
        db.change(lambda connection: steps.break_off(connection, run_id, error))
        stop.end_steps([run_id], "system")
    return "broken"


_OPTIONS: dict[str, Any] = {"bind": True, "max_retries": None}


@app.task(name="tocsin.begin", **_OPTIONS)
def begin(self: Task, *run_ids: str) -> str:
    """Take a run up, or several side by side."""
    if len(run_ids) == 1:
        return slots.alone(self, lambda: _drive(self, "begin", run_ids[0]), calls=False)
    bundle = Bundle.of(self)
    return slots.side_by_side(self, functools.partial(_begin_beside_others, bundle), calls=False)


def _begin_beside_others(bundle: Bundle, run_id: str) -> str:
    message, started = bundle.message(run_id), time.monotonic()
    flower_events.began(message, bundle.message_id)
    word = _drive(_member(bundle.message_id), "begin", run_id)
    flower_events.ended(message, word, started)
    return word


def _member(message_id: str) -> Any:
    """What stands for the task where an execution is one of many in a message: nothing hangs on it alone."""
    return SimpleNamespace(request=SimpleNamespace(id=message_id, chain=None, chord=None))


@app.task(name="tocsin.step", **_OPTIONS)
def step(self: Task, execution_id: str) -> str:
    """Carry out a step."""
    return slots.alone(self, lambda: _drive(self, "step", execution_id))


@app.task(name="tocsin.branches", **_OPTIONS)
def branches(self: Task, *_execution_ids: str) -> str:
    """Carry out the first steps of several branches."""
    message_id, known = str(self.request.id), dict[str, Run]()
    return slots.side_by_side(self, lambda execution_id: _drive(_member(message_id), "step", execution_id, known))


@app.task(name="tocsin.join", **_OPTIONS)
def join(self: Task, execution_id: str) -> str:
    """Attend to a step that holds others."""
    return slots.alone(self, lambda: _drive(self, "join", execution_id), calls=False)


@app.task(name="tocsin.follow", **_OPTIONS)
def follow(self: Task, execution_id: str) -> str:
    """Go on after a step that ended outside of a worker."""
    return slots.alone(self, lambda: _drive(self, "follow", execution_id), calls=False)
