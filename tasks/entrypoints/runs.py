"""The tasks that carry out runs.

``tocsin.begin`` begins a run (or several in parallel), ``tocsin.step`` carries out an action step,
``tocsin.branches`` the first steps of several branches in parallel, ``tocsin.join`` decides whether a container goes on
or ends, ``tocsin.follow`` plans the successors of a step that ended outside a worker (a delay, a decision, a time-out).
Each message may carry out further steps too: ``tasks.runs.driver``.

If a run breaks by a fault of Tocsin, it fails, because a run that hangs is worse; if the database is away, the run is
left to recovery.
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
from config.types import Json
from playbooks.states import Status
from store.engine import db
from store.engine.db import Connection
from store.executions import runs, steps
from store.executions.steps import End
from store.sealing.seal import SealBroken
from tasks.app import app
from tasks.dry_run import simulation
from tasks.fairness import slots
from tasks.intake import notices, started_runs
from tasks.runs import stop
from tasks.runs.driver import RunDriver
from tasks.runs.errors import of_run
from tasks.runs.run import Run, ends_of_row

notices.install()
started_runs.install()

#: a second message for an execution that has been under way here for longer is ignored, seconds
LONG = 1.0

log = logs.logger(__name__)

#: execution under way in this process → the time since when
_since: dict[str, float] = {}


def _drive(task: Task, what: str, execution_id: str, known: dict[str, Run] | None = None) -> str:
    logs.bind(execution_id=execution_id)
    forget = functools.partial(_since.pop, execution_id, None)
    driver, now = RunDriver(task, simulate=simulation.carry_out, written=forget, known=known), time.monotonic()
    if now - _since.setdefault(execution_id, now) > LONG:  # tick published it again; planning twice takes longer
        driver.handoff.leave(None)
        return "stale"
    try:
        return driver.drive(functools.partial(getattr(driver, what), execution_id))
    except (Retry, Reject, SoftTimeLimitExceeded):  # Reject: the broker did not take a retry; tick publishes it
        raise
    except Unavailable:
        log.warning("run left to recovery: database unavailable")
        return "unavailable"
    except SealBroken as broken:
        return _broken(execution_id, "sealed", str(broken))
    except Exception as error:
        log.exception("run raised an unexpected error")
        message = f"The run broke ({type(error).__name__}); the worker's log says where."
        return _broken(execution_id, "internal_error", message)
    finally:
        forget()
        logs.unbind("execution_id", "request_id")


def _broken(execution_id: str, code: str, message: str) -> str:
    """Fail the run of an execution that broke.

    Recovery fails it if the database is away.
    """
    run_id, error = execution_id.partition(".")[0], of_run(code, message)
    with contextlib.suppress(Unavailable):
        db.change(functools.partial(_break_off, run_id=run_id, error=error))
        stop.end_steps([run_id], "system")
    return "broken"


def _break_off(connection: Connection, run_id: str, error: Json) -> None:
    """Fail a run wherever it stands, unless it has ended."""
    row = runs.read(connection, run_id)
    if row is not None:
        announces = ends_of_row(row, connection)
        end = End(status=Status.FAILED, error=error, parent_id=row.parent_id, clears=True, announces=announces)
        steps.end_run(connection, run_id, end, "system")


_OPTIONS: dict[str, Any] = {"bind": True, "max_retries": None}


@app.task(name="tocsin.begin", **_OPTIONS)
def begin(self: Task, *run_ids: str) -> str:
    """Begin a run, or several in parallel."""
    if len(run_ids) == 1:
        return slots.carry_out_single(self, lambda: _drive(self, "begin", run_ids[0]), calls=False)
    task = _task_of_member(str(self.request.id))
    return slots.carry_out_batch(self, functools.partial(_drive, task, "begin"), calls=False)


def _task_of_member(message_id: str) -> Any:
    """A stand-in for a member's task, without chain or chord."""
    return SimpleNamespace(request=SimpleNamespace(id=message_id, chain=None, chord=None))


@app.task(name="tocsin.step", **_OPTIONS)
def step(self: Task, execution_id: str) -> str:
    """Carry out an action step."""
    return slots.carry_out_single(self, lambda: _drive(self, "step", execution_id))


@app.task(name="tocsin.branches", **_OPTIONS)
def branches(self: Task, *_execution_ids: str) -> str:
    """Carry out the first steps of several branches."""
    message_id, known = str(self.request.id), dict[str, Run]()
    task = _task_of_member(message_id)
    return slots.carry_out_batch(self, lambda execution_id: _drive(task, "step", execution_id, known))


@app.task(name="tocsin.join", **_OPTIONS)
def join(self: Task, execution_id: str) -> str:
    """Decide whether a container goes on or ends."""
    return slots.carry_out_single(self, lambda: _drive(self, "join", execution_id), calls=False)


@app.task(name="tocsin.follow", **_OPTIONS)
def follow(self: Task, execution_id: str) -> str:
    """Plan the successors of a step that ended outside a worker."""
    return slots.carry_out_single(self, lambda: _drive(self, "follow", execution_id), calls=False)
