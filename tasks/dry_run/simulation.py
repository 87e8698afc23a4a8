"""Simulate a run step by step, with no outside effect.

In order of time: the plan of the run is walked as in a real run (``tasks.dry_run.walk``), but every step is only
described (``tasks.dry_run.steps``), and each is assumed to succeed unless it is known to fail; the steps on the paths
not taken are described too, as if they were reached. Every step gets a row: ``completed`` or ``failed``
on the path taken, ``skipped`` elsewhere, and in ``report`` whether it is on the path (``taken``), what would become of
it (``verdict``), what was ``proved`` and what had to be ``assumed``. All rows and the end of the run are written in
one transaction.

A dry run is ``completed`` once the simulation is made, even if the playbook would fail: ``predicted_status`` in its
output is the status with which a real run would end.
"""

import functools
from dataclasses import dataclass
from typing import Any

from config import logs
from config.types import Json
from playbooks.states import Status
from store.engine.db import Connection
from store.executions import steps
from tasks.attempts.patience import commit_with_patience, with_patience
from tasks.dry_run.playbooks import DryRunBudget
from tasks.dry_run.walk import Walk, summary
from tasks.runs.errors import of_run
from tasks.runs.run import Run
from tasks.runs.step_entries import Place

log = logs.logger(__name__)


@dataclass(frozen=True)
class Simulation:
    """The result of a dry run: step rows, and output or error."""

    rows: list[Json]
    output: Json | None
    status: Status = Status.COMPLETED
    error: Json | None = None


def simulate(run: Run) -> Simulation:
    """Simulate a run; nothing is carried out, and only definitions are read.

    Raises:
        Unavailable: the database is away.
    """
    walk = Walk(run, DryRunBudget(), ())
    error = walk.block(Place("", None, ()), taken=True)
    return Simulation(walk.rows, summary(walk.rows, error))


def carry_out(run: Run, owner: str) -> bool:
    """Simulate a pending run and write the result.

    False if another worker did, or the database stayed away.
    """
    try:
        simulation = with_patience(functools.partial(simulate, run))
    except Exception:
        log.exception("dry run raised an unexpected error")
        error = of_run("internal_error", "The simulation broke; the worker's log says where.")
        simulation = Simulation([], None, Status.FAILED, error)
    if simulation is None:
        return False
    return bool(commit_with_patience(functools.partial(_write, run, simulation, owner), single=False))


def _write(run: Run, simulation: Simulation, owner: str, connection: Connection) -> bool:
    end = steps.End(status=simulation.status, error=simulation.error, output=simulation.output, parent_id=run.parent_id)
    rows: Any = simulation.rows
    moves = steps.Moves(rows=rows, end=end)
    begun, _ = steps.begin_run(connection, run.id, moves, actor=owner, deadline=run.deadline)
    return begun
