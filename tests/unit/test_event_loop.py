"""The event loop of a worker: greenlets that wait let the others go on, and threads and greenlets wake each other."""

import contextlib
import functools
import gc
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from greenlet import getcurrent

from event_loop import loop, waiting, watchdog
from tests.support.waiting import eventually


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
    """A hundred sleep at once until the last of them has come; none of them is a thread."""
    threads, asleep = set[int](), [0]
    until = time.monotonic() + 60

    def sleeping() -> None:
        asleep[0] += 1
        while asleep[0] < 100 and time.monotonic() < until:
            waiting.sleep(0.05)
        threads.add(threading.get_ident())

    side_by_side(*[sleeping] * 100)
    assert time.monotonic() < until
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
    silent = waiting.Condition()
    found: list[Any] = []

    def waits() -> None:
        with condition:
            found.append(condition.wait(20))
        with silent:
            found.append(silent.wait(0.01))
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


def test_whoever_has_waited_longest_gets_the_permit() -> None:
    """Greenlets that return a permit and ask again at once get it after those that wait already."""
    semaphore, order = waiting.Semaphore(2), list[int]()

    def begins() -> None:  # after all others have come to wait
        for _ in range(2):
            semaphore.release()

    def asks(number: int) -> None:
        for _ in range(3):
            assert semaphore.acquire(timeout=20)
            order.append(number)
            waiting.sleep(0.001)
            semaphore.release()

    assert [semaphore.acquire() for _ in range(2)] == [True, True]
    side_by_side(*[lambda number=number: asks(number) for number in range(6)], begins)
    assert sorted(order[:6]) == sorted(order[6:12]) == list(range(6))


def test_a_permit_given_as_the_time_runs_out_is_not_lost() -> None:
    """Threads and greenlets that wait for about as long as the holder holds: the permits are all there afterwards."""
    semaphore = waiting.Semaphore(2)

    def asks(number: int) -> None:
        for turn in range(30):
            if semaphore.acquire(timeout=0.001 + (number + turn) % 3 * 0.0005):
                waiting.sleep(0.0015)
                semaphore.release()

    threads = [threading.Thread(target=asks, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    side_by_side(*[lambda number=number: asks(number) for number in range(6)])
    for thread in threads:
        thread.join()
    assert [semaphore.acquire(timeout=0) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("given", [False, True])
def test_who_is_ended_while_it_waits_keeps_no_permit(given: bool) -> None:
    """Whether it still waited, or had just been given one: the permit is there for the next."""
    semaphore, waits, ended = waiting.Semaphore(1), list[Any](), waiting.Event()
    assert semaphore.acquire()

    def waits_for_it() -> None:
        waits.append(getcurrent())
        with pytest.raises(ZeroDivisionError):
            semaphore.acquire()
        ended.set()

    def ends_it() -> None:
        if given:
            semaphore.release()
        waits[0].throw(ZeroDivisionError)

    loop.of_process().spawn(waits_for_it)
    loop.of_process().soon(ends_it)
    loop.call(lambda: ended.wait(20))
    if not given:
        semaphore.release()
    assert [semaphore.acquire(timeout=0) for _ in range(2)] == [True, False]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_loop_of_its_own() -> None:
    """Whatever its parent's greenlets do: it begins and waits by itself, and the parent's loop goes on."""
    released = threading.Event()
    loop.of_process().spawn(lambda: loop.offload(released.wait, 20))
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(Exception):
            signal.alarm(20)
            loop.call(lambda: loop.offload(waiting.sleep, 0.01))
            code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    released.set()
    assert loop.call(waiting.inside)


def test_calls_that_hang_leave_room_for_others() -> None:
    """A hundred calls that block, more than a worker has slots: one that is made beside them ends."""
    released, ended = threading.Event(), list[str]()

    def hangs() -> None:
        assert loop.offload(released.wait, 20)
        ended.append("hung")

    def quick() -> None:
        loop.offload(ended.append, "quick")
        released.set()

    side_by_side(*[hangs] * 100, quick)
    assert ended == ["quick", *["hung"] * 100]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, ZeroDivisionError])
def test_what_a_greenlet_raises_ends_no_other(error: type[BaseException]) -> None:
    """The loop goes on with the others; the error of a call comes back to its caller."""

    def raises() -> None:
        raise error

    with structlog.testing.capture_logs() as said:
        loop.of_process().spawn(raises)
        with pytest.raises(error):
            loop.call(raises)
        assert loop.call(lambda: "alive") == "alive"
    assert [line["log_level"] for line in said] == ["error"]


@pytest.mark.parametrize("offloaded", [False, True])
def test_an_error_is_freed_when_it_is_handled(offloaded: bool) -> None:
    """With what its frames hold, a connection or a body perhaps: it does not wait for the garbage collector."""
    held: list[weakref.ref[threading.Event]] = []

    def fails() -> None:
        body = threading.Event()
        held.append(weakref.ref(body))
        raise ValueError

    gc.disable()
    try:
        with contextlib.suppress(ValueError):
            loop.call(functools.partial(loop.offload, fails) if offloaded else fails)
        eventually(lambda: held[0]() is None, 20, "it is freed", every=0.01)
    finally:
        gc.enable()


def test_the_watchdog_names_what_stops_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    """A greenlet that blocks the thread is named by file and function, and the standstill is told of for a while."""

    def stubborn() -> None:
        time.sleep(watchdog.IDLE + 4 * watchdog.LATE)  # the watchdog of an idle loop looks once in IDLE

    loop.call(stubborn)
    eventually(loop.stood_still, 60, "the standstill has been noted")
    told = capsys.readouterr()
    assert "test_event_loop.py" in told.out + told.err
    assert "stubborn" in told.out + told.err
