"""An operator has stopped all that goes out: attempts wait until the stop is lifted."""

from typing import Any

from gateway import current
from playbooks.states import Mode, Status, WaitingFor
from providers.base import Abandoned
from tasks.attempts.conclude import Ending
from tasks.attempts.failure import failure
from tasks.attempts.patience import with_patience
from tasks.generations.lifted import CODE, LATEST, SOONEST


def waits(row: Any) -> Ending | None:
    """How an attempt ends that must not call anything now; None where it may.

    Raises:
        Abandoned: this process cannot learn whether it may, because the database stays away.
    """
    if row.mode != Mode.LIVE:
        return None
    found = with_patience(lambda: (current.current().stopped(row.workspace_id),))
    if found is None:
        raise Abandoned
    (stop,) = found
    if stop is None:
        return None
    error = failure(CODE, f"Nothing goes out until the stop is lifted: {stop.reason}.")
    seconds = min(LATEST, SOONEST * max(1, row.attempt))
    return Ending(Status.WAITING, error=error, waiting_for=WaitingFor.DELAY, wait_seconds=seconds)
