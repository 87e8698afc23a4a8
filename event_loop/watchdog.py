"""Sees an event loop that stands still.

Whatever blocks the loop's thread holds up every execution of the worker. In order of time: a thread asks the loop for a
sign of life while it has greenlets; when none comes within ``LATE`` seconds, a line of the log says where the loop
stands, and another how long it stood. Leases are kept by a thread of their own meanwhile, so nothing is lost.
"""

import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Protocol

from config import logs

#: a loop that has not turned for so long is late, seconds
LATE = 0.25
#: between two looks at a loop without greenlets, seconds
IDLE = 1.0
#: a standstill is shown for this long, seconds
SHOWN = 60.0
#: frames of the stack in the log, the innermost
_FRAMES = 6

log = logs.logger(__name__)


class Watched(Protocol):
    """The loop, as its watchdog sees it."""

    #: those that have begun and not ended
    greenlets: int
    thread: threading.Thread

    def soon(self, resume: Callable[[], object]) -> None:
        """Have the loop call ``resume``."""


class Watchdog(threading.Thread):
    """The thread that watches one loop."""

    def __init__(self, watched: Watched) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._watched = watched
        #: when a standstill ended, and how long it was, seconds
        self._lately: deque[tuple[float, float]] = deque(maxlen=100)

    def run(self) -> None:
        """Watch as long as the process lives."""
        while True:
            time.sleep(LATE if self._watched.greenlets else IDLE)
            if self._watched.greenlets:
                self._look()

    def longest(self) -> float:
        """The longest standstill of the last minute, seconds; 0 if there was none."""
        before = time.monotonic() - SHOWN
        return max((lasted for ended, lasted in self._lately if ended > before), default=0.0)

    def _look(self) -> None:
        asked, turned = time.monotonic(), threading.Event()
        self._watched.soon(turned.set)
        if turned.wait(LATE):
            return
        log.warning("event loop stands still; its executions wait", where=self._where())
        turned.wait()
        lasted = time.monotonic() - asked
        self._lately.append((time.monotonic(), lasted))
        log.warning("event loop turned again", seconds=round(lasted, 3))

    def _where(self) -> str:
        """Where the loop's thread is, the innermost call last."""
        frame = sys._current_frames().get(self._watched.thread.ident or 0)  # noqa: SLF001 - there is no other way
        stack = traceback.extract_stack(frame)[-_FRAMES:] if frame is not None else []
        return " > ".join(f"{one.filename.rsplit('/', 1)[-1]}:{one.lineno} {one.name}" for one in stack)
