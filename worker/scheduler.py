"""The scheduler inside the control worker: Celery's beat as a thread.

A process of its own, as ``celery worker -B`` starts one, would cost as much memory as a worker. What is due is
known from ``beat_schedule`` alone, so nothing is kept between two starts (``worker.intervals``). Its death ends the
worker (``worker.heartbeat``), so that both are started again.
"""

from typing import Any

from celery import Celery, bootsteps


class Scheduler(bootsteps.StartStopStep):  # type: ignore[misc]
    """The worker's bootstep that starts and stops the scheduler."""

    def create(self, worker: Any) -> Any:
        """Returns the step's scheduler while Celery assembles the worker."""
        from celery import beat  # only one worker in a supervisor needs it

        worker.beat = beat.EmbeddedService(worker.app, thread=True, scheduler_cls=worker.app.conf.beat_scheduler)
        return worker.beat


def add_to(app: Celery) -> None:
    """Make the next worker that starts in this process run the scheduler."""
    app.steps["worker"].add(Scheduler)
