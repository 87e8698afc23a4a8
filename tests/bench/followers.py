"""Clients of streams: ``followers.py PORT KEY CLIENTS PATH``, until its standard input is closed.

``open`` is written once each has its first block. At the end comes a line of JSON: how many events have come to each on
average, how many were left out, how many streams have ended before, and the milliseconds from when an event was
recorded until the first client had it.
"""

import json
import re
import selectors
import socket
import sys
import time
from datetime import datetime

_EVENT = re.compile(rb'^data: .*?"timestamp":"([^"]+)"', re.MULTILINE)
_BUSY = b"HTTP/1.1 503 "
_LAGGED = re.compile(rb'^data: \{"skipped":(\d+)', re.MULTILINE)


class Follower:
    """One client; all but the first of them look at nothing but the number of events."""

    def __init__(self, port: int, key: str, path: str, delays: list[float] | None) -> None:
        self._port = port
        self._head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        self.ask()
        self.events = self.skipped = 0
        self.is_over = False
        self._delays, self._rest = delays, b""

    def ask(self) -> None:
        """Ask for the stream."""
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        self.socket.sendall(self._head)

    def begin(self) -> None:
        """Wait for the first block; so many that come at once may be refused for a moment, and ask again."""
        while b"\nid: " not in self._rest:
            piece = self.socket.recv(65_536)
            if self._rest.startswith(_BUSY) or piece.startswith(_BUSY):
                self.socket.close()
                time.sleep(0.2)
                self.ask()
                self._rest = b""
                continue
            if not piece or not self._rest.startswith(b"HTTP/1.1 200 "[: len(self._rest)]):
                raise SystemExit(f"a stream answered {self._rest[:300]!r}")
            self._rest += piece
        self._rest = b""
        self.socket.setblocking(False)

    def read(self) -> None:
        """Take what has come."""
        piece = self.socket.recv(1 << 20)
        if not piece:
            self.is_over = True
        self._rest += piece
        whole, _, self._rest = self._rest.rpartition(b"\n\n")
        self.events += whole.count(b"\ndata: ")
        if b"event: lagged" in whole:
            self.skipped += sum(int(number) for number in _LAGGED.findall(whole))
        if self._delays is not None:
            now = time.time()
            for at in _EVENT.findall(whole):
                self._delays.append((now - datetime.fromisoformat(at.decode()).timestamp()) * 1000)


def main() -> None:
    port, key, clients, path = sys.argv[1:]
    delays: list[float] = []
    followers = [Follower(int(port), key, path, None if number else delays) for number in range(int(clients))]
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ, None)
    for each in followers:
        each.begin()
        selector.register(each.socket, selectors.EVENT_READ, each)
    print("open", flush=True)
    ended = 0
    while True:
        ready = [found.data for found, _ in selector.select()]
        if None in ready:
            break
        for each in ready:
            each.read()
            if each.is_over:
                ended += 1
                selector.unregister(each.socket)
    events, skipped = (sum(getattr(each, name) for each in followers) for name in ("events", "skipped"))
    print(json.dumps({"events": events / len(followers), "skipped": skipped, "ended": ended, "delays_ms": delays}))


if __name__ == "__main__":
    main()
