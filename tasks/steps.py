"""The tasks of which runs are made.

``tocsin.begin`` takes a run up, ``tocsin.step`` carries out an action of it, ``tocsin.join`` attends to a step that
holds others, ``tocsin.follow`` goes on after a step that ended outside of a worker (a delay, a decision, a time-out).
Each message may carry more than the one thing out: ``tasks.walk``.
"""

import functools
from typing import Any

from celery import Task

from config import logs
from tasks.app import app
from tasks.walk import Walk


def _walk(task: Task, what: str, execution_id: str) -> str:
    logs.bind(execution_id=execution_id)
    walk = Walk(task)
    try:
        return walk.drive(functools.partial(getattr(walk, what), execution_id))
    finally:
        logs.unbind("execution_id", "request_id")


_OPTIONS: dict[str, Any] = {"bind": True, "max_retries": None}


@app.task(name="tocsin.begin", **_OPTIONS)
def begin(self: Task, run_id: str) -> str:
    """Take a run up."""
    return _walk(self, "begin", run_id)


@app.task(name="tocsin.step", **_OPTIONS)
def step(self: Task, execution_id: str) -> str:
    """Carry out a step."""
    return _walk(self, "step", execution_id)


@app.task(name="tocsin.join", **_OPTIONS)
def join(self: Task, execution_id: str) -> str:
    """Attend to a step that holds others."""
    return _walk(self, "join", execution_id)


@app.task(name="tocsin.follow", **_OPTIONS)
def follow(self: Task, execution_id: str) -> str:
    """Go on after a step that ended outside of a worker."""
    return _walk(self, "follow", execution_id)
