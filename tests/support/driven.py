"""Carries out a run inside the test's own process, as workers would."""

from store.engine import db
from store.executions import transitions
from tasks.entrypoints import runs

ENDED = ("completed", "failed", "timeout", "cancelled", "skipped")


def drive(run_id: str, rounds: int = 100) -> str:
    """Do what workers would do until the run ends or waits for a decision; returns its status."""
    table = transitions.executions
    for _ in range(rounds):
        with db.read() as connection:
            rows = connection.execute(table.select()).all()
        for row in rows:
            if row.kind == "playbook" and row.status == "pending":
                runs.begin.apply(args=[row.id])
            elif row.kind == "step" and row.status == "pending":
                runs.step.apply(args=[row.id])
            elif row.waiting_for == "follow":
                runs.follow.apply(args=[row.id])
            elif row.kind == "step" and row.status == "running" and row.open == 0:
                runs.join.apply(args=[row.id])
        (run,) = [row for row in rows if row.id == run_id]
        if run.status in ENDED:
            return str(run.status)
    raise AssertionError("it goes on and on")
