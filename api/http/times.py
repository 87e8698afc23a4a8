"""Times and durations in bodies."""

from config import times
from playbooks.states import Status, WaitingFor
from store.executions import transitions


def stamp(milliseconds: int | None) -> str | None:
    """A time as ISO 8601 in UTC, to the millisecond."""
    return None if milliseconds is None else times.stamp(milliseconds)


def seconds(start: int | None, end: int | None) -> float | None:
    """The seconds between two times in milliseconds, an integer if whole."""
    if start is None or end is None:
        return None
    found = (end - start) / 1000
    return int(found) if found == int(found) else found


def milliseconds(start: int | None, end: int | None) -> int | None:
    """The milliseconds between two times in milliseconds."""
    return None if start is None or end is None else end - start


def waits_until(status: str, waiting_for: str | None, due_at: int | None) -> int | None:
    """When the wait of an execution ends by itself, ms.

    None: it does not wait.
    """
    if status != Status.WAITING or due_at is None:
        return None
    return due_at - (transitions.RETRY_GRACE if waiting_for == WaitingFor.RETRY else 0)
