"""Waiting for what must become true, instead of sleeping and hoping."""

import threading
import time
from collections.abc import Callable, Collection
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], seconds: float, what: str, *, every: float = 0.05) -> T:
    """The first truthy answer of ``look``; AssertionError when time runs out."""
    give_up = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {seconds:g} s: {what}; seen last: {seen!r}")
        time.sleep(every)


def eventually_none(look: Callable[[], Collection[object]], seconds: float, what: str, *, every: float = 0.05) -> None:
    """Wait until ``look`` finds nothing; AssertionError with its last find otherwise."""
    give_up = time.monotonic() + seconds
    while seen := look():
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {seconds:g} s: {what}; still there: {seen!r}")
        time.sleep(every)


def at_once(number: int, call: Callable[[], T]) -> list[T]:
    """What ``number`` threads get that make the same call at the same moment."""
    together, results = threading.Barrier(number), list[T]()

    def one() -> None:
        together.wait()
        results.append(call())

    threads = [threading.Thread(target=one) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
