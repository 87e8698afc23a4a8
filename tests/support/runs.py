"""A stand-in for workers writes the rows of runs and steps."""

from typing import Any

from store.engine import db
from store.executions import runs, transitions

_WORKER = "steps@test"
_JSON = ("output", "error", "logs", "vars", "report", "input")


def begin(run_id: str, **more: Any) -> None:
    """Claim a run; ``more`` are other columns to set, such as ``started_at``."""
    with db.write() as connection:
        row = runs.read(connection, run_id)
        assert row is not None
        changes = {"started_at": db.now_ms(), "due_at": row.expires_at, **more}
        assert transitions.transition(connection, run_id, "running", actor=_WORKER, **changes) is not None


def enter(run_id: str, step_id: str, status: str = "running", iteration: str = "", **more: Any) -> str:
    """Add a step's row, by default of an action; returns its id."""
    now = db.now_ms()
    row = {
        "id": f"{run_id}.{step_id}.{iteration}" if iteration else f"{run_id}.{step_id}",
        "kind": "step",
        "action_id": "",
        "revision_id": "",
        "status": status,
        "queue": "steps",
        "idempotent": True,
        "timeout_ms": 1000,
        "attempt": 1 if status == "running" else 0,
        "failures": 0,
        "lapses": 0,
        "publishes": 0,
        "due_at": None if status in (*transitions.TERMINAL, "skipped") else now + 60_000,
        "input": "{}",
        "created_at": now,
        "started_at": None if status in ("pending", "skipped") else now,
        "completed_at": now if status in transitions.TERMINAL else None,
        "run_id": run_id,
        "step_id": step_id,
        "iteration": iteration,
        "type": "action",
        **{name: transitions.dump(value) if name in _JSON else value for name, value in more.items()},
    }
    with db.write() as connection:
        run = runs.read(connection, run_id)
        assert run is not None
        of_run = {name: getattr(run, name) for name in ("workspace_id", "mode", "created_by", "target")}
        transitions.add(connection, [{**of_run, **row}], _WORKER)
    return str(row["id"])


def end(step_row_id: str, status: str = "completed", **more: Any) -> None:
    """Change a step's status; ``more`` are other columns, JSON as values."""
    changes = {name: transitions.dump(value) if name in _JSON else value for name, value in more.items()}
    with db.write() as connection:
        assert transitions.transition(connection, step_row_id, status, actor=_WORKER, owner=None, **changes) is not None


def end_run(run_id: str, status: str = "completed", *, error: Any = None, **more: Any) -> None:
    """End a run; ``more`` are other columns to set, such as ``completed_at``."""
    end(run_id, status, error=error, **more)
