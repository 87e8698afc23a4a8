"""Bounds what clients may hold: the number of their connections, and the time for each part of a request.

In order of time: a connection is counted, in all and for its address; where that is too many, the one that has waited
longest for its client (of the same address, if that has too many) is closed, and when none waits the new one is served
what is urgent and nothing else. A request line with its headers has gunicorn's ``keepalive`` seconds from the moment
the connection is free, a body ``BODY`` seconds and one more for each ``PIECE`` that has come, an answer ``ANSWER``
seconds to be taken.
"""

import errno
import ipaddress
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import MSG_PEEK, SHUT_RDWR
from typing import Any

from gevent import GreenletExit

from config import logs
from config.errors import TooSlow
from config.networks import network
from config.settings import settings

#: connections that a process holds open, and those of one address; declared proxies (``TOCSIN_PROXIES``) may hold all
MOST, MOST_OF_ONE = 3000, 1000
#: connections beyond these that may be on their way out
LEAVING = 500
#: how long a body may take, seconds, and the bytes that give it one second more
BODY, PIECE = 10.0, 64 * 1024
#: how long a client may take to receive an answer, seconds
ANSWER = 30.0
#: between two log lines about closed connections, seconds
SAID_EVERY = 60.0

log = logs.logger(__name__)


class Connection:
    """A socket for gunicorn that bounds how long its client may take."""

    def __init__(self, sock: Any, source: str, others: "Connections") -> None:
        self.source = source
        self.closed = False
        #: whether the connection exceeds the bound
        self.beyond = False
        self._sock = sock
        #: sends what the network takes at once; None over TLS, where nothing goes past its library
        self._send = None if hasattr(sock, "_sslobj") else getattr(getattr(sock, "_sock", None), "send", None)
        self._others = others
        self._request: Any = None
        self._due = math.inf

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def free(self, seconds: float) -> None:
        """Record that the next request has so much time to begin and for its head."""
        self._due = time.monotonic() + seconds

    def begin(self, request: Any) -> None:
        """Record that a request has been read up to its body."""
        self._request, self._due = request, time.monotonic() + BODY

    def end(self) -> None:
        """Record that the request is answered."""
        self._request = None

    def setblocking(self, flag: bool) -> None:
        """Set the socket's time-out; where it may block, not for ever."""
        self._sock.settimeout(ANSWER if flag else 0.0)

    def recv(self, size: int) -> bytes:
        """Returns what the client has sent; nothing when the connection is closed.

        The client, or this process, has closed it then.

        Raises:
            TooSlow: it has taken too long over the body of its request. TimeoutError: over its head.
            GreenletExit: this process has closed the connection, so no client would read the answer.
        """
        self._others.waiting[self] = None
        try:
            data: bytes = self._recv_head(size) if self._request is None else self._recv_body(size)
        except OSError:
            if not self.closed:
                raise
            data = b""
        finally:
            self._others.waiting.pop(self, None)
        if self.closed and self._request is not None:
            raise GreenletExit
        return data

    def _recv_head(self, size: int) -> bytes:
        self._sock.settimeout(min(ANSWER, max(0.001, self._due - time.monotonic())))
        try:
            data: bytes = self._sock.recv(size)
        finally:
            self._sock.settimeout(ANSWER)
        return data

    def _recv_body(self, size: int) -> bytes:
        self._sock.settimeout(max(0.001, self._due - time.monotonic()))
        try:
            data: bytes = self._sock.recv(size)
        except TimeoutError:
            self._request.force_close()
            raise TooSlow from None
        finally:
            self._sock.settimeout(ANSWER)
        self._due += len(data) / PIECE
        return data

    def sendall(self, data: bytes) -> None:
        """Send an answer, or a part of it."""
        try:
            sent = self._send_now(data)
            if sent < len(data):
                self._sock.sendall(memoryview(data)[sent:])
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "the client does not take its answer") from error

    def _send_now(self, data: bytes) -> int:
        """Send what the network takes at once, which is nearly always all; returns how many bytes that is."""
        try:
            return self._send(data) if self._send is not None else 0  # gevent's prepares for what does not happen
        except BlockingIOError:
            return 0

    def is_there(self) -> bool:
        """Whether the client has not closed its side, by a look that takes nothing and waits for nothing."""
        try:
            return not self.closed and self._sock._sock.recv(1, MSG_PEEK) != b""  # noqa: SLF001 - gevent's would wait
        except BlockingIOError:
            return True
        except OSError:
            return False

    def give_up(self) -> None:
        """Close the connection from outside; a greenlet waiting for the client notices."""
        self.closed = True
        with suppress(OSError):
            self._sock.shutdown(SHUT_RDWR)


class Connections:
    """All connections that a process holds open."""

    def __init__(self, most: int = MOST, most_of_one: int = MOST_OF_ONE) -> None:
        #: those that wait for their client, longest first
        self.waiting: dict[Connection, None] = {}
        self._most, self._most_of_one = most, most_of_one
        self._number = 0
        self._of: Counter[str] = Counter()
        self._said_at = float("-inf")

    @contextmanager
    def counted(self, sock: Any, address: Any) -> Iterator[Connection]:
        """The connection over ``sock`` while it is open.

        ``beyond`` is set where there are too many and none can be closed.
        """
        one = Connection(sock, source(address), self)
        one.beyond = not self._has_room(one.source)
        self._number += 1
        self._of[one.source] += 1
        try:
            yield one
        finally:
            if not one.closed:
                self._forget(one)

    def _has_room(self, of: str) -> bool:
        """Whether one more of a source fits, after closing another."""
        if of and self._of[of] >= self._most_of_one:
            going = next((one for one in self.waiting if one.source == of), None)
        elif self._number >= self._most:
            going = next(iter(self.waiting), None)
        else:
            return True
        self._say(of)
        if going is None:
            return False
        del self.waiting[going]
        self._forget(going)
        going.give_up()
        return True

    def _forget(self, one: Connection) -> None:
        self._number -= 1
        self._of[one.source] -= 1
        if not self._of[one.source]:
            del self._of[one.source]

    def _say(self, of: str) -> None:
        if time.monotonic() - self._said_at > SAID_EVERY:
            self._said_at = time.monotonic()
            log.warning(
                "too many connections; closing those that have waited longest",
                open=self._number,
                address=of or "a proxy",
            )


def source(address: Any) -> str:
    """The source by which connections are counted.

    That is an address, for IPv6 its network; "" for connections that are not counted (proxies).
    """
    ip = ipaddress.ip_address(address[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if any(ip in network for network in settings().proxies):
        return ""
    return network(str(ip))


def caller(req: Any, address: Any) -> Any:
    """The caller's address.

    It is the peer's, or the one that a declared proxy names last in ``X-Forwarded-For``.
    """
    if not settings().proxies or source(address):
        return address
    named = ",".join(value for name, value in req.headers if name == "X-FORWARDED-FOR")
    for text in reversed(named.split(",")):
        try:
            ip = str(ipaddress.ip_address(text.strip()))
        except ValueError:
            break
        if source((ip, 0)):
            return ip, address[1]
    return address
