"""New rows of ``executions``: first values, by kind."""

from typing import TypedDict

from playbooks.states import Kind, Mode, Status, WaitingFor
from store.engine.db import now_ms


class NewRow(TypedDict, total=False):
    """The columns that a new row may set.

    ``event_`` and ``at_`` replace what is audited.
    """

    id: str
    workspace_id: str
    kind: Kind
    action_id: str
    revision_id: str
    status: Status
    queue: str
    mode: Mode
    idempotent: bool
    timeout_ms: int
    attempt: int
    failures: int
    lapses: int
    publishes: int
    due_at: int | None
    expires_at: int | None
    renewed_at: int | None
    waiting_for: WaitingFor | None
    owner: str | None
    target: str | None
    input: str
    sealed: str | None
    output: str | None
    error: str | None
    created_by: str
    request_id: str | None
    created_at: int
    started_at: int | None
    completed_at: int | None
    run_id: str | None
    parent_id: str | None
    step_id: str | None
    iteration: str | None
    type: str | None
    previous_id: str | None
    context: str | None
    cause: str | None
    retry_of: str | None
    root_id: str | None
    open: int | None
    cursor: int | None
    gate: str | None
    event_id: str | None
    event_: str
    at_: int


#: causes of an action; it has none where a request for just that triggers it
RECURRING, REPLAY = "recurring", "replay"
#: a step that would have begun at once, in a run that has been paused: the opposite of ``claim``
NOT_BEGUN: NewRow = {
    "status": Status.PENDING,
    "attempt": 0,
    "owner": None,
    "started_at": None,
    "expires_at": None,
    "renewed_at": None,
    "publishes": 1,
}
#: added to an attempt's time before tick ends it, so that the worker can report the time-out first, ms
TIMEOUT_GRACE = 2_000


def claim(row: NewRow, owner: str, lease_ms: int) -> None:
    """Make a row begin as if ``owner`` had claimed it by ``transitions.claim``."""
    now = now_ms()
    row.update(
        {
            "status": Status.RUNNING,
            "attempt": 1,
            "owner": owner,
            "started_at": now,
            "renewed_at": now,
            "expires_at": now + row["timeout_ms"],
            "due_at": now + min(row["timeout_ms"] + TIMEOUT_GRACE, lease_ms),
            "publishes": 0,
        }
    )


def action(columns: NewRow) -> NewRow:
    """A triggered action, with its first message published."""
    return _new(Kind.ACTION, {"publishes": 1, **columns})


def dispatch(columns: NewRow) -> NewRow:
    """A dispatch, with its first message published unless it waits."""
    return _new(Kind.DISPATCH, {"publishes": 1, **columns})


def run(columns: NewRow) -> NewRow:
    """A run of a playbook, with its first message published.

    It may be begun again without harm.
    """
    return _new(Kind.PLAYBOOK, {"publishes": 1, "idempotent": True, **columns})


def step(columns: NewRow) -> NewRow:
    """A step of a run.

    The run's driver carries out a step without an action.
    """
    of_no_action: NewRow = {"action_id": "", "revision_id": "", "queue": "steps", "idempotent": True, "timeout_ms": 0}
    return _new(Kind.STEP, {**of_no_action, "input": "{}", **columns})


def _new(kind: Kind, columns: NewRow) -> NewRow:
    unused: NewRow = {"status": Status.PENDING, "attempt": 0, "failures": 0, "lapses": 0, "publishes": 0}
    return {"kind": kind, "created_at": now_ms(), **unused, **columns}
