"""Moments as text: ISO 8601 in UTC, to the millisecond."""

import time


def stamp(milliseconds: int) -> str:
    """A moment in milliseconds since 1970."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03d}Z"


def now() -> str:
    """The present, by the clock of this machine."""
    return stamp(time.time_ns() // 1_000_000)
