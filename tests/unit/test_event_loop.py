"""The event loop of a worker: greenlets that wait let the others go on, and threads and greenlets wake each other."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from event_loop import loop, waiting


def side_by_side(*works: Callable[[], object]) -> None:
    """Carry out works as greenlets of the loop, and wait for all of them."""

    def all_of_them() -> None:
        left, over = [len(works)], waiting.Event()

        def one(work: Callable[[], object]) -> None:
            try:
                work()
            finally:
                left[0] -= 1
                if not left[0]:
                    over.set()

        for work in works:
            loop.of_process().spawn(lambda work=work: one(work))
        assert over.wait(20)

    loop.call(all_of_them)


def test_greenlets_wait_side_by_side() -> None:
    """A hundred that sleep take as long as one; none of them is a thread."""
    threads, asleep, most = set[int](), [0], [0]

    def sleeping() -> None:
        asleep[0] += 1
        most[0] = max(most[0], asleep[0])
        waiting.sleep(0.05)
        asleep[0] -= 1
        threads.add(threading.get_ident())

    side_by_side(*[sleeping] * 100)
    assert most == [100]
    assert len(threads) == 1


def test_a_result_or_an_error_comes_back_to_the_thread() -> None:
    """``call`` returns and raises what the work does, on the loop too."""
    assert loop.call(lambda: loop.call(waiting.inside)) is True
    assert waiting.inside() is False
    with pytest.raises(ZeroDivisionError):
        loop.call(lambda: 1 / 0)


def test_what_blocks_is_called_in_a_thread() -> None:
    """Others go on meanwhile; the context of the log goes along, and so does an error."""
    order: list[str] = []
    released = threading.Event()

    def blocking() -> str:
        assert released.wait(20)
        return f"{waiting.inside()} {structlog.contextvars.get_contextvars()['execution_id']}"

    def first() -> None:
        with structlog.contextvars.bound_contextvars(execution_id="exec-1"):
            order.append(loop.offload(blocking))

    def second() -> None:
        order.append("meanwhile")
        with pytest.raises(ZeroDivisionError):
            loop.offload(lambda: 1 / 0)
        released.set()

    side_by_side(first, second)
    assert order == ["meanwhile", "False exec-1"]


@pytest.mark.parametrize("from_a_thread", [False, True])
def test_conditions_events_and_semaphores_wake_greenlets(from_a_thread: bool) -> None:
    """Whoever notifies, a thread or a greenlet, wakes the greenlet that waits; a time-out ends the wait as well."""
    condition, event, semaphore = waiting.Condition(), waiting.Event(), waiting.Semaphore(1)
    found: list[Any] = []

    def waits() -> None:
        with condition:
            found.append(condition.wait(20))
            found.append(condition.wait(0.01))
        found.append(event.wait(20))
        assert semaphore.acquire()
        found.append(semaphore.acquire(timeout=0.01))
        found.append(semaphore.acquire(timeout=20))

    def wakes() -> None:
        while len(found) < 1:
            with condition:
                condition.notify_all()
            waiting.sleep(0.001)
        while len(found) < 2:
            waiting.sleep(0.001)
        event.set()
        while len(found) < 4:
            waiting.sleep(0.001)
        semaphore.release()

    if from_a_thread:
        thread = threading.Thread(target=wakes)
        thread.start()
        side_by_side(waits)
        thread.join()
    else:
        side_by_side(waits, wakes)
    assert found == [True, False, True, False, True]


def test_a_time_out_and_a_release_that_meet_resume_once() -> None:
    """A waiter that is released as its time runs out goes on once, and its next wait is not cut short."""
    early: list[float] = []

    def meets() -> None:
        for turn in range(200):
            waiter = waiting.Waiter()
            threading.Timer(0.0005, waiter.release).start() if turn % 2 else loop.of_process().later(
                0.0005, waiter.release
            )
            waiter.acquire(timeout=0.0005)
            began = time.monotonic()
            waiting.sleep(0.002)
            early.append(time.monotonic() - began)

    loop.call(meets)
    assert min(early) >= 0.0015


def test_who_passes_its_turn_goes_on_after_all_that_are_ready() -> None:
    """So a commit takes along the changes of every greenlet that has come as far."""
    order: list[str] = []

    def leads() -> None:
        order.append("leads")
        waiting.pass_turn()
        order.append("goes on")

    side_by_side(leads, *[lambda number=number: order.append(str(number)) for number in range(5)])
    assert order == ["leads", "0", "1", "2", "3", "4", "goes on"]


def test_a_callback_of_the_loop_knows_that_it_must_not_wait() -> None:
    """Between greenlets nothing may wait: such a wait would stop them all."""
    said: list[bool] = []

    def asks() -> None:
        said.append(waiting.must_not_wait())
        over = waiting.Event()

        def callback() -> None:
            said.append(waiting.must_not_wait())
            over.set()

        loop.of_process().soon(callback)
        assert over.wait(20)

    loop.call(asks)
    assert [*said, waiting.must_not_wait()] == [False, True, False]


def test_the_watchdog_names_what_stops_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    """A greenlet that blocks the thread is named by file and function, and the standstill is told of for a while."""

    def stubborn() -> None:
        time.sleep(1)

    waits = threading.Thread(target=lambda: loop.call(lambda: waiting.sleep(2)))  # the loop has something to do
    waits.start()
    time.sleep(0.1)
    loop.call(stubborn)
    waits.join()
    assert 0.2 < loop.stood_still() < 5
    told = capsys.readouterr()
    assert "test_event_loop.py" in told.out + told.err
    assert "stubborn" in told.out + told.err
