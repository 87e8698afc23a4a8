"""Moments as text: ISO 8601 in UTC, to the millisecond."""

import functools
import time


def stamp(milliseconds: int) -> str:
    """A moment in milliseconds since 1970."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@functools.lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Most stamps are of the same few seconds: those of lines of logs, of what began a moment ago."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).zfill(19)  # years before 1000 have four digits, too


def now() -> str:
    """The present, by the clock of this machine."""
    return stamp(time.time_ns() // 1_000_000)
