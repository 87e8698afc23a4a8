"""A receiver of HTTP calls in the test's own process: it keeps what arrived and answers what it is told."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

#: status, headers and body of an answer
Answering = Callable[["Received"], tuple[int, dict[str, str], bytes]]


@dataclass(frozen=True)
class Received:
    """One call."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


@dataclass
class Receiver:
    """The test's side of it."""

    url: str = ""
    host: str = ""
    calls: list[Received] = field(default_factory=list)
    answer: Answering = lambda call: (
        200,
        {"Content-Type": "application/json"},
        json.dumps({"path": call.path}).encode(),
    )


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver that listens until the block ends."""
    known = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_call(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = Received(self.command, self.path, headers, self.rfile.read(length))
            known.calls.append(call)
            status, more, body = known.answer(call)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_call  # noqa: N815

        def log_message(self, *_words: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    known.host = f"127.0.0.1:{server.server_port}"
    known.url = f"http://{known.host}"
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
