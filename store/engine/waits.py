"""Connections to PostgreSQL that wait for the server as their user has to.

On the event loop of a worker the greenlet alone waits, and the loop watches the connection's socket; anywhere else the
driver waits in its own way.
"""

from typing import Any

import psycopg

from event_loop import loop
from event_loop.waiting import Waiter, inside


class PostgresConnection(psycopg.Connection[Any]):
    """A connection that may be used on the event loop."""

    def wait(self, gen: Any, *given: Any, **more: Any) -> Any:
        """Carry out what the driver has begun, and wait for the server as often as that asks for it."""
        if not inside():
            return super().wait(gen, *given, **more)
        try:
            wanted = next(gen)
            while True:
                wanted = gen.send(_ready(self.pgconn.socket, wanted))
        except StopIteration as ended:
            return ended.value


def _ready(socket: int, wanted: int) -> int:
    """What a socket is ready for, of what is ``wanted`` (1: to read, 2: to write), as soon as it is."""
    waiter, came = Waiter(), list[int]()

    def ready(events: int) -> None:
        watcher.stop()
        came.append(events & 3)
        waiter.release()

    watcher = loop.of_process().watchers.io(socket, int(wanted))
    watcher.start(ready, pass_events=True)
    try:
        waiter.acquire()
    finally:
        watcher.close()
    return came[0]
