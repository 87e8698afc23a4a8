"""The receiver of the demo's outside calls: made-up systems on loopback.

``launcher.demo.systems`` computes the answer of each; a repeated request, known by its ``Idempotency-Key``, gets the
answer it had and changes nothing. ``GET /requests`` shows the last requests with their answers, ``GET /state`` their
effects.
"""

import contextlib
import json
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from launcher.demo.systems import Answer, Systems

#: requests that are shown
_REMEMBERED = 100
_LARGEST_BODY = 1024 * 1024


class Receiver(ThreadingHTTPServer):
    """The server; ``url`` is where it listens.

    Use it as a context manager that starts and stops it.
    """

    daemon_threads = True

    def __init__(self, port_file: Path) -> None:
        """Listen on the last port again if it is free.

        Then the demo's actions need no change.
        """
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
        self._answers: dict[str, Answer] = {}
        self._systems = Systems()

    def start(self) -> None:
        """Serve in the background."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, name="receiver", daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        self.shutdown()
        self.server_close()

    def take(self, path: str, key: str, body: Any) -> Answer:
        """Remember a request and answer it."""
        with self._lock:
            answer = self._answers.get(key) or self._systems.answer(path, body)
            if key:
                self._answers[key] = answer
            self._requests.append({"path": path, "key": key, "body": body, "status": answer[0], "answer": answer[1]})
        return answer

    def requests(self) -> list[dict[str, Any]]:
        """The last requests, oldest first."""
        with self._lock:
            return list(self._requests)

    def state(self) -> dict[str, list[str]]:
        """The effects of the requests."""
        with self._lock:
            return self._systems.state()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/requests":
            self._answer(200, {"requests": self.server.requests()})
        elif self.path == "/state":
            self._answer(200, self.server.state())
        else:
            self._answer(404, {"error": "POST anything here, or GET /requests or /state"})

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
        self._answer(*self.server.take(self.path, self.headers.get("Idempotency-Key", ""), body))

    def _answer(self, status: int, members: dict[str, Any]) -> None:
        data = json.dumps(members).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Log nothing: the demo prints what was received."""
