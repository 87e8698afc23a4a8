"""New ids: opaque, sortable by time where that saves an index."""

import secrets
import threading

from store.engine.clock import now_ms

_RANDOM_BITS = 40
#: how far an id is at most from the one before it in the same millisecond: thousands fit in
_STEP_BITS = 28


class _Ids:
    """The ids that this process makes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        """Milliseconds and random bits; within a millisecond more than the last."""
        now = now_ms()
        with self._lock:
            if now == self._last >> _RANDOM_BITS:
                new = self._last + 1 + secrets.randbits(_STEP_BITS)
            else:
                new = now << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS - 1)  # the upper half is left for more
            self._last = new
        return new


_ids = _Ids()


def new_id(prefix: str) -> str:
    """A new id: milliseconds, then 40 random bits.

    For example ``exec-0199f3c2a1b4-6d0e8f2c41``. Within a millisecond the ids of a process grow, so that what it
    accepts in a row is listed in that order.
    """
    return f"{prefix}-{_ids.next():022x}"
