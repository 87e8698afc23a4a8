"""Waiting for what must become true, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], seconds: float, what: str, *, every: float = 0.05) -> T:
    """The first truthy answer of ``look``; an AssertionError with the last answer when there is none in time."""
    give_up = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {seconds:g} s: {what}; seen last: {seen!r}")
        time.sleep(every)
