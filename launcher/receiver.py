"""The other end of the demo's outside call: a small ticket system on a loopback port.

It gives every request a ticket (a repeated one, known by its ``Idempotency-Key``, the ticket it had), and shows
the last requests on ``GET /requests``.
"""

import contextlib
import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_REMEMBERED = 50
_LARGEST_BODY = 1024 * 1024


class Receiver(ThreadingHTTPServer):
    """The server; ``url`` is where it listens. Use as a context manager that starts and stops it."""

    daemon_threads = True

    def __init__(self, port_file: Path) -> None:
        """Listen on the port of the last time if it is free, so that the demo's actions need no change."""
        wished = 0
        with contextlib.suppress(OSError, ValueError):
            wished = int(port_file.read_text())
        try:
            super().__init__(("127.0.0.1", wished), _Handler)
        except (OSError, OverflowError):
            super().__init__(("127.0.0.1", 0), _Handler)
        port_file.write_text(str(self.server_port))
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._lock = threading.Lock()
        self._requests: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)
        self._tickets: dict[str, str] = {}

    def start(self) -> None:
        """Serve in the background."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="receiver", daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        self.shutdown()
        self.server_close()

    def take(self, method: str, path: str, key: str, body: Any) -> str:
        """Remember a request and return its ticket."""
        with self._lock:
            ticket = self._tickets.get(key) or f"DEMO-{len(self._tickets) + 1}"
            self._tickets[key or ticket] = ticket
            self._requests.append({"method": method, "path": path, "ticket": ticket, "body": body})
        return ticket

    def requests(self) -> list[dict[str, Any]]:
        """The last requests, oldest first."""
        with self._lock:
            return list(self._requests)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/requests":
            self._answer(200, {"requests": self.server.requests()})
        else:
            self._answer(404, {"error": "POST anything here, or GET /requests"})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _LARGEST_BODY:
            self.close_connection = True
            self._answer(413, {"error": "a body needs a Content-Length of at most 1 MiB"})
            return
        data = self.rfile.read(int(length)).decode(errors="replace")
        try:
            body = json.loads(data)
        except ValueError:
            body = data
        ticket = self.server.take("POST", self.path, self.headers.get("Idempotency-Key", ""), body)
        self._answer(200, {"received": True, "ticket": ticket})

    def _answer(self, status: int, members: dict[str, Any]) -> None:
        data = json.dumps(members).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing: the demo tells what was received."""
