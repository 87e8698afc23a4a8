"""What tick makes of a running execution whose worker says nothing, or whose time is up."""

import pytest
import time_machine

from config.settings import settings
from store import db, executions, leases
from store.ids import new_id
from tasks import tick
from tasks.lease import renewal_ms


def _running(queue: str, timeout_seconds: int, *, idempotent: bool = True) -> str:
    """An execution that a worker has just claimed."""
    values = {
        "id": new_id("exec"),
        "workspace_id": "w",
        "action_id": "act",
        "revision_id": "rev",
        "queue": queue,
        "mode": "live",
        "idempotent": idempotent,
        "timeout_ms": timeout_seconds * 1000,
        "input": "{}",
        "created_by": "key",
    }
    with db.write() as connection:
        executions.accept(connection, values, publish_again_at=db.now_ms() + 30_000)
    with db.write() as connection:
        assert executions.claim(connection, values["id"], "owner", settings().lease_seconds * 1000) is not None
    return values["id"]


def _row(execution_id: str):
    with db.read() as connection:
        return executions.get(connection, "w", execution_id)


@pytest.mark.parametrize("timeout_seconds", [2, 5, 20, 45, 300])
def test_a_dead_worker_is_no_time_out(database: str, timeout_seconds: int) -> None:
    """However short the action's time is: when its worker dies at once, the action is tried again."""
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        execution_id = _running("steps", timeout_seconds)
        clock.shift(max(timeout_seconds, settings().lease_seconds) + 3)
        rings, _, _ = tick._look({})
        assert [ring.execution_id for ring in rings] == [execution_id]
        row = _row(execution_id)
        assert (row.status, row.queue, row.lapses) == ("pending", "suspects", 1)


@pytest.mark.parametrize("timeout_seconds", [2, 5, 20, 45])
def test_a_living_worker_whose_time_is_up_has_timed_out(database: str, timeout_seconds: int) -> None:
    """When the lease was renewed all along, the end of the action's time is a time-out."""
    lease_ms = settings().lease_seconds * 1000
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        execution_id = _running("steps", timeout_seconds)
        step, gone = renewal_ms(timeout_seconds * 1000, lease_ms) / 1000, 0.0
        while gone < timeout_seconds + 3:
            clock.shift(step)
            gone += step
            with db.write() as connection:
                leases.extend(connection, "owner", [execution_id], lease_ms)
            tick._look({})
        assert _row(execution_id).status == "timeout"


def test_an_at_most_once_action_is_never_tried_again(database: str) -> None:
    """Its worker died within its time: it ends failed, and says that nobody knows."""
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        execution_id = _running("steps", 20, idempotent=False)
        clock.shift(23)
        assert tick._look({})[0] == []
        row = _row(execution_id)
        assert row.status == "failed"
        assert executions.load(row.error)["outcome_unknown"] is True


def test_silence_on_a_killable_process_is_the_actions_own_doing(database: str) -> None:
    """A Python action stuck in C keeps its process from renewing: at the end of its time it has timed out."""
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        execution_id = _running("scripts", 10)
        clock.shift(13)
        tick._look({})
        assert _row(execution_id).status == "timeout"
