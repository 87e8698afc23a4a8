"""Run long computations outside the web server's event loop, in helper processes.

All requests of a web process share one event loop, so a computation of a second keeps all of them waiting for a
second. A thread would not help: it takes the interpreter's lock from the loop, for milliseconds each time. So:

1. The caller passes ``run`` a function that only computes, and its arguments.
2. At most ``WORKERS`` such calls run and ``QUEUE`` wait, of one caller no more than ``OF_ONE`` in all; beyond that
   ``Busy`` is raised.
3. A process (``tasks.offload.process``) starts when it is needed, takes one call after the other, and ends when it has
   been idle for a while: a caller that sends no large definitions pays nothing.
4. ``run`` returns or raises what the call does; if the process dies, or works longer than ``PATIENCE``, it raises
   ``Busy`` too.

``here`` makes a call in this process; so does ``in_turn``, for calls of a tenth of a second: one at a time, and the
event loop serves all other requests in between. All add up the processor time of the present request (``spent``), which
is what its caller is charged for.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from config import logs
from config.errors import Busy
from tasks.offload.process import receive, send

#: calls that run, and calls that wait
WORKERS, QUEUE = 2, 4
#: of these for one caller, so that there is always room for another
OF_ONE = 4
#: calls that take longer than this, milliseconds, are not made ``here``: twenty in a row take less than a second
SHORT = 20
#: the processor time a call may take, seconds; the largest bodies take two or three on a slow machine
PATIENCE = 15
#: a process ends after this long without work, seconds
REST = 30

_ROOT = Path(__file__).parents[2]
_spent: ContextVar[float] = ContextVar("spent", default=0.0)
#: whether the present request has used a helper process
_served: ContextVar[bool] = ContextVar("served", default=False)
#: the caller of the present request
_caller: ContextVar[str] = ContextVar("caller", default="")
Result = TypeVar("Result")

log = logs.logger(__name__)


class _Process:
    """One helper process."""

    def __init__(self) -> None:
        words = [sys.executable, "-m", "tasks.offload.process", str(PATIENCE), str(REST)]
        path = os.pathsep.join([str(_ROOT), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": path}  # noqa: TID251 - passed on, not read
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT, env=environment
        )

    def call(self, asked: bytes) -> tuple[bool, Any, float]:
        """Make a call.

        Returns whether it returned or raised, the value, and its processor seconds.

        Raises:
            OSError, EOFError: the process has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        send(self._process.stdin, asked)
        answer: tuple[bool, Any, float] = pickle.loads(receive(self._process.stdout))  # noqa: S301 - of our own code
        return answer

    def end(self) -> int:
        """End the process; returns its exit code."""
        with contextlib.suppress(OSError):
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
        return self._process.wait()


class Pool:
    """The helper processes, and the calls that wait for one."""

    def __init__(self) -> None:
        self._free = threading.Semaphore(WORKERS)
        self._lock = threading.Lock()
        #: caller → its calls that run or wait
        self._present: Counter[str] = Counter()
        self._idle: list[_Process] = []

    def run(self, asked: bytes) -> tuple[bool, Any, float]:
        """Make a call in a helper process, after those that wait already.

        Raises:
            Busy: too many wait, or the process died twice.
        """
        with self._place():
            for fresh in (False, True):
                process = self._idle.pop() if self._idle and not fresh else _Process()
                try:
                    answer = process.call(asked)
                except (OSError, EOFError):  # it had been idle for too long, or the call ended it
                    if process.end() == -signal.SIGPROF:
                        break
                    continue
                except BaseException:  # the request was given up, so its answer has no reader
                    process.end()
                    raise
                self._idle.append(process)
                return answer
        log.warning("check took too long or ended its process", bytes=len(asked))
        raise Busy("This takes longer than it may. Make the definition smaller, or try again in a moment.")

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        caller = _caller.get()
        with self._lock:
            full = self._present.total() >= WORKERS + QUEUE or self._present[caller] >= OF_ONE
            if full and not _served.get():  # a request that was served before is not refused half-way
                raise Busy
            self._present[caller] += 1
        try:
            with self._free:
                yield
        finally:
            with self._lock:
                self._present[caller] -= 1
                if not self._present[caller]:
                    del self._present[caller]

    def end(self) -> None:
        """End the idle processes."""
        while self._idle:
            self._idle.pop().end()


#: long enough for one round of the event loop, seconds
_YIELD = 0.001
_turn = threading.Lock()
_pool = Pool()
end = _pool.end


def run(function: Callable[..., Result], *given: Any, **more: Any) -> Result:
    """Return what ``function`` returns in a helper process.

    ``pickle`` must be able to write the function and all its values.

    Raises:
        Busy: too many calls wait already. And whatever the function raises.
    """
    returned, value, seconds = _pool.run(pickle.dumps((function, given, more), pickle.HIGHEST_PROTOCOL))
    _spent.set(_spent.get() + seconds)
    _served.set(True)
    if returned:
        return value  # type: ignore[no-any-return]
    raise value


def here(function: Callable[..., Result], *given: Any, **more: Any) -> Result:
    """Return what ``function`` returns, called here and timed; it must not wait."""
    began = time.thread_time()
    try:
        return function(*given, **more)
    finally:
        _spent.set(_spent.get() + time.thread_time() - began)


def way(milliseconds: float) -> Callable[..., Any]:
    """``here`` for short calls, ``run`` for longer ones."""
    return here if milliseconds <= SHORT else run


def in_turn(function: Callable[..., Result], *given: Any, **more: Any) -> Result:
    """``here``, after all earlier calls and one round of the event loop."""
    with _turn:
        time.sleep(_YIELD)
        return here(function, *given, **more)


def serve(caller: str) -> None:
    """Note the caller of the present request."""
    _caller.set(caller)


def spent() -> float:
    """Return the processor seconds of the present request, and reset them."""
    seconds = _spent.get()
    if seconds:
        _spent.set(0.0)
    if _served.get():
        _served.set(False)
    return seconds
