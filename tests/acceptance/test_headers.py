"""No request header changes the operation it reaches or causes a 5xx."""

import json
import socket

import pytest

from tests.support.stack import Stack

_PATHS = ("/health", "/metrics", "/api/actions", "/api/openapi.json", "/docs/", "/api/actions/executions/none")
_GARBAGE = (
    "",
    "/",
    "/x",
    "..",
    "*",
    "%00",
    "\xff\xfe",
    "a" * 4000,
    "0",
    "-1",
    "nan",
    "{}",
    "[",
    "::1]:x",
    "a,b;c=d",
    '"',
)
#: what names the caller, the path or the scheme in a server's environment or in front of it
_FORWARDED = (
    *("SCRIPT_NAME", "Script-Name", "PATH_INFO", "REMOTE_USER", "REMOTE_ADDR", "RAW_URI", "wsgi.url_scheme"),
    *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Protocol", "X-Forwarded-Ssl", "X-Forwarded-Host"),
    *("X-Forwarded-Prefix", "X-Forwarded-Port", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-Script-Name"),
)
_OTHERS = (
    *("Host", "Accept", "Accept-Encoding", "Authorization", "X-API-Key", "Content-Type", "Content-Length", "Cookie"),
    *(
        "Transfer-Encoding",
        "Expect",
        "Connection",
        "Upgrade",
        "Range",
        "If-Range",
        "If-None-Match",
        "If-Modified-Since",
    ),
    *("X-Request-Id", "Idempotency-Key", "Origin", "Referer", "User-Agent", "Date", "X-HTTP-Method-Override"),
)


def answered(stack: Stack, path: str, *headers: tuple[str, str]) -> tuple[int, bytes]:
    """Status and whole answer of a GET with these headers."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: x",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers),
    ]
    with socket.create_connection(("127.0.0.1", stack.port), timeout=30) as one:
        one.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        whole = b""
        while piece := one.recv(65536):
            whole += piece
    status = int(whole.split()[1]) if whole else 0
    return 401 if status == 429 else status, whole  # requests without a key are rate-limited, too


@pytest.mark.parametrize("name", _FORWARDED)
def test_what_claims_to_come_from_a_proxy_does_nothing(sqlite_stack: Stack, name: str) -> None:
    """Forwarding headers change no answer, also of a path that is missing."""
    key = ("Authorization", f"Bearer {sqlite_stack.api.key}")
    for path in _PATHS:
        expected = answered(sqlite_stack, path)[0]
        assert expected < 500, path
        for value in ("/api", "/y", path, "https", "on", "127.0.0.1", "admin"):
            assert answered(sqlite_stack, path, (name, value))[0] == expected, f"{path} {name}: {value}"
    assert answered(sqlite_stack, "/x/api/actions", key, (name, "/x"))[0] == 404
    assert answered(sqlite_stack, "/x/health", (name, "/x"))[0] == 404


@pytest.mark.parametrize("path", ["/health", "/api/actions", "/docs/"])
def test_no_header_brings_the_server_to_an_error(sqlite_stack: Stack, path: str) -> None:
    """Any header value gets the operation's answer or a 4xx problem."""
    for name in (*_FORWARDED, *_OTHERS):
        for value in _GARBAGE:
            status, whole = answered(sqlite_stack, path, (name, value))
            assert 100 <= status < 500, f"{name}: {value!r}: {whole[:300]!r}"
            if status >= 400:
                head, _, body = whole.partition(b"\r\n\r\n")
                assert b"application/problem+json" in head, f"{name}: {value!r}: {head!r}"
                assert json.loads(body)["status"] in (status, 429)
    assert "Traceback" not in sqlite_stack.log("web")
