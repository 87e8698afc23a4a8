"""Connections to PostgreSQL that wait for the server as their user has to.

On an event loop, be it that of a process of greenlets or that of a worker, the greenlet alone waits, by watchers that
the connection keeps; anywhere else the driver waits in its own way.

In order of time: the driver asks to wait until it can read, or until it can write; whether it can write is nearly
always true and asked of the kernel at once; otherwise the watcher of the connection is started, the other greenlets go
on, and the driver hears what has become possible. With what it finds itself the driver makes a poll object, with
watchers of its own, at every wait: a quarter of what a process of greenlets did. Each ``PAUSE`` the driver looks for
itself, in case the connection has been closed meanwhile.
"""

import select
from typing import Any

import psycopg

from event_loop.waiting import inside
from store.engine import aside

#: a connection that is closed while it is waited for is noticed after this, seconds
PAUSE = 0.1
#: what the driver waits for, and hears of: the same bits as those of a watcher
_READ, _WRITE = 1, 2


class _Watchers:
    """The watchers of one connection, on the loop whose greenlet made them."""

    def __init__(self, fd: int) -> None:
        from gevent import get_hub  # only in a process that has a loop: it is large
        from gevent.hub import Waiter

        self._current_hub, self._new_waiter = get_hub, Waiter
        self.hub = get_hub()
        self._reads = self.hub.loop.io(fd, _READ)
        self._both = self.hub.loop.io(fd, _READ | _WRITE)
        self._pause = self.hub.loop.timer(PAUSE, PAUSE)
        self._waiter: Any = None
        self._closed = False
        self._poll = _poll()
        self._poll.register(fd, select.POLLIN | select.POLLOUT)

    def are_here(self) -> bool:
        """Whether the caller is a greenlet of their loop."""
        return self._current_hub() is self.hub

    def ready(self, wanted: int) -> int:
        """What of it is possible, as soon as anything is; 0 after a pause.

        Raises:
            psycopg.OperationalError: the connection has been closed meanwhile.
        """
        if wanted != _READ and (found := self._now(wanted)):
            return found
        watcher, waiter = self._reads if wanted == _READ else self._both, self._new_waiter(self.hub)
        self._waiter = waiter
        watcher.start(waiter.switch, _READ)
        self._pause.again(waiter.switch, 0)  # a timer that is only started again keeps what was left of it
        try:
            possible: int = waiter.get()
        finally:
            self._waiter = None
            if not self._closed:
                watcher.stop()
                self._pause.stop()
        if self._closed:
            raise psycopg.OperationalError("the connection was closed while it was used")
        return possible if wanted == _READ else self._now(wanted)

    def _now(self, wanted: int) -> int:
        """What of it is possible now."""
        for _, events in self._poll.poll(0):
            return wanted & ((_WRITE if events & select.POLLOUT else 0) | (_READ if events & ~select.POLLOUT else 0))
        return 0

    def close(self) -> None:
        """Forget the connection, before its socket is closed; who waits for it looks for itself at once."""
        self._closed = True
        if _on_loop() and self.are_here():
            self._forget()
        else:  # another thread closes it: only their own may touch them
            self.hub.loop.run_callback_threadsafe(self._forget)

    def _forget(self) -> None:
        if self._waiter is not None:
            self.hub.loop.run_callback(self._waiter.switch, 0)
        for one in (self._reads, self._both, self._pause):
            one.stop()
            one.close()


def _poll() -> Any:
    """The kernel's own, where greenlets have taken the place of threads too."""
    if not aside.has_loop():
        return select.poll()
    from gevent import monkey  # there it has been imported

    return monkey.get_original("select", "poll")()


def _on_loop() -> bool:
    """Whether the caller is a greenlet that must not block its thread."""
    return inside() or aside.has_loop()


class WatchedConnection(psycopg.Connection[Any]):
    """A connection that waits so."""

    _watchers: _Watchers | None = None

    def wait(self, gen: Any, interval: float = PAUSE, timeout: float | None = None) -> Any:
        """Run what the driver does with the server, to its end."""
        if timeout is not None or not _on_loop():
            return super().wait(gen, interval, timeout)
        watchers = self._watchers
        if watchers is None:
            watchers = self._watchers = _Watchers(self.pgconn.socket)
        if not watchers.are_here():
            return super().wait(gen, interval, timeout)
        try:
            wanted = next(gen)
            while True:
                wanted = gen.send(watchers.ready(wanted))
        except StopIteration as ended:
            return ended.value

    def close(self) -> None:
        """Close it."""
        watchers, self._watchers = self._watchers, None
        if watchers is not None:
            watchers.close()
        super().close()
