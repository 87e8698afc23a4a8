# Made by sdk/tools/sync.py from tocsin/_async/transport.py; do not edit.
"""Calls: one request to the server, sent again where that is right, and read.

In order of time ``send`` gives the call its idempotency key, sends it, looks at what came (``tocsin._retrying`` says
whether it is sent again), and returns an answer or raises an error of ``tocsin.errors``. httpx is imported with the
first client, not with the package. A process that was forked opens connections of its own, and so does another
event loop.
"""

from __future__ import annotations

import time
import logging
import ssl
import uuid
from contextlib import contextmanager
from time import monotonic
from types import MappingProxyType
from typing import Any, Iterator, Mapping, NamedTuple, Optional, Type

import httpx

from tocsin._answers import Answer, checked, error_of, read
from tocsin._errors import CertificateRefused, ConnectionFailed, TimedOut, UnexpectedAnswer
from tocsin._operation import Operation
from tocsin._operations import OPERATIONS
from tocsin._owned import Owned, of_process
from tocsin._retrying import Tries
from tocsin._settings import Settings, stays_here
from tocsin._values import JSON, encoded, headers_of, path_of, query_of
from tocsin._version import VERSION

_CONNECT = 5.0
#: a stream says something at least every 15 seconds
_SILENCE = 45.0
#: the request did not reach the server
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

_NONE: Mapping[str, str] = MappingProxyType({})

log = logging.getLogger("tocsin")


class Options(NamedTuple):
    """How calls are made."""

    timeout: float = 30.0
    tries: int = 5
    headers: Mapping[str, str] = _NONE
    verify: Any = True
    proxy: Optional[str] = None


class Call(NamedTuple):
    """One logical call, which may be sent several times."""

    method: str
    path: str
    query: Mapping[str, str] = _NONE
    headers: Mapping[str, str] = _NONE
    content: Optional[bytes] = None
    #: whether it may be sent again where it may have been carried out, and where it was refused
    repeatable: bool = True
    refusals: bool = True
    #: seconds that the server was asked to wait, and the moment after which nothing is sent again
    wait: float = 0.0
    deadline: Optional[float] = None


class Transport:
    """The connections to one server."""

    def __init__(self, settings: Settings, options: Options, shared: Optional[Transport] = None) -> None:
        self.settings = settings
        self.options = options
        self._shared = shared
        self._http = Owned(self._opened, of_process)
        #: whether the server has answered before
        self._known = False

    def with_options(self, options: Options) -> Transport:
        """The same connections with other options."""
        return Transport(self.settings, options, self._shared or self)

    @property
    def http(self) -> httpx.Client:
        """The connections of who asks: this process, or an event loop of it."""
        return self._shared.http if self._shared is not None else self._http.get()

    def _opened(self) -> httpx.Client:
        url, key = self.settings
        return httpx.Client(
            base_url=url,
            headers={"User-Agent": f"tocsin-python/{VERSION}"},
            auth=_Bearer(key.reveal()) if key else None,
            # without TLS the certificates, which take 20 ms to read, are not needed
            verify=self.options.verify if url.startswith("https:") else False,
            proxy=self.options.proxy,
            # a proxy of the environment is not on this machine, and would read the key
            trust_env=not stays_here(url),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
            timeout=httpx.Timeout(self.options.timeout, connect=_CONNECT, pool=None),
        )

    def close(self) -> None:
        """Close the connections."""
        http = self._http.pop()
        if http is not None:
            http.close()

    def call(
        self,
        name: str,
        path: Optional[Mapping[str, str]] = None,
        query: Optional[Mapping[str, Any]] = None,
        *,
        body: Any = None,
        kind: str = JSON,
        headers: Optional[Mapping[str, Optional[str]]] = None,
        key: Optional[str] = None,
        deadline: Optional[float] = None,
    ) -> Answer:
        """Carry out an operation of the document.

        ``key`` is the caller's idempotency key. After ``deadline`` (of ``time.monotonic``) nothing is sent again.
        """
        operation = OPERATIONS[name]
        if "envelope" in operation.query and operation.within:
            query = {**(query or {}), "envelope": "data"}  # what is asked for comes once
        sent = {name: value for name, value in (headers or {}).items() if value}
        keyed = "Idempotency-Key" in operation.headers
        if keyed or operation.creates:
            sent["Idempotency-Key"] = key or str(uuid.uuid4())
        if body is not None:
            sent["Content-Type"] = kind
        content = None if body is None else encoded(body)
        certain = _certain(operation, keyed=keyed, headers=sent)
        wait = float((query or {}).get("wait") or 0)
        answer = self.send(
            Call(
                operation.method,
                path_of(operation.path, path or {}),
                query_of(query or {}),
                sent,
                content,
                repeatable=certain,
                refusals=certain or operation.method != "PATCH",
                wait=wait,
                deadline=deadline,
            )
        )
        return checked(f"{self.settings.url}{operation.path}", operation, answer, conditional="If-None-Match" in sent)

    def send(self, call: Call) -> Answer:
        """Send a call until it is answered or must not be sent again.

        Raises:
            ApiError: the server refuses it.
            ConnectionFailed: there is no answer.
            UnexpectedAnswer: the answer is not one of a Tocsin server.
        """
        call = call._replace(headers=headers_of({**self.options.headers, **call.headers}))
        tries = Tries(
            self.options.tries,
            repeatable=call.repeatable,
            refusals=call.refusals,
            expected=self.known,
            deadline=call.deadline,
        )
        while True:
            begun = monotonic()
            try:
                response = self._once(call)
            except httpx.TransportError as error:
                log.debug("%s %s: %s", call.method, call.path, type(error).__name__)
                pause = None if _untrusted(error) else tries.lost(connected=not isinstance(error, _UNSENT))
                if pause is None:
                    raise self._failed(error, call, tries.made) from error
            except httpx.DecodingError as error:
                raise UnexpectedAnswer(f"The answer of {self.settings.url}{call.path} is garbled: {error}") from error
            else:
                self._answered(call, response, begun)
                headers = {name.lower(): value for name, value in response.headers.items()}
                if response.status_code < 400:
                    return read(f"{self.settings.url}{call.path}", response.status_code, headers, response.content)
                refusal = error_of(response.status_code, headers, response.content)
                pause = tries.refused(refusal.status, refusal.code, refusal.retry_after)
                if pause is None:
                    raise refusal
            time.sleep(pause)

    def _once(self, call: Call) -> httpx.Response:
        read_for, free_in = self.options.timeout + call.wait, None
        if call.deadline is not None:
            left = call.deadline - monotonic()
            # who waits until a moment does not wait longer for one of the connections
            read_for, free_in = min(read_for, max(1.0, left + 1.0)), max(0.1, left)
        return self.http.request(
            call.method,
            call.path,
            params=call.query or None,
            headers=call.headers,
            content=call.content,
            timeout=httpx.Timeout(read_for, connect=_CONNECT, pool=free_in),
        )

    @contextmanager
    def stream(
        self, path: str, query: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Iterator[httpx.Response]:
        """Open an answer that goes on; what is refused is raised, and nothing is sent again here."""
        begun = monotonic()
        accepted = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        with self.http.stream(
            "GET",
            path,
            params=query_of(query) or None,
            headers=headers_of({**self.options.headers, **accepted, **headers}),
            timeout=httpx.Timeout(_SILENCE, connect=_CONNECT, pool=None),
        ) as response:
            self._answered(Call("GET", path), response, begun)
            if response.status_code >= 400:
                content = response.read()
                named = {name.lower(): value for name, value in response.headers.items()}
                raise error_of(response.status_code, named, content)
            yield response

    @property
    def known(self) -> bool:
        """Whether the server has answered before, so that one that cannot be reached is expected back."""
        return (self._shared or self)._known  # noqa: SLF001 - of the same class

    def _answered(self, call: Call, response: httpx.Response, begun: float) -> None:
        (self._shared or self)._known = True  # noqa: SLF001 - of the same class
        log.debug(
            "%s %s: %s in %.0f ms (request %s)",
            call.method,
            call.path,
            response.status_code,
            (monotonic() - begun) * 1000,
            response.headers.get("X-Request-Id", "unknown"),
        )

    def _failed(self, error: httpx.TransportError, call: Call, tries: int) -> ConnectionFailed:
        what = f"{call.method} {self.settings.url}{call.path}"
        often = f", at each of {tries} tries" if tries > 1 else ""
        if _untrusted(error):
            return CertificateRefused(f"{what}: the server's certificate is not trusted here: {error}")
        kind: Type[ConnectionFailed] = TimedOut if isinstance(error, httpx.TimeoutException) else ConnectionFailed
        words = "no answer in time" if kind is TimedOut else "no connection, or no whole answer"
        return kind(f"{what}: {words}{often}: {str(error) or type(error).__name__}")


class _Bearer(httpx.Auth):
    """Adds the key to each request, and shows it nowhere."""

    def __init__(self, key: str) -> None:
        self._header = _Header(f"Bearer {key}")

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["Authorization"] = str.__str__(self._header)
        yield request


class _Header(str):
    """A header that tracebacks with the values of variables show masked."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'Bearer …'"


def _certain(operation: Operation, *, keyed: bool, headers: Mapping[str, str]) -> bool:
    """Whether sending it once more does nothing twice."""
    if operation.method == "PATCH":
        return "If-Match" in headers
    return keyed or not operation.creates


def _untrusted(error: BaseException) -> bool:
    """Whether the server's certificate was refused."""
    cause: Optional[BaseException] = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return "CERTIFICATE_VERIFY_FAILED" in str(error)
