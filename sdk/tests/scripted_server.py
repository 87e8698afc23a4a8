"""A server that answers as a test says, so that the suite needs nothing of the product."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Union

KEY = "tcn_0123456789ab_not-a-real-secret"


class Request(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: Dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """What is answered; ``cut`` closes the connection after so many bytes of the body."""

    status: int = 200
    body: Any = None
    headers: Optional[Dict[str, str]] = None
    cut: Optional[int] = None


Answering = Union[Reply, Callable[[Request], Reply]]


class Scripted:
    """A server on loopback; ``replies`` are given in order, the last one again and again."""

    def __init__(self, port: int = 0) -> None:
        self.requests: List[Request] = []
        self.replies: List[Answering] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """End it; its port refuses connections."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def next(self, request: Request) -> Reply:
        """The reply to a request."""
        self.requests.append(request)
        given = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return given if isinstance(given, Reply) else given(request)

    def _handler(self) -> type:
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body go out together
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None:
                """Nothing is printed."""

            def _answer(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = script.next(Request(self.command, self.path, headers, content))
                text = reply.body if isinstance(reply.body, (bytes, str)) else json.dumps(reply.body)
                body = text.encode() if isinstance(text, str) else text
                body = b"" if reply.status in (204, 304) or reply.body is None else body
                self.send_response(reply.status)
                sent = {"Content-Type": "application/json", **(reply.headers or {})}
                if "content-length" not in {name.lower() for name in sent} and reply.status not in (204, 304):
                    sent["Content-Length"] = str(len(body))
                for name, value in sent.items():
                    self.send_header(name, value)
                self.end_headers()
                if reply.cut is not None:
                    self.wfile.write(body[: reply.cut])
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        return Handler


def problem(status: int, code: str, **more: Any) -> Reply:
    """An error as the server answers it."""
    headers = more.pop("headers", {})
    body = {"status": status, "code": code, "detail": f"It is {code}.", "request_id": "r-1", "errors": [], **more}
    return Reply(status, body, {"Content-Type": "application/problem+json", **headers})
