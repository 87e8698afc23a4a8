"""HTTP headers: which may be sent, libcurl's spelling, and their report.

A value may come from an attacker (the title of a finding), so nothing that could end a line or reframe a message is
sent, and nothing is repaired silently.
"""

import functools
import re
from collections.abc import Mapping
from importlib.metadata import version

from playbooks.credentials import MASK, is_secret_header
from providers.base import ProviderError

MAX_HEADERS = 64 << 10

_OURS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization"}
    | {"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*\Z")


def fault(name: str, value: str = "") -> str | None:
    """The fault of a header to send, or None."""
    wrong = _name_fault(name)
    if wrong is not None:
        return wrong
    if not _VALUE.match(value):
        return f"the header {name} contains a line break, a control character or a character outside of Latin-1"
    return None


@functools.lru_cache(maxsize=256)  # the same few names with every call
def _name_fault(name: str) -> str | None:
    if not _NAME.match(name):
        return f"'{name[:64]}' is no header name"
    if name.lower() in _OURS:
        return f"the header {name} is set by Tocsin itself and cannot be chosen"
    return None


def outgoing(headers: Mapping[str, str]) -> list[bytes]:
    """The headers in libcurl's spelling.

    ``Name;`` is an empty header, ``Name:`` removes one that libcurl would add.

    Raises:
        ProviderError: ``invalid_header``.
    """
    lines, seen, size = [b"Expect:"], set(), 0
    for name, value in headers.items():
        wrong, lower = fault(name, value), name.lower()
        if wrong or lower in seen:
            raise ProviderError("invalid_header", wrong or f"the header {name} appears twice")
        seen.add(lower)
        content = value.strip()
        lines.append(f"{name}: {content}".encode("latin-1") if content else f"{name};".encode())
        size += len(lines[-1])
    if size > MAX_HEADERS:
        raise ProviderError("invalid_header", f"the headers are longer than {MAX_HEADERS} bytes together")
    if "user-agent" not in seen:
        lines.append(_user_agent())
    if "content-type" not in seen:
        lines.append(b"Content-Type:")
    return lines


def incoming(lines: list[bytes]) -> dict[str, str]:
    """The headers of an answer, by name.

    Names are in lower case, repeated headers joined by commas.
    """
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            break  # the blank line; trailers that may follow a chunked body say nothing we use
        name = name.strip().lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return headers


def shown(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as reports show them, without credentials."""
    return {name: MASK if is_secret_header(name) else value for name, value in headers.items()}


@functools.cache
def _user_agent() -> bytes:
    return f"User-Agent: Tocsin/{version('tocsin-server')}".encode()
