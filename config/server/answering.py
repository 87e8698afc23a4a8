"""Writes the answers of requests: the head and the first piece of the body in one call.

In order of time: the application names its status and headers, which are checked once for each name; the first piece of
the body takes the head along; a stream goes on piece by piece. What an answer consists of, and in which order, is as
gunicorn has it, whose class this is.
"""

import time
from typing import Any

from gunicorn import util
from gunicorn.http import wsgi

#: a piece that is larger is sent behind the head, instead of being copied
_LARGE = 64 * 1024
#: headers whose names are remembered as sound, and that concern the answer alone
_MOST_NAMES = 200
_sound: set[str] = set()
#: status lines that are sound → their code
_codes: dict[str, int] = {}


class _Clock:
    """The present second, as a header has it."""

    def __init__(self) -> None:
        self._second, self._text = 0, ""

    def text(self) -> str:
        """The date, which is written once a second."""
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, util.http_date(second)
        return self._text


_clock = _Clock()


class Answer(wsgi.Response):  # type: ignore[misc]
    """The answer to a request."""

    status: Any
    status_code: Any
    headers: Any
    headers_sent: Any
    response_length: Any

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """Take the status and the headers, as WSGI has it."""
        code = _codes.get(status)
        if code is None or exc_info or self.status is not None or code < 200:  # noqa: PLR2004 - 1xx have rules of their own
            started = super().start_response(status, headers, exc_info)
            if len(_codes) < _MOST_NAMES and self.status_code is not None:
                _codes[status] = self.status_code
            return started
        self.status, self.status_code = status, code
        self.process_headers(headers)
        if code in (204, 304) or self.req.method == "HEAD":
            self._omits_body = True
            if code == 204:  # noqa: PLR2004
                self.headers = [one for one in self.headers if one[0].lower() != "content-length"]
                self.response_length = None
        self.chunked = self.response_length is None and self.is_chunked()
        return self.write

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        """Check the headers; those whose names are known by their values alone."""
        for header in headers:
            name, value = header
            if name in _sound and type(value) is str and value.isascii() and value.isprintable():
                self.headers.append((name, value.strip(" ")))
                continue
            if name == "Content-Length" and type(value) is str and value.isascii() and value.isdigit():
                self.response_length = int(value)
                self.headers.append(header)
                continue
            super().process_headers([header])
            if (
                type(name) is str
                and len(_sound) < _MOST_NAMES
                and name.lower() != "content-length"
                and not util.is_hoppish(name)
            ):
                _sound.add(name)

    def _head(self) -> bytes:
        version = self.req.version
        kept = "upgrade" if self.upgrade else "close" if self.should_close() else "keep-alive"
        begin = f"HTTP/{version[0]}.{version[1]} {self.status}\r\nServer: {self.version}\r\n"
        lines = [begin, f"Date: {_clock.text()}\r\nConnection: {kept}\r\n"]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        lines.append("\r\n")
        return "".join(lines).encode("latin-1")

    def write(self, arg: bytes) -> None:
        """Send a piece of the body, and the head before the first one."""
        if self.headers_sent or self._omits_body or type(arg) is not bytes or len(arg) > _LARGE:
            super().write(arg)
            return
        if self.response_length is not None and len(arg) > self.response_length:
            arg = arg[: self.response_length]
        self.sent += len(arg)
        framed = b"%X\r\n%b\r\n" % (len(arg), arg) if self.chunked and arg else arg
        self.headers_sent = True
        self.sock.sendall(self._head() + framed)
