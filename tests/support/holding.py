"""A caller holds many connections to the API and replaces closed ones."""

import contextlib
import resource
import selectors
import socket
import threading
import time
from typing import Self

from tests.support.waiting import eventually

#: new connections a second, once all are open; between two pieces of what is sent slowly, seconds
AGAIN, PAUSE = 100, 1.5


class HeldConnections:
    """Context manager: ``number`` connections send ``first`` at once, ``piece`` now and then."""

    def __init__(self, port: int, number: int, first: bytes, piece: bytes = b"", source: str = "127.0.0.9") -> None:
        self.opened = 0
        self._port, self._number, self._source = port, number, source
        self._first, self._piece = first, piece
        self._open: set[socket.socket] = set()
        self._ended = False
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._hold)

    def __enter__(self) -> Self:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < self._number + 500:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, self._number + 500), hard))
        self._thread.start()
        eventually(lambda: self.opened >= self._number, 60, "all connections are made")
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join()
        for one in self._open:
            one.close()

    def _hold(self) -> None:
        begun = sent = time.monotonic()
        while not self._ended:
            now = time.monotonic()
            while len(self._open) < self._number and self.opened < self._number + AGAIN * (now - begun):
                self._connect()
            for key, event in self._selector.select(0.02):
                self._serve(key.fileobj, event)
            if self._piece and now - sent > PAUSE:
                sent = now
                for one in self._open:
                    with contextlib.suppress(OSError):
                        one.send(self._piece)

    def _connect(self) -> None:
        one = socket.socket()
        one.setblocking(False)
        one.bind((self._source, 0))
        with contextlib.suppress(BlockingIOError):
            one.connect(("127.0.0.1", self._port))
        self._open.add(one)
        self.opened += 1
        self._selector.register(one, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _serve(self, one: socket.socket, event: int) -> None:
        try:
            if event & selectors.EVENT_WRITE:
                one.send(self._first)
                self._selector.modify(one, selectors.EVENT_READ)
            if event & selectors.EVENT_READ and not one.recv(65536):
                raise ConnectionResetError
        except OSError:
            self._selector.unregister(one)
            self._open.discard(one)
            one.close()
