"""Reads the requests of a connection.

In order of time: what has come is looked at; where it holds a whole head without anything unusual, llhttp reads it, and
the environment of the application is built in the same step. Everything else goes to gunicorn's own reader, with the
very same bytes: a head that has not come whole, one that is large, HTTP/1.0, chunks, ``Expect``, a field that comes
twice or has an underscore, and whatever llhttp refuses. So one reader alone says what is refused and in which words,
and what llhttp reads is what that one would have read (``tests/unit/test_server_reading.py``).
"""

import io
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from gunicorn.http.body import Body, LengthReader
from gunicorn.http.message import MAX_REQUEST_LINE, HeaderPolicy
from gunicorn.http.message import Request as OtherRequest
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import base_environ
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

#: the methods of a usual request
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: bytes of a usual head: below every limit on a line, and fields below the limit on their number
_MOST_BYTES, _MOST_FIELDS = 8000, 100
#: bytes that may stand in a line of a head; what is left without them are the ends of the lines, if nothing is wrong
_FINE = bytes([9, *range(0x20, 0x7F), *range(0x80, 0x100)])
_ENDS = tuple(b"\r\n" * number for number in range(_MOST_FIELDS + 2))
#: fields that change how a request is read
_UNUSUAL = frozenset({"TRANSFER-ENCODING", "EXPECT", "UPGRADE"})
#: names of fields whose spelling is remembered, and characters of one
_MOST_NAMES, _LONGEST_NAME = 500, 64


class _Name(NamedTuple):
    """The name of a field, as gunicorn has it and as the application's environment has it."""

    upper: str
    key: str
    is_usual: bool


_names: dict[bytes, _Name] = {}


def _name(sent: bytes) -> _Name:
    known = _names.get(sent)
    if known is None:
        upper = sent.decode("latin-1").upper()
        own = upper in ("CONTENT-TYPE", "CONTENT-LENGTH")
        key = upper.replace("-", "_")
        known = _Name(upper, key if own else f"HTTP_{key}", "_" not in upper and upper not in _UNUSUAL)
        if len(_names) < _MOST_NAMES and len(sent) <= _LONGEST_NAME:
            _names[sent] = known
    return known


class Request:
    """A usual request, with the members that gunicorn's own have."""

    proxy_protocol_info: Mapping[str, Any] = {}
    trailers: tuple[tuple[str, str], ...] = ()
    fragment = ""
    version = (1, 1)
    _expected_100_continue = False

    def __init__(self) -> None:
        self.method = self.uri = self.path = self.query = ""
        self.scheme = "http"
        #: names in capitals, and values
        self.headers: list[tuple[str, str]] = []
        self.environ: dict[str, Any] = {}
        self.body: Any = None
        #: whether all of the body has come
        self.whole = False
        self._close = False

    def force_close(self) -> None:
        """Close the connection behind the answer."""
        self._close = True

    def should_close(self) -> bool:
        """Whether the connection closes behind the answer."""
        return self._close


class _Head:
    """What llhttp finds in a head."""

    def __init__(self) -> None:
        self.uri = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, piece: bytes) -> None:
        """The target, or a piece of it."""
        self.uri += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field."""
        self.fields.append((name, value))


class Shared:
    """What the requests of a process have in common."""

    def __init__(self, cfg: Any, log: Any) -> None:
        self.cfg = cfg
        #: whether requests are read and answered here: nothing is configured that gunicorn alone knows
        self.is_usual = not (
            cfg.is_ssl
            or not cfg.keepalive
            or cfg.proxy_protocol != "off"
            or getattr(cfg, "protocol", "http") != "http"
            or getattr(cfg, "http2_cleartext", "off") in ("upgrade", "prior-knowledge", "both")
            or cfg.casefold_http_method
            or os.environ.get("SCRIPT_NAME")  # noqa: TID251 - gunicorn's own variable
            or cfg.limit_request_line not in range(_MOST_BYTES, MAX_REQUEST_LINE + 1)
            or cfg.limit_request_fields < _MOST_FIELDS
            or cfg.limit_request_field_size < _MOST_BYTES
            or log.access_log_enabled
            or any(
                cfg.settings[hook].value is not cfg.settings[hook].default for hook in ("pre_request", "post_request")
            )
        )
        self.environ = {
            **base_environ(cfg),
            "wsgi.multithread": True,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SCRIPT_NAME": "",
        }


class Requests(RequestParser):  # type: ignore[misc]
    """The requests of a connection, one after the other."""

    mesg: Any

    def __init__(self, shared: Shared, sock: Any, peer: Any, server: Any) -> None:
        super().__init__(shared.cfg, sock, peer)
        own = {"gunicorn.socket": sock, "SERVER_NAME": server[0], "SERVER_PORT": str(server[1])}
        self._environ = {**shared.environ, **own}
        self._schemes = _schemes(shared.cfg, peer)

    def __next__(self) -> Any:
        """The next request, up to its body.

        Raises:
            StopIteration: there is none. Besides what gunicorn's reader raises.
        """
        last = self.mesg
        if last is not None:
            if last.should_close():
                raise StopIteration
            if not (isinstance(last, Request) and last.whole) and not self.finish_body():
                raise StopIteration
        data = self.unreader.read()
        if not data:
            raise StopIteration
        self.req_count += 1
        self.mesg = self._read(data)
        if self.mesg is None:
            self.unreader.unread(data)
            self.mesg = OtherRequest(self.cfg, self.unreader, self.source_addr, self.req_count)
        return self.mesg

    def _read(self, data: bytes) -> Request | None:
        """A usual request whose head has come whole; None for any other."""
        end = data.find(b"\r\n\r\n", 0, _MOST_BYTES)
        if end < 0:
            return None
        text, head = data[: end + 4], _Head()
        parser = HttpRequestParser(head)
        try:
            parser.feed_data(text)
        except (HttpParserError, HttpParserUpgrade):
            return None
        fields = head.fields
        if len(fields) >= _MOST_FIELDS or text.translate(None, _FINE) != _ENDS[len(fields) + 2]:
            return None
        method, request = parser.get_method(), Request()
        request.method = method.decode("latin-1")
        if request.method not in _METHODS or not text.startswith(b"%b %b HTTP/1.1\r\n" % (method, head.uri)):
            return None
        if not self._has_target(request, head.uri) or not self._has_fields(request, fields):
            return None
        self._take_body(request, data, end + 4)
        return request

    @staticmethod
    def _has_target(request: Request, uri: bytes) -> bool:
        text = uri.decode("latin-1")
        if (
            not text.startswith("/")
            or text.startswith("//")
            or "#" in text
            or not (text.isascii() and text.isprintable())
        ):
            return False
        request.uri = text
        request.path, _, request.query = text.partition("?")
        return True

    def _has_fields(self, request: Request, fields: list[tuple[bytes, bytes]]) -> bool:
        environ, headers, told = self._environ.copy(), request.headers, False
        size = len(environ)
        for sent, raw in fields:
            name, value = _name(sent), raw.decode("latin-1").strip(" \t")
            if not name.is_usual:
                return False
            headers.append((name.upper, value))
            environ[name.key] = value
            if name.upper in self._schemes:
                if told:
                    return False
                told, request.scheme = True, "https" if value == self._schemes[name.upper] else "http"
        length = environ.get("CONTENT_LENGTH", "0")
        if len(environ) != size + len(fields) or not (length.isascii() and length.isdigit()):
            return False  # a field comes twice, or the body has no length
        request._close = environ.get("HTTP_CONNECTION", "").lower() == "close"  # noqa: SLF001 - of this module
        environ["REQUEST_METHOD"], environ["RAW_URI"] = request.method, request.uri
        environ["QUERY_STRING"], environ["wsgi.url_scheme"] = request.query, request.scheme
        request.environ = environ
        return True

    def _take_body(self, request: Request, data: bytes, begin: int) -> None:
        length = int(request.environ.get("CONTENT_LENGTH", "0"))
        end = begin + length
        if len(data) >= end:
            request.body, request.whole = io.BytesIO(data[begin:end]), True
            if len(data) > end:
                self.unreader.unread(data[end:])
        else:
            self.unreader.unread(data[begin:])
            request.body = Body(LengthReader(self.unreader, length))
        request.environ["wsgi.input"] = request.body


def _schemes(cfg: Any, peer: Any) -> Mapping[str, str]:
    """The fields by which a peer may say how it was asked: those of a declared proxy alone."""
    policy = HeaderPolicy()
    policy.cfg, policy.peer_addr = cfg, peer
    found: Mapping[str, str] = policy._peer_trusted_for_forwarded()[0]  # noqa: SLF001 - a proxy is trusted or not, in one place
    return found
