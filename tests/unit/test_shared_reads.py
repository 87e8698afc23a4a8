"""Reads that many ask for at the same time: done once, and never from before somebody asked."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from store.engine.shared_reads import STUCK, Reads


class Looks:
    """A read that ends when it is let go, and counts."""

    def __init__(self) -> None:
        self.begun = 0
        self.value = 0
        self.go = threading.Semaphore(0)

    def __call__(self) -> int:
        self.begun += 1
        seen = self.value
        assert self.go.acquire(timeout=10)
        return seen


def waiting(looks: Looks, number: int) -> None:
    """Wait until that many reads have begun."""
    until = time.monotonic() + 10
    while looks.begun < number:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_those_who_ask_meanwhile_share_the_next_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The read under way may be too old for them: one more answers all, with what has changed since."""
    monkeypatch.setattr("store.engine.shared_reads.STUCK", 10)
    reads, looks = Reads(), Looks()
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(reads.read, "key", looks)
        waiting(looks, 1)
        looks.value = 1
        others = [threads.submit(reads.read, "key", looks) for _ in range(8)]
        time.sleep(0.05)
        assert looks.begun == 1
        looks.go.release(2)
        assert first.result(10) == 0
        assert [one.result(10) for one in others] == [1] * 8
    assert looks.begun == 2
    looks.go.release()
    assert reads.read("key", looks) == 1


def test_a_read_that_is_stuck_holds_up_nobody() -> None:
    """The next one begins although the first has not ended, and neither keeps anything behind."""
    reads, stuck, quick = Reads(), Looks(), Looks()
    quick.go.release(2)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(reads.read, "key", stuck)
        waiting(stuck, 1)
        assert reads.read("key", quick) == 0
        assert STUCK < 1
        stuck.go.release()
        assert first.result(10) == 0
    assert reads.read("key", quick) == 0
    assert (quick.begun, reads._under_way, reads._next) == (2, {}, {})


def test_a_read_that_fails_fails_for_its_caller_alone() -> None:
    """Those who waited for it look for themselves."""
    reads, looks = Reads(), Looks()

    def broken() -> int:
        looks()
        raise OSError

    def fine() -> int:
        return 7

    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(reads.read, "key", broken)
        waiting(looks, 1)
        second = threads.submit(reads.read, "key", broken)
        time.sleep(0.01)
        third = threads.submit(reads.read, "key", fine)
        looks.go.release(2)
        for one in (first, second):
            with pytest.raises(OSError):
                one.result(10)
        assert third.result(10) == 7
    assert (reads._under_way, reads._next) == ({}, {})
