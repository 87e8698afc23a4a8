"""The places of this process's streams: a limited number for each owner, over all processes.

They are counted in Redis (``store.streams.places``), and renewed by a thread while there are any. While Redis is away a
process counts its own.
"""

import contextlib
import secrets
import threading
import time
from collections import defaultdict

from redis.exceptions import RedisError

from config import logs
from store.streams import places

#: between two renewals, seconds
EVERY = 2.0
#: how soon it is worth trying again, seconds
AGAIN = 2

log = logs.logger(__name__)


class Places:
    """The places of one process."""

    def __init__(self) -> None:
        self._mine: dict[str, set[str]] = defaultdict(set)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def take(self, owner: str, most: int) -> str | None:
        """A place of an owner that has ``most``; None when all are taken."""
        stream = secrets.token_hex(8)
        with self._lock:
            if len(self._mine[owner]) >= most:
                return None
            self._mine[owner].add(stream)  # before Redis is asked: of two that ask at once both count
        try:
            free = places.take(owner, stream, most)
        except (RedisError, OSError) as error:
            log.warning("Redis unavailable: this process counts its streams by itself", reason=str(error))
            free = True
        if not free:
            self._forget(owner, stream)
            return None
        self._renew_from_now_on()
        return stream

    def leave(self, owner: str, stream: str) -> None:
        """Give a place back."""
        self._forget(owner, stream)
        with contextlib.suppress(RedisError, OSError):  # it lapses
            places.leave(owner, stream)

    def drain(self, seconds: float) -> bool:
        """End the renewals; whether they have ended within ``seconds``."""
        self._over.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def _forget(self, owner: str, stream: str) -> None:
        with self._lock:
            self._mine[owner].discard(stream)
            if not self._mine[owner]:
                del self._mine[owner]

    def _renew_from_now_on(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._renew, name="stream-places", daemon=True)
                self._thread.start()

    def _renew(self) -> None:
        while not self._over.wait(EVERY):
            with self._lock:
                mine = {owner: tuple(streams) for owner, streams in self._mine.items() if streams}
                if not mine:
                    self._thread = None
                    return
            began = time.monotonic()
            try:
                places.renew(mine)
            except (RedisError, OSError):
                log.debug("places of streams not renewed", seconds=round(time.monotonic() - began, 2))
