"""Calls outside the event loop of a process that serves all its requests from one.

A process of the API runs its requests as greenlets. SQLite works in C, so a read of 100 ms would hold up every request,
accepts and probes too. In a native thread it does not: while SQLite works it holds no lock of the interpreter. A
connection to PostgreSQL waits as a greenlet does, and needs no thread. On a worker's event loop a thread makes the call
too. In every other process it is made at once.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from event_loop import loop
from event_loop.waiting import inside

#: reads under way at the same time in a process; the others wait, and leave connections and processors to writers
AT_ONCE = 2

Found = TypeVar("Found")


def has_loop() -> bool:
    """Whether greenlets have taken the place of this process's threads."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def call(work: Callable[[], Found], interrupt: Callable[[], object]) -> Found:
    """What ``work()`` returns or raises; made in a native thread if there is an event loop.

    ``interrupt`` makes it end soon; it is called when the greenlet that waits for it is killed.
    """
    if inside():
        return loop.offload(work)
    if not has_loop():
        return work()
    task = _threads().spawn(_outcome, work)
    try:
        returned, value = task.get()
    except BaseException:  # the thread must have ended before its connection is closed
        interrupt()
        task.wait()
        raise
    if returned:
        return value  # type: ignore[no-any-return]
    raise value


def _outcome(work: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return True, work()
    except Exception as error:  # noqa: BLE001 - raised again where the call came from
        return False, error


@functools.cache
def _threads() -> Any:
    from gevent.threadpool import ThreadPool  # only in a process that has it

    return ThreadPool(AT_ONCE)
