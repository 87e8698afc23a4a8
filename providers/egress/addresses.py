"""Decides which network addresses may be called.

In order of time: ``parse`` reads a URL and refuses every spelling that two programs could read differently; ``resolve``
asks the system's resolver once and checks *every* answer against the list of refused networks and the operator's
``TOCSIN_EGRESS_ALLOW``, which wins; the caller then connects to an address from that answer and never looks the name up
again. What is doubtful is refused, not repaired, and callers use the rebuilt URL only.
"""

import functools
import ipaddress
import re
import socket
import unicodedata
from typing import NamedTuple
from urllib.parse import quote

from config.settings import Network, settings
from providers.base import ProviderError

IP = ipaddress.IPv4Address | ipaddress.IPv6Address

# ``ipaddress.is_global`` calls several of these global (192.0.0.192, 168.63.129.16, 64:ff9b::/96, 2002::/16,
# multicast ...), therefore the list is our own.
_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # "this network"; 0.0.0.0 reaches the local host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, and the metadata service of one cloud
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # the host side of one cloud's virtual machines
        "169.254.0.0/16",  # link-local, with the metadata services at 169.254.169.254
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, and another metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, withdrawn
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the broadcast address
        # Global unicast is 2000::/3 and nothing else. Below it: unspecified, loopback, the IPv4-compatible, -mapped
        # and -translated forms (::/96, ::ffff:0:0/96, ::ffff:0:0:0/96), NAT64 (64:ff9b::/96, 64:ff9b:1::/48), discard.
        "::/3",
        "4000::/2",  # unassigned, and segment routing (5f00::/16)
        "8000::/1",  # unassigned, unique local fc00::/7, link-local fe80::/10, site-local fec0::/10, multicast
        "2001::/23",  # protocol assignments: Teredo (2001::/32), benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3ffe::/16",  # the test network of old
        "3fff::/20",  # documentation
    )
)

_URL = re.compile(r"(https?)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?\Z", re.IGNORECASE)
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?\Z")
_NAMED = re.compile(r"([^:\[\]]+)(?::([0-9]{1,5}))?\Z")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_NUMERIC = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_DOTS = re.compile(r"(?:\.|%2e){1,2}\Z", re.IGNORECASE)
_PLAIN = re.compile(r"[!-\[\]-~]+\Z")  # visible ASCII without the backslash
_URL_LENGTH, _HOST_LENGTH, _PORTS = 8192, 253, range(1, 65536)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Url(NamedTuple):
    """A parsed URL: use only its ``text``; ``host`` has no brackets."""

    scheme: str
    host: str
    port: int
    text: str

    @property
    def origin(self) -> str:
        """Scheme, host and port, which messages may name.

        Paths and queries carry credentials.
        """
        return f"{self.scheme}://{_in_url(self.host)}:{self.port}"


def refused(message: str) -> ProviderError:
    """The error for an address that must not be called; not retryable."""
    return ProviderError("egress_refused", message)


@functools.lru_cache(maxsize=1024)
def parse(url: str) -> Url:
    """Read an http or https URL; no look-up is made.

    Raises:
        ProviderError: ``egress_refused``; the message names the fault without repeating the URL.
    """
    if len(url) > _URL_LENGTH:
        raise refused(f"the URL is longer than {_URL_LENGTH} characters")
    if not _PLAIN.match(url) and any(_unsafe(char) for char in url):
        raise refused("the URL contains blanks, control characters or backslashes: percent-encode them")
    match = _URL.match(url)
    if not match:
        raise refused("the URL must start with http:// or https://")
    scheme, authority, path, query = match.groups()
    scheme = scheme.lower()
    host, port = _authority(authority, _DEFAULT_PORTS[scheme])
    if any(_DOTS.match(segment) for segment in path.split("/")):
        raise refused("the URL's path contains '.' or '..': write the path as it is meant")
    shown = _in_url(host) if port == _DEFAULT_PORTS[scheme] else f"{_in_url(host)}:{port}"
    tail = quote(path or "/", safe="/%:@!$&'()*+,;=~")
    if query is not None:
        tail += "?" + quote(query, safe="/%:@!$&'()*+,;=~?")
    return Url(scheme, host, port, f"{scheme}://{shown}{tail}")


def hostname(text: str) -> str:
    """A host name or IP address as it is looked up.

    It is in lower case and ASCII, in one spelling.

    Raises:
        ProviderError: ``egress_refused``; for instance for other spellings of an IPv4 address (``0x7f.1``).
    """
    if ":" in text:
        try:
            return str(ipaddress.IPv6Address(text)) if "%" not in text else _bad_host("IPv6 zone ids are not allowed")
        except ValueError:
            return _bad_host("it is no valid IPv6 address")
    labels = [_label(label) for label in text.removesuffix(".").lower().split(".")]
    host = ".".join(labels)
    if len(host) > _HOST_LENGTH:
        return _bad_host("it is too long")
    if _NUMERIC.match(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            return _bad_host("write IPv4 addresses as four decimal numbers, such as 192.0.2.1")
    return host


def is_literal(host: str) -> bool:
    """Whether a parsed host is an address and needs no look-up."""
    return ":" in host or host.rpartition(".")[2].isdigit()


def resolve(host: str, port: int) -> list[str]:
    """The allowed addresses of a host, in the resolver's order.

    Blocks for names.

    Raises:
        ProviderError: ``egress_refused`` when *any* address is not allowed (a name with one public and one inside
        address is an attack or a mistake); ``connection_failed``, retryable, when the name has none.
    """
    if is_literal(host):
        found = [host]
    else:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        except OSError as error:
            message = f"the name {host} cannot be resolved: {error.strerror or error}"
            raise ProviderError("connection_failed", message, retryable=True) from error
        found = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
    allow = settings().egress_allow
    for address in found:
        if not allowed(address, allow):
            raise refused(
                f"{host if address == host else f'{host} ({address})'} is not a public address; "
                "an operator can allow its network with TOCSIN_EGRESS_ALLOW"
            )
    return found


@functools.lru_cache(maxsize=4096)
def allowed(address: str, allow: tuple[Network, ...]) -> bool:
    """Whether an address is public or in the operator's ``allow``.

    IPv4 addresses embedded in it count too.
    """
    if "%" in address:
        return False
    ip = ipaddress.ip_address(address)
    return all(
        any(candidate in network for network in allow) or not any(candidate in network for network in _REFUSED)
        for candidate in (ip, *_embedded(ip))
    )


def _embedded(ip: IP) -> list[IP]:
    """The IPv4 addresses that translators and tunnels read from an address."""
    if ip.version == 4:  # noqa: PLR2004
        return []
    bits = int(ip)
    low = bits & 0xFFFFFFFF
    found = []
    if bits >> 32 in (0, 0xFFFF, 0xFFFF0000, 0x64FF9B << 64):  # compatible, mapped, translated, NAT64
        found = [low] if bits > 1 else []  # :: and ::1 are themselves
    elif bits >> 80 == 0x64FF9B0001:  # noqa: PLR2004 - NAT64 with a local prefix
        found = [low]
    elif bits >> 112 == 0x2002:  # noqa: PLR2004 - 6to4
        found = [bits >> 80 & 0xFFFFFFFF]
    elif bits >> 96 == 0x20010000:  # noqa: PLR2004 - Teredo: the server, and the client with its bits inverted
        found = [bits >> 64 & 0xFFFFFFFF, low ^ 0xFFFFFFFF]
    elif bits >> 32 & 0xFDFFFFFF == 0x00005EFE:  # noqa: PLR2004 - ISATAP under any prefix
        found = [low]
    return [ipaddress.IPv4Address(number) for number in found]


def _authority(text: str, default_port: int) -> tuple[str, int]:
    if "@" in text:
        raise refused("the URL contains a user name or password: send credentials in a header")
    match = _BRACKETED.match(text)
    if match and ":" not in match[1]:
        raise refused("the URL's brackets hold no IPv6 address")
    match = match or _NAMED.match(text)
    if not match:
        raise refused("the URL's host or port is not valid")
    port = int(match[2] or default_port)
    if port not in _PORTS:
        raise refused("the URL's port must be between 1 and 65535")
    return hostname(match[1]), port


def _label(label: str) -> str:
    """One part of a host name in ASCII.

    Letters that only look like others (full-width digits) are refused.
    """
    if not label.isascii():
        try:
            encoded = label.encode("idna").decode()
            faithful = encoded.startswith("xn--") and encoded.encode().decode("idna") == label
        except UnicodeError:
            faithful = False
        if not faithful:
            return _bad_host("it contains characters that stand for others; write its plain form")
        label = encoded
    return label if _LABEL.match(label) else _bad_host("it contains a character or a part that is not valid")


def _bad_host(why: str) -> str:
    raise refused(f"the host is refused: {why}")


def _unsafe(char: str) -> bool:
    """Whether a character is unsafe in a host name.

    Unsafe are blank, control, format, surrogate and private-use characters, and the backslash.
    """
    return char == "\\" or char.isspace() or unicodedata.category(char).startswith(("C", "Z"))


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
