"""Delete what is old: executions, secrets, keys, approvals, events, groups, payloads, firings, processes.

Each duty deletes bite by bite, each bite in a transaction of its own, with a pause behind it: other writers wait for
one bite at most.
"""

import time
from collections.abc import Callable

from config.settings import settings
from store import worker_processes
from store.engine import db, rest
from store.executions import idempotency, recovery
from store.gateway import approvals, dedup, events, groups, payloads, silences, throttles
from store.records import approvals as waiting
from store.recurring import firings
from tasks.clock.duty import TimeSlice

_DAY = 86_400_000
_HOUR = 3_600_000
#: how long a window is kept after its end, ms: of two processes one may be a moment behind
_LAPSED = 60_000


def forget_executions(time_slice: TimeSlice) -> int:
    """Delete executions that ended before the retention time; returns the number.

    Raises:
        Unavailable: the database is away.
    """
    return _bite_by_bite(time_slice, recovery.forget, settings().retention_days * _DAY)


def drop_secrets(time_slice: TimeSlice) -> int:
    """Delete the sealed secrets of old executions; returns the number of executions.

    Raises:
        Unavailable: the database is away.
    """
    return _bite_by_bite(time_slice, recovery.drop_sealed, settings().sealed_hours * _HOUR)


def forget_idempotency_keys(time_slice: TimeSlice) -> int:
    """Delete idempotency keys that have expired; returns the number.

    Raises:
        Unavailable: the database is away.
    """
    return _bite_by_bite(time_slice, idempotency.forget, settings().idempotency_hours * _HOUR)


def forget_payloads(time_slice: TimeSlice) -> int:
    """Delete old payloads of dispatches that made no execution; returns the number.

    Raises:
        Unavailable: the database is away.
    """
    return _bite_by_bite(time_slice, payloads.forget, settings().payload_days * _DAY)


def forget_groups(time_slice: TimeSlice) -> int:
    """Delete groups notified as long ago as payloads are kept, with their members; returns the number of groups.

    Raises:
        Unavailable: the database is away.
    """
    return _bite_by_bite(time_slice, groups.forget, settings().payload_days * _DAY)


def forget_what_rules_remember(time_slice: TimeSlice) -> int:
    """Delete deduplication keys and windows whose time is over; returns the number.

    Raises:
        Unavailable: the database is away.
    """
    keys = _bite_by_bite(time_slice, dedup.forget, 0) + _bite_by_bite(time_slice, silences.forget_alerts, 0)
    return keys + _bite_by_bite(time_slice, throttles.forget, _LAPSED)


def settle_approvals(time_slice: TimeSlice) -> int:
    """Settle approvals whose execution waits no more, and delete old ones with their votes; returns the number.

    Raises:
        Unavailable: the database is away.
    """
    settled = _bite_by_bite(time_slice, waiting.settle_left, _LAPSED)
    return settled + _bite_by_bite(time_slice, approvals.forget, settings().retention_days * _DAY)


def forget_events(time_slice: TimeSlice) -> int:
    """Delete events that have been over and unchanged for the retention time; returns the number.

    Raises:
        Unavailable: the database is away.
    """
    return _bite_by_bite(time_slice, events.forget, settings().retention_days * _DAY)


def forget_firings(time_slice: TimeSlice) -> int:
    """Delete firings of recurring actions that are older than the retention time; returns the number.

    Raises:
        Unavailable: the database is away.
    """
    return _bite_by_bite(time_slice, firings.forget, settings().retention_days * _DAY)


def forget_processes(_: TimeSlice) -> int:
    """Delete worker processes that ended long ago; returns the number.

    Raises:
        Unavailable: the database is away.
    """
    with db.write() as connection:
        return worker_processes.sweep(connection)


def _bite_by_bite(time_slice: TimeSlice, forget: Callable[..., int], age: int) -> int:
    """Delete what is older than ``age`` (ms) until nothing is left."""
    number, bite, before = 0, 1, db.now_ms() - age
    while bite and not time_slice.is_over():
        began = time.monotonic()
        with db.write() as connection:
            bite = forget(connection, before=before)
        number += bite
        if bite:
            rest.after_bite(began)
    return number
