"""The hosts that a bundle may call.

An entry is a host (``fw.acme.example``), a host with its port (``fw.acme.example:8443``), or all hosts below a domain
(``*.acme.example``, which is not ``acme.example`` itself). Without a port, the entry allows the default ports of https
and http.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from tocsin.actions.errors import HttpFailed

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?"
_ENTRY = re.compile(rf"(?P<host>(\*\.)?{_LABEL}(\.{_LABEL})*|\[[0-9a-f:.]+\])(:(?P<port>\d{{1,5}}))?")
_MOST_CHARACTERS = 253


def entry_fault(entry: object) -> str | None:
    """Why an entry of ``hosts`` cannot be used, or None."""
    if not isinstance(entry, str) or len(entry) > _MOST_CHARACTERS:
        return "must be a text, such as fw.acme.example or fw.acme.example:8443"
    found = _ENTRY.fullmatch(entry)
    if "//" in entry or "/" in entry:
        return f"{entry} is no host: leave the scheme and the path out"
    if not found:
        return f"{entry} is no host in lower case, such as fw.acme.example, fw.acme.example:8443 or *.acme.example"
    if found["port"] and not 0 < int(found["port"]) < 65536:
        return f"{entry} has no port from 1 to 65535"
    if found["host"].startswith("*.") and "." not in found["host"][2:]:
        return f"{entry} would be a whole top-level domain"
    if found["host"].startswith("["):
        try:
            ipaddress.IPv6Address(found["host"][1:-1])
        except ValueError:
            return f"{entry} is no IPv6 address"
    return None


def is_listed(hosts: Sequence[str], scheme: str, host: str, port: int | None) -> bool:
    """Whether a host may be called.

    Args:
        hosts: the entries of the bundle.
        scheme: ``https`` or ``http``.
        host: of the URL, in any case, without brackets.
        port: of the URL; None for the default.
    """
    known = host.lower().rstrip(".")
    called = port or _DEFAULT_PORTS.get(scheme)
    for entry in hosts:
        found = _ENTRY.fullmatch(entry)
        if not found:
            continue
        allowed = found["host"].strip("[]")
        ports = {int(found["port"])} if found["port"] else set(_DEFAULT_PORTS.values())
        below = allowed.startswith("*.") and known.endswith(allowed[1:]) and len(known) > len(allowed) - 1
        if called in ports and (below or _same(known, allowed)):
            return True
    return False


def _same(host: str, allowed: str) -> bool:
    if ":" not in host:
        return host == allowed
    try:
        return ipaddress.IPv6Address(host) == ipaddress.IPv6Address(allowed)
    except ValueError:
        return False


def check_host(hosts: Sequence[str], url: str) -> SplitResult:
    """The parts of the URL of a call, if its host is listed.

    Raises:
        HttpFailed: ``host_not_listed``, or ``egress_refused`` for what is no URL of http or https.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError as error:
        raise HttpFailed("egress_refused", f"{url!r:.200} is no URL: {error}") from error
    if scheme not in _DEFAULT_PORTS or not host or parts.username is not None or re.search(r"[\s\\]", url):
        raise HttpFailed("egress_refused", f"{url!r:.200} is no URL of http or https without a user")
    if not is_listed(hosts, scheme, host, port):
        named = host if port is None else f"{host}:{port}"
        listed = ", ".join(hosts) or "none"
        raise HttpFailed(
            "host_not_listed", f"the bundle may not call {named:.253}; bundle.toml lists as hosts: {listed}"
        )
    return parts
