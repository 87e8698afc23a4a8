"""The loop: one thread of a worker that carries out its executions, each as a greenlet.

In order of time: ``call`` has the loop begin a greenlet, and waits for its end; the greenlet runs until it waits for
something (``event_loop.waiting``), and the loop goes on with whichever is ready. No lock of the interpreter is passed
from thread to thread for that, and hundreds of executions that wait for slow targets cost some kilobytes each.

What would block the thread goes to ``offload``: another thread makes the call, and only its greenlet waits.
Names to be looked up, SMTP, an operator's own code and the broker are such calls. Two things do not block and stay on
the loop: HTTP requests, which libcurl makes over sockets that the loop watches (``providers.egress.transfers``), and
the database (``store.engine``).

gevent brings the loop itself. Nothing is patched: other threads of the process work as always.
"""

import atexit
import contextvars
import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from config import logs
from event_loop import waiting
from event_loop.waiting import LoopGreenlet, Waiter, inside
from event_loop.watchdog import Watchdog

#: threads for calls that block, at most: more than a worker has slots, so that no call waits for another to end. Those
#: that hang, mail servers or a broker that stands still, would hold up what opens a connection to the database, else
THREADS = 1_000

Result = TypeVar("Result")

log = logs.logger(__name__)


class EventLoop:
    """The loop of one process, and its thread."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        #: greenlets that have begun and not ended
        self.greenlets = 0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="offload")
        self.thread = threading.Thread(target=self._run, name="event-loop", daemon=True)
        self.thread.start()
        self._begun.wait()
        self._watchdog = Watchdog(self)
        self._watchdog.start()

    def stood_still(self) -> float:
        """The longest standstill of the last minute, seconds."""
        return self._watchdog.longest()

    def _run(self) -> None:
        from gevent import get_hub  # only in a process that has a loop: it is large

        hub = get_hub()
        self.watchers = hub.loop
        self._hub = hub
        self._here = threading.get_ident()
        waiting.run_callbacks_in(hub)
        self.switch: Callable[[], Any] = functools.partial(greenlet.switch, hub)
        stays = hub.loop.async_()  # while it waits for something the loop does not end
        stays.start(lambda: None)
        begins = getcurrent()
        self._end: Callable[[], Any] = begins.switch
        self._begun.set()
        self.switch()

    def close(self) -> None:
        """End the loop, wherever its greenlets are: the process ends."""
        self.soon(self._end)
        self.thread.join(1)

    def spawn(self, work: Callable[[], object]) -> None:
        """Carry out ``work`` in a greenlet; from any thread. What it raises ends nothing else, and is logged."""
        self.soon(functools.partial(self._begin, work))

    def _begin(self, work: Callable[[], object]) -> None:
        self.greenlets += 1
        begun = LoopGreenlet(functools.partial(self._carry_out, work), self._hub)
        begun.hub = self
        begun.switch()

    def _carry_out(self, work: Callable[[], object]) -> None:
        try:
            work()
        except GreenletExit:  # it is dropped where it waits
            raise
        except BaseException:
            log.exception("greenlet of the event loop raised an unexpected error")  # raised on, it would end the loop
        finally:
            self.greenlets -= 1

    def soon(self, resume: Callable[[], object]) -> None:
        """Have the loop call ``resume``; from any thread."""
        if threading.get_ident() == self._here:
            self.watchers.run_callback(resume)
        else:
            self.watchers.run_callback_threadsafe(resume)

    def later(self, seconds: float, resume: Callable[[], object]) -> Callable[[], object]:
        """Have the loop call ``resume`` after a time, in seconds; returns what prevents it. Only on the loop."""
        timer = self.watchers.timer(seconds)
        timer.start(resume, update=True)  # from now on, not from when the loop last looked at the clock
        return timer.close  # type: ignore[no-any-return]

    def offload(self, work: Callable[[], Result]) -> Result:
        """What ``work()`` returns or raises, called in a thread while the calling greenlet waits."""
        waiter = Waiter()
        context = contextvars.copy_context()
        made = self._threads.submit(context.run, work)
        made.add_done_callback(lambda _: waiter.release())
        waiter.acquire()
        try:
            return made.result()
        finally:
            del made  # an error knows this frame: it would be kept, with all that its own frames hold


_lock = threading.Lock()
_loop: EventLoop | None = None


def of_process() -> EventLoop:
    """The loop of this process; it begins when it is first asked for."""
    global _loop  # noqa: PLW0603 - one per process
    if _loop is None:
        with _lock:
            if _loop is None:
                _loop = EventLoop()
                atexit.register(_loop.close)  # before the interpreter takes away what its callbacks need
    return _loop


def stood_still() -> float:
    """The longest standstill of this process's loop in the last minute, seconds; 0 without a loop."""
    return 0.0 if _loop is None else _loop.stood_still()


def _after_fork() -> None:
    """Start a forked child without its parent's thread."""
    global _lock, _loop
    if _loop is not None:
        atexit.unregister(_loop.close)
    _lock, _loop = threading.Lock(), None


os.register_at_fork(after_in_child=_after_fork)


def call(work: Callable[[], Result]) -> Result:
    """What ``work()`` returns or raises, carried out on the loop while the calling thread waits."""
    if inside():
        return work()
    ended = threading.Lock()
    ended.acquire()
    found: list[Any] = []

    def carry_out() -> None:
        try:
            found[:] = True, work()
        except BaseException as error:  # noqa: BLE001 - raised again where the call came from
            found[:] = False, error
        finally:
            ended.release()

    of_process().spawn(carry_out)
    ended.acquire()
    succeeded, value = found
    found.clear()
    if succeeded:
        return value  # type: ignore[no-any-return]
    try:
        raise value
    finally:
        del value  # as above


def offload(work: Callable[..., Result], *given: Any, **more: Any) -> Result:
    """What ``work(...)`` returns or raises; it may block: on the loop a thread calls it."""
    if not inside():
        return work(*given, **more)
    return of_process().offload(functools.partial(work, *given, **more))
