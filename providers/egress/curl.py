"""libcurl handles, each tied to one checked address, and their pool.

In order of time: ``POOL.take`` hands out the most recently used idle line to (address, host, port, TLS), or a new one;
``Line.exchange`` makes one request over it, on a worker's event loop side by side with others
(``providers.egress.transfers``); a line without a failure goes back with ``POOL.give``, any other is closed.
libcurl never sees a name to look up: each line connects to its address whatever the URL says, so a kept connection
cannot lead anywhere that was not checked. After a fork the child leaves its parent's connections alone.

A server ends kept connections when it likes. libcurl looks for such ends once a second at most, and on the event loop,
where all lines share its connections, some other line may just have looked. So a line looks by itself before it writes
a request over a kept connection: what is lost on an ended one may have been received, and could not be repeated.
"""

import functools
import ipaddress
import os
import select
import ssl
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import pycurl

from event_loop.waiting import inside
from providers.base import Call
from providers.egress import transfers
from providers.egress.headers import MAX_HEADERS

MAX_BODY = 1 << 20
MAX_IDLE = 64
IDLE_SECONDS = 20
#: how often a running transfer asks whether it should stop
LOOK_SECONDS = 0.25
#: how long libcurl may take by itself between two looks where nothing moves and no event loop looks, seconds
_SELDOM = 1.0
#: a process whose looks came late by more than this share of the time did not run
STARVED = 1 / 3
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_GO, _HALT = 0, 1  # what libcurl's callbacks answer
#: connections whose sockets are remembered
_MOST_SOCKETS = 1_000

#: CURLOPT_CA_CACHE_TIMEOUT, which pycurl does not name
_AUTHORITIES_KEPT = 321

_FIXED = {
    pycurl.NOSIGNAL: 1,
    pycurl.PROXY: "",  # not even one named by the environment
    pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
    pycurl.FOLLOWLOCATION: 0,
    pycurl.PATH_AS_IS: 1,
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
    pycurl.SSLVERSION: pycurl.SSLVERSION_TLSv1_2,
    pycurl.SSL_VERIFYPEER: 1,
    pycurl.SSL_VERIFYHOST: 2,
    pycurl.ENCODING: "identity",
    pycurl.HTTP_CONTENT_DECODING: 0,  # a server that compresses all the same: see providers.egress.unpacking
    pycurl.MAXFILESIZE_LARGE: MAX_BODY,
    pycurl.MAXAGE_CONN: IDLE_SECONDS,
    pycurl.TCP_NODELAY: 1,
    pycurl.NOPROGRESS: 0,
    _AUTHORITIES_KEPT: 300,  # seconds, in place of a day: one taken out of the bundle is soon trusted no more
}


class ConnectionKey(NamedTuple):
    """The address, host, port and TLS of a reusable connection."""

    address: str
    host: str
    port: int
    tls: bool


@functools.cache
def _authorities() -> list[tuple[int, str]]:
    """Where the certificate authorities are.

    Python's ``ssl`` decides (``SSL_CERT_FILE`` counts).
    """
    paths = ssl.get_default_verify_paths()
    found = [(pycurl.CAINFO, paths.cafile), (pycurl.CAPATH, paths.capath)]
    return [(option, path) for option, path in found if path and Path(path).exists()]


class _Sockets:
    """The sockets of connections; a connection is known by its addresses and ports on both sides."""

    def __init__(self) -> None:
        self._of: OrderedDict[tuple[str, int, str, int], int] = OrderedDict()

    def keep(self, connection: tuple[str, int, str, int], socket: int) -> None:
        """Remember the socket of a new connection, in place of the one that had the same ports before."""
        self._of[connection] = socket
        self._of.move_to_end(connection)
        if len(self._of) > _MOST_SOCKETS:
            self._of.popitem(last=False)

    def ended(self, connection: tuple[str, int, str, int]) -> bool:
        """Whether the server has ended an open connection."""
        socket = self._of.get(connection)
        if socket is None:
            return False
        look = select.poll()
        look.register(socket, select.POLLRDHUP)
        return bool(look.poll(0))


_SOCKETS = _Sockets()


class Line:
    """A libcurl handle for ``key.address``, for one thread at a time.

    After ``exchange``: ``status``, ``header_lines`` and ``body``. After a failure: ``sent`` (the request may have been
    received), ``too_large``, ``stopped`` (the caller's ``aborted`` said so), ``strayed`` (libcurl reached some other
    address and was held back), ``objection`` (what the caller's ``checkpoint`` raised; nothing was sent), ``ended``
    (the server had ended the kept connection; nothing was sent).
    """

    def __init__(self, key: ConnectionKey) -> None:
        self.key = key
        self.curl = curl = pycurl.Curl()
        for option, value in (*_FIXED.items(), *_authorities()):
            curl.setopt(option, value)
        address = f"[{key.address}]" if ":" in key.address else key.address
        curl.setopt(pycurl.CONNECT_TO, [f"::{address}:{key.port}"])  # for every host and port
        curl.setopt(pycurl.SOCKOPTFUNCTION, self._opened)
        curl.setopt(pycurl.PREREQFUNCTION, self._before_request)
        curl.setopt(pycurl.XFERINFOFUNCTION, self._progress)
        curl.setopt(pycurl.HEADERFUNCTION, self._header)
        curl.setopt(pycurl.WRITEFUNCTION, self._write)
        self._call: Call | None = None
        self._start("GET")

    def _start(self, method: str) -> None:
        self._resendable = method in _SAFE_METHODS
        self._began = self._looked = time.monotonic()
        self._next_look = self._looked + LOOK_SECONDS
        self._every = LOOK_SECONDS if inside() else _SELDOM
        self._lost = 0.0  # by how much its looks came late, seconds
        self._chunks: list[bytes] = []
        self._received = self._header_bytes = self.status = 0
        self.header_lines: list[bytes] = []
        self.sent = self.too_large = self.stopped = self.strayed = self.ended = False
        self._new_socket: int | None = None
        self.objection: BaseException | None = None

    def exchange(
        self,
        method: str,
        url: str,
        headers: list[bytes],
        body: bytes | None,
        *,
        seconds: float,
        connect_seconds: float,
        call: Call,
    ) -> None:
        """Send one request and read its answer; raises ``pycurl.error``.

        ``call.checkpoint`` is asked when the connection stands and nothing is sent; what it raises ends the exchange.
        On the event loop it is asked where nothing may wait; ``call.still_ours``, which may, is asked time and again
        before that.
        """
        self._start(method)
        self._call = call
        setopt = self.curl.setopt
        if body is not None:
            setopt(pycurl.POST, 1)
            setopt(pycurl.POSTFIELDS, body)
        elif method == "HEAD":
            setopt(pycurl.NOBODY, 1)
        else:
            setopt(pycurl.HTTPGET, 1)
        setopt(pycurl.CUSTOMREQUEST, method)
        setopt(pycurl.URL, url)
        setopt(pycurl.HTTPHEADER, headers)
        setopt(pycurl.TIMEOUT_MS, max(1, int(seconds * 1000)))
        setopt(pycurl.CONNECTTIMEOUT_MS, max(1, int(connect_seconds * 1000)))
        if inside():
            transfers.of_process().make(self.curl, LOOK_SECONDS, self._look_on_loop)
        else:
            self.curl.perform()
        self.status = self.curl.getinfo(pycurl.RESPONSE_CODE)

    @property
    def body(self) -> bytes:
        """The received body, as packed as it came."""
        return b"".join(self._chunks)

    def forget(self) -> None:
        """Drop everything of the last exchange; only the connection stays."""
        self._call = None
        self._chunks, self.header_lines = [], []
        self.curl.setopt(pycurl.HTTPHEADER, [])
        self.curl.setopt(pycurl.POSTFIELDS, b"")

    def close(self) -> None:
        """End the connection."""
        self.curl.close()

    def _opened(self, socket: int, _purpose: int) -> int:
        """Libcurl's callback when it opens a socket for a new connection."""
        self._new_socket = socket
        return _GO

    def _before_request(self, reached: str, local: str, port: int, local_port: int) -> int:
        """Libcurl's callback when connected, right before the request is written."""
        if reached != self.key.address and ipaddress.ip_address(reached) != ipaddress.ip_address(self.key.address):
            self.strayed = True
            return _HALT
        if self.sent and not self._resendable:
            # libcurl repeats a request by itself when a kept connection ends without an answer. The first copy may
            # have been carried out, so only requests without effects may be repeated here.
            return _HALT
        connection = (reached, port, local, local_port)
        if self._new_socket is not None:
            _SOCKETS.keep(connection, self._new_socket)
        elif _SOCKETS.ended(connection):
            self.ended = True
            return _HALT
        try:
            if self._call is not None:
                self._call.checkpoint()
        except BaseException as error:  # noqa: BLE001 - libcurl cannot pass it on; ``exchange`` raises it
            self.objection = error
            return _HALT
        self.sent = True
        return _GO

    def _progress(self, *_sizes: int) -> int:
        """Libcurl's callback: often while bytes move, else once a second."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._look()
        return self.stopped

    def _look(self) -> bool:
        """Whether the caller wants the transfer to end."""
        now = time.monotonic()
        self._lost += max(0.0, now - self._looked - self._every)
        self._looked = now
        self.stopped = self._call is not None and self._call.aborted()
        return self.stopped

    @property
    def starved(self) -> bool:
        """Whether this process did not run for much of the time: a time-out then says nothing of the target."""
        now = time.monotonic()
        lost = self._lost + max(0.0, now - self._looked - self._every)
        return lost > STARVED * (now - self._began)

    def _look_on_loop(self) -> bool:
        """The same, on the event loop; until the request is sent also whether the execution is still ours."""
        if not self.sent and self._call is not None:
            try:
                self._call.still_ours()
            except BaseException as error:  # noqa: BLE001 - as of the checkpoint
                self.objection = error
                return True
        return self._look()

    def _header(self, line: bytes) -> int | None:
        if line.startswith(b"HTTP/"):
            self.header_lines = []  # those before belong to an interim answer (1xx)
        self._header_bytes += len(line)
        if self._header_bytes > MAX_HEADERS:
            self.too_large = True
            return 0
        self.header_lines.append(line)
        return None

    def _write(self, chunk: bytes) -> int | None:
        self._received += len(chunk)
        if self._received > MAX_BODY:
            self.too_large = True
            return 0
        self._chunks.append(chunk)
        return None


class LinePool:
    """Idle lines of this process; the newest is taken first."""

    def __init__(self, most: int = MAX_IDLE) -> None:
        self._most = most
        self._inherited: list[Line] = []
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._idle: OrderedDict[ConnectionKey, list[Line]] = OrderedDict()
        self._count = 0

    def has(self, key: ConnectionKey) -> bool:
        """Whether a kept connection for this key is free."""
        return key in self._idle

    def take(self, key: ConnectionKey) -> Line:
        """An idle line, or a new one."""
        with self._lock:
            lines = self._idle.get(key)
            if lines:
                line = lines.pop()
                self._count -= 1
                if not lines:
                    del self._idle[key]
                return line
        return Line(key)

    def give(self, line: Line) -> None:
        """Keep a line for later; close the one idle longest if needed."""
        line.forget()
        surplus = None
        with self._lock:
            self._idle.setdefault(line.key, []).append(line)
            self._idle.move_to_end(line.key)
            self._count += 1
            if self._count > self._most:
                oldest = next(iter(self._idle))
                surplus = self._idle[oldest].pop(0)
                self._count -= 1
                if not self._idle[oldest]:
                    del self._idle[oldest]
        if surplus:
            surplus.close()

    def close(self) -> None:
        """End every idle connection."""
        with self._lock:
            lines = [line for lines in self._idle.values() for line in lines]
            self._idle.clear()
            self._count = 0
        for line in lines:
            line.close()

    def disown(self) -> None:
        """Forget the connections in a forked child without closing them.

        Closing would end connections that the parent still uses.
        """
        self._inherited += [line for lines in self._idle.values() for line in lines]
        self._reset()


POOL = LinePool()
os.register_at_fork(after_in_child=POOL.disown)
