"""Transfers of libcurl side by side on the event loop.

In order of time: a greenlet hands in a handle that is ready to send; libcurl says which socket it waits for and when it
wants to look again; the loop watches that, and tells libcurl when it has come; the greenlet goes on when its transfer
has ended. All handles share one multi handle, which keeps the connections and the certificate authorities.

libcurl begins all transfers that it has been given in one go, each with a new connection if none is kept. A burst is
therefore given to it in bites, and the loop turns between.

libcurl's callbacks run on the loop itself, between greenlets: they must not wait.
"""

import os
from collections import deque
from collections.abc import Callable
from typing import Any

import pycurl

from event_loop import loop
from event_loop.waiting import Waiter

#: kept connections without a transfer
MOST_KEPT = 64
#: transfers that begin in one turn of the loop
BITE = 16
_READ, _WRITE = 1, 2  # what gevent calls them
#: what libcurl wants of a socket → what is watched
_EVENTS = {pycurl.POLL_IN: _READ, pycurl.POLL_OUT: _WRITE, pycurl.POLL_INOUT: _READ | _WRITE}


class Transfers:
    """The transfers of one process."""

    def __init__(self) -> None:
        self._watchers = loop.of_process().watchers
        self._multi = multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        multi.setopt(pycurl.M_TIMERFUNCTION, self._look_later)
        multi.setopt(pycurl.M_MAXCONNECTS, MOST_KEPT)
        self._sockets: dict[int, Any] = {}
        self._under_way: dict[pycurl.Curl, _Transfer] = {}
        self._timer: Any = None
        self._looks_soon = False
        #: those that have begun in this turn of the loop, and those whose turn is to come
        self._begun = 0
        self._lined_up: deque[Waiter] = deque()
        self._forget_turn: Callable[[], object]

    def make(self, curl: pycurl.Curl, every: float, look: Callable[[], bool]) -> None:
        """Make one transfer; raises ``pycurl.error``.

        ``look`` is called every ``every`` seconds; when it returns true the transfer ends, aborted.
        """
        self._wait_for_turn()
        self._multi.add_handle(curl)
        transfer = self._under_way[curl] = _Transfer()
        try:
            while not transfer.waiter.acquire(timeout=every):
                if look():
                    raise pycurl.error(pycurl.E_ABORTED_BY_CALLBACK, "Callback aborted")
        finally:
            del self._under_way[curl]
            self._multi.remove_handle(curl)
        if transfer.error is not None:
            raise pycurl.error(*transfer.error)

    def _wait_for_turn(self) -> None:
        if self._begun == BITE:
            mine = Waiter()
            self._lined_up.append(mine)
            mine.acquire()
            return
        if not self._begun:
            self._turn_soon()
        self._begun += 1

    def _turn_soon(self) -> None:
        self._forget_turn = loop.of_process().later(0, self._turn)

    def _turn(self) -> None:
        """Begin the next bite."""
        self._forget_turn()
        self._begun = min(BITE, len(self._lined_up))
        for _ in range(self._begun):
            self._lined_up.popleft().release()
        if self._begun:
            self._turn_soon()

    def _watch(self, wanted: int, socket: int, _multi: Any, _data: Any) -> None:
        """Libcurl's callback: watch a socket for something else, or no longer."""
        watcher = self._sockets.pop(socket, None)
        if watcher is not None:
            watcher.close()
        if wanted in _EVENTS:
            watcher = self._sockets[socket] = self._watchers.io(socket, _EVENTS[wanted])
            watcher.start(self._ready, socket, pass_events=True)

    def _look_later(self, milliseconds: int) -> None:
        """Libcurl's callback: call it again after this time, or (-1) not at all."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        if milliseconds > 0:
            self._timer = self._watchers.timer(milliseconds / 1000)
            self._timer.start(self._act, update=True)
        elif milliseconds == 0 and not self._looks_soon:
            self._looks_soon = True
            self._watchers.run_callback(self._act)

    def _act(self) -> None:
        self._looks_soon = False
        self._tell(pycurl.SOCKET_TIMEOUT, 0)

    def _ready(self, events: int, socket: int) -> None:
        came = (pycurl.CSELECT_IN if events & _READ else 0) | (pycurl.CSELECT_OUT if events & _WRITE else 0)
        self._tell(socket, came)

    def _tell(self, socket: int, came: int) -> None:
        """Let libcurl go on, and resume the greenlets whose transfers have ended."""
        self._multi.socket_action(socket, came)
        left = 1
        while left:
            left, ended, failed = self._multi.info_read()
            for curl in ended:
                self._end(curl, None)
            for curl, code, words in failed:
                self._end(curl, (code, words))

    def _end(self, curl: pycurl.Curl, error: tuple[int, str] | None) -> None:
        transfer = self._under_way.get(curl)
        if transfer is not None:
            transfer.error = error
            transfer.waiter.release()


class _Transfer:
    """A transfer under way, and its error."""

    __slots__ = ("error", "waiter")

    def __init__(self) -> None:
        self.waiter = Waiter()
        self.error: tuple[int, str] | None = None


_here: Transfers | None = None


def of_process() -> Transfers:
    """The transfers of this process; only on its event loop."""
    global _here  # noqa: PLW0603 - one per process
    if _here is None:
        _here = Transfers()
    return _here


_inherited: list[object] = []


def _after_fork() -> None:
    """Forget a parent's transfers; freeing them would end its connections."""
    global _here  # noqa: PLW0603
    _inherited.append(_here)
    _here = None


os.register_at_fork(after_in_child=_after_fork)
