"""Requests are read and answered as gunicorn's own reader and writer do it, byte for byte.

A worker serves the same bytes twice, once in its own way and once in gunicorn's, to an application that tells all that
it was given. Half of the requests are sound, the others are broken at one to three places.
"""

import json
import random
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import gevent.socket
import pytest
from gunicorn.config import Config

from config.server import worker
from config.server.connections import Connections
from config.server.reading import Request, Requests, Shared
from config.server.turns import Turns
from config.server.worker import Worker

METHODS = ["GET", "HEAD", "PUT", "OPTIONS", "CONNECT", "TRACE", "post", "P\x00ST", "BREW", "G" * 21, "", "M-SEARCH"]
TARGETS = [
    *("/", "/a?x=1", "/a?", "//a/b", "/%00", "/%e9%zz", "*", "", "x", "http://h/a", "/a#b", "/a b", "/\xe9", "/a\x7f"),
    *("/" + "a" * 7900, "/" + "a" * 8300, "h:80", "/../a", "/a;b", "/health"),
]
VERSIONS = ["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "http/1.1", "HTTP/1.1 ", "HTTP/11.1", ""]
FIELDS = [
    *("Connection: close", "Connection: Close", "Connection: keep-alive", "Connection: upgrade", "Upgrade: h2c"),
    *("Connection: close\r\nConnection: keep-alive", "Connection: keep-alive, close", "Proxy-Connection: close"),
    *("Expect: 100-continue", "Expect: 100-Continue", "Expect: more", "Expect:", "Host: other", "Host:", "Host: \xff"),
    *("X_Under: 1", "X Space: 1", "X-Before : 1", " X-Lead: 1", ":", "X-Empty:", "NoColon", "X-\xe9: 1", "\x00: 1"),
    *("X-A: a\x00b", "X-A: a\x01b", "X-A: a\x7fb", "X-A: a\x0bb", "X-A: \x85\xff", "X-A: a\rb", "X-A: a\nb"),
    *("X-A: 1\r\n folded", "X-A: 1\r\n\tfolded", "X-Twice: 1\r\nX-Twice: 2", "X-A:\t 1 \t", "SCRIPT_NAME: /x"),
    *("X-Forwarded-Proto: https", "X-Forwarded-Ssl: on", "X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off"),
    *(
        "Content-Type: a/b",
        "Content-Type: a/b\r\nContent-Type: c/d",
        "TE: trailers",
        "Trailer: X",
        "Http2-Settings: AA",
    ),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: identity"),
    *("Transfer-Encoding: gzip, chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding:\x0bchunked"),
    *("Transfer_Encoding: chunked", "Content-Length: 3", "Content_Length: 3", "X-Big: " + "b" * 8100),
    *("X-Big: " + "b" * 8300, "\r\n".join(f"X-{number}: 1" for number in range(97))),
    "\r\n".join(f"X-{number}: 1" for number in range(101)),
]
LENGTHS = [
    *("+5", "-1", "", " ", "abc", "0x5", "\xb2", "5,5", "05", "5 ", "99999999999999999999", "3", "9"),
    *("5\r\nContent-Length: 5", "5\r\nContent-Length: 6"),
]
CHUNKS = [
    *(
        b"5\r\nhello\r\n0\r\n\r\n",
        b"2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n",
        b"5 ;a\r\nhello\r\n0\r\n\r\n",
        b"zz\r\nhello",
    ),
    *(
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
        b"5\r\nhello\r\n0\r\nHost: z\r\n\r\n",
        b"-5\r\nhello",
    ),
    *(
        b"5\nhello\n0\n\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5;\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhel",
        b"F" * 18 + b"\r\nhello",
    ),
]


def generated(chance: random.Random) -> tuple[bytes, list[int]]:
    """A request, maybe with others behind it, and where it is cut when it is sent."""
    sound, method, target, version, body = chance.random() < 0.5, "POST", "/api/x", "HTTP/1.1", b"hello"
    fields = ["Host: h", "Authorization: Bearer k", "Content-Type: application/json"]
    length, end = "Content-Length: 5", "\r\n"
    for _ in range(0 if sound else chance.choice([1, 1, 2, 3])):
        match chance.randrange(9):
            case 0:
                method = chance.choice(METHODS)
            case 1:
                target = chance.choice(TARGETS)
            case 2:
                version = chance.choice(VERSIONS)
            case 3 | 4 | 5:
                fields.insert(chance.randrange(len(fields) + 1), chance.choice(FIELDS))
            case 6:
                length = f"Content-Length: {chance.choice(LENGTHS)}"
            case 7:
                length, body = "Transfer-Encoding: chunked", chance.choice(CHUNKS)
            case 8:
                end = chance.choice(["\r\n", "\r\n", "\n", "\r"])
    between = " " if sound else chance.choice([" "] * 20 + ["  ", "\t"])
    before = "" if sound else chance.choice([""] * 12 + ["\r\n", "\r\n\r\n", "\n", " "])
    lines = [before + between.join([method, target, version]), *fields, length]
    raw = (end.join(lines) + end + end).encode("latin-1") + body
    if chance.random() < 0.2:
        raw += b"GET /behind HTTP/1.1\r\nHost: h\r\n\r\n" * chance.choice([1, 2])
    if not sound and chance.random() < 0.1:
        raw = raw[: chance.randrange(1, len(raw) + 1)]
    if not sound and chance.random() < 0.1:
        place = chance.randrange(min(len(raw), 300))
        raw = raw[:place] + bytes([chance.randrange(256)]) + raw[place + 1 :]
    cuts = sorted(chance.randrange(len(raw)) for _ in range(chance.choice([0, 0, 0, 1, 2])))
    return raw, cuts


def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Tells what it was given, in one piece or in two; a body that cannot be read is answered 400."""
    shown = {name: value for name, value in environ.items() if isinstance(value, str | bool)}
    shown["version"] = str(environ["wsgi.version"])
    way = sum(map(ord, environ["PATH_INFO"])) % 4
    try:
        shown["body"] = environ["wsgi.input"].read(*([4] if way == 1 else [])).decode("latin-1")
    except Exception as error:
        start_response("400 BAD REQUEST", [("Content-Length", "0"), ("X-Why", type(error).__name__)])
        return iter([b""])
    text = json.dumps(shown, sort_keys=True).encode()
    length = [] if way == 2 else [("Content-Length", str(len(text)))]
    status = "204 NO CONTENT" if environ["REQUEST_METHOD"] == "OPTIONS" else "200 OK"
    start_response(status, [("Content-Type", "application/json"), ("X-Tab", "a\tb"), ("Server", "no"), *length])
    return iter([text] if way else [text[:3], text[3:]])


class Log:
    """A log that nobody reads."""

    access_log_enabled = False

    def __getattr__(self, _name: str) -> Any:
        return lambda *_given, **_more: None

    def access(self, *_given: Any) -> None:
        """Nothing is written."""


class Usual(Worker):
    """The worker without its processes."""

    def __init__(self, usual: bool) -> None:
        self.cfg = Config()
        set_up = {"keepalive": 5, "limit_request_line": 8190, "forwarded_allow_ips": "192.0.2.1"}
        for name, value in {**set_up, "forwarder_headers": ""}.items():
            self.cfg.set(name, value)
        self.log, self.wsgi, self.alive = Log(), application, True
        self.nr, self.max_requests = 0, 10**9
        self._connections, self.turns = Connections(), Turns()
        self._shared = Shared(self.cfg, self.log)
        assert self._shared.is_usual
        self._shared.is_usual = usual
        self.knows, self.gives_way = (lambda _key: False), (lambda: None)


class Listener:
    """Where the server listens."""

    def getsockname(self) -> tuple[str, int]:
        """Its address."""
        return "127.0.0.1", 8080


def served(one: Usual, raw: bytes, cuts: list[int], peer: str) -> bytes:
    """All that a client receives that sends these bytes and then closes its side."""
    ours, client = socket.socketpair()
    mine = gevent.socket.socket(ours.family, ours.type, fileno=ours.detach())
    theirs = gevent.socket.socket(client.family, client.type, fileno=client.detach())
    serving = gevent.spawn(one.handle, Listener(), mine, (peer, 4711))
    for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        try:
            theirs.sendall(raw[begin:end])
        except OSError:
            break
        gevent.sleep(0)
    with suppress(OSError):
        theirs.shutdown(socket.SHUT_WR)
    whole = b""
    with suppress(ConnectionResetError):  # what was sent is not all read; what was answered has come before
        while piece := theirs.recv(65536):
            whole += piece
    serving.join(5)
    theirs.close()
    return re.sub(rb"\r\nDate: [^\r]*", b"", whole)


@pytest.mark.parametrize("number", [1_000, pytest.param(10_000, marks=pytest.mark.gate)])
def test_both_ways_answer_alike(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status, headers, body, and whether the connection stays, of sound and broken requests."""
    monkeypatch.setattr(worker.util, "write_error", plain_error)
    chance, own, other = random.Random(number), Usual(usual=True), Usual(usual=False)
    answers = set()
    for _ in range(number):
        raw, cuts = generated(chance)
        peer = chance.choice(["127.0.0.1", "192.0.2.1"])
        expected = served(other, raw, cuts, peer)
        assert served(own, raw, cuts, peer) == expected, raw
        answers.add(expected[9:12])
    assert answers >= {b"200", b"400", b"417", b"431"}, answers


def plain_error(sock: Any, status: int, reason: str, text: str) -> None:
    """The refusal of the server itself."""
    sock.sendall(f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\n\r\n{text}".encode("latin-1"))


def test_what_is_usual_is_read_by_llhttp() -> None:
    """Else the comparison above would compare gunicorn with itself."""
    shared = Usual(usual=True)._shared
    raw = b"POST /a?b=c HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello"
    requests = Requests(shared, iter([raw]), ("127.0.0.1", 4711), ("127.0.0.1", 8080))
    request = next(requests)
    assert isinstance(request, Request)
    assert (request.method, request.path, request.query, request.body.read()) == ("POST", "/a", "b=c", b"hello")
    late = next(Requests(shared, iter([raw[:-5], b"he", b"llo"]), ("127.0.0.1", 4711), ("127.0.0.1", 8080)))
    assert isinstance(late, Request)
    assert late.body.read() == b"hello"


def test_an_answer_is_one_write() -> None:
    """The head goes with the first piece of the body."""
    written: list[bytes] = []
    ours, client = socket.socketpair()
    mine = gevent.socket.socket(ours.family, ours.type, fileno=ours.detach())
    one = Usual(usual=True)
    connection = worker.Connection(mine, "127.0.0.1", one._connections)
    connection.sendall = written.append  # type: ignore[method-assign]
    request = next(Requests(one._shared, iter([b"GET /b HTTP/1.1\r\nHost: h\r\n\r\n"]), ("127.0.0.1", 1), ("h", 8080)))
    one._answer(("h", 8080), request, connection, ("127.0.0.1", 1))
    assert len(written) == 1
    assert written[0].startswith(b"HTTP/1.1 200 OK\r\n")
    mine.close()
    client.close()
