"""What a fork needs around it.

In order of time: the fork waits until no other thread of its process is inside a library's lock; the child is tied to
its parent, so that none outlives it. A child that is to be the API lets gevent patch the library first, before any
module learns of the fork and makes locks of its own for the child.

A process that is forked while a thread is inside SQLite, a driver or a lock inherits that lock, held by a thread that
it does not have. In a process that forks when work comes (``worker.pool``) every other thread therefore works within
``between_forks()``, and the fork waits for that.
"""

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15

_lock = threading.Lock()
#: what the child of the next fork does before anything else
_first: Callable[[], None] | None = None


@contextmanager
def between_forks() -> Iterator[None]:
    """No process is forked in this block, and no other thread is in one."""
    with _lock:
        yield


def fork(first: Callable[[], None] | None = None) -> int:
    """Fork this process, as ``os.fork`` does; returns 0 in the child, there once it has done what comes ``first``.

    The child ends with its parent.

    Raises:
        OSError: there is no memory, or there are too many processes.
    """
    global _first  # noqa: PLW0603 - what runs after a fork has no arguments
    parent, _first = os.getpid(), first
    try:
        pid = os.fork()
    finally:
        _first = None
    if pid == 0:
        end_with_parent()
        if os.getppid() != parent:  # it was killed before this child was tied to it
            os._exit(1)
    return pid


def end_with_parent(**_: object) -> None:
    """Make the kernel end this process when its parent is killed.

    The parent's successor starts its own children.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def call_this_process(name: str) -> None:
    """Give this process the name that ``ps -o comm`` and ``top`` show."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


def _after_fork() -> None:
    """In each child, before what modules that are imported later do there."""
    global _lock  # noqa: PLW0603 - the parent's thread that forked may hold the other one
    if _first is not None:
        _first()
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
