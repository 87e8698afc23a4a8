"""Makes every outside HTTP request and outside connection of the project.

In order of time, ``send`` reads the URL and the headers and refuses what is doubtful; in sandbox mode it stops here and
records the request. It looks the host up once and checks every address against the rules
(``providers.egress.addresses``), asks ``call.checkpoint()`` whether the execution is still ours, and makes the request
over a line that can only lead to a checked address (``providers.egress.curl``): no redirects, no proxies, certificates
always verified. Connecting may take seconds, so ``call.checkpoint()`` is asked again right before the request is
written. While it waits it checks ``call.aborted()``. ``connect`` does the same for protocols that need a bare socket.
"""

import base64
import json
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pycurl

from config.types import Json
from event_loop.waiting import Event, MustNotWaitError
from playbooks import credentials
from playbooks.states import Mode
from providers.base import Abandoned, Call, ProviderError, TimedOut
from providers.egress import addresses, headers
from providers.egress.curl import LOOK_SECONDS, MAX_BODY, POOL, ConnectionKey, Line
from providers.egress.unpacking import TooLargeError, unpacked

TOTAL_SECONDS = 30.0
CONNECT_SECONDS = 5.0
MAX_ADDRESSES = 4
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")

_UNREACHABLE = frozenset({pycurl.E_COULDNT_CONNECT, pycurl.E_OPERATION_TIMEDOUT})
_CERTIFICATE = frozenset({pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT_BADFILE})
#: what TLS libraries say of an answer that is no TLS
_NO_TLS = ("wrong version number", "packet length too long", "record layer failure", "unexpected TLS packet")


@dataclass(frozen=True, slots=True)
class Request:
    """One request to send.

    ``purpose`` names the caller's business in messages; ``hidden`` are texts not to be shown.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    purpose: str = "request"
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """One answer: header names in lower case, repeated headers joined.

    Commas join them.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    duration_ms: int


def send(request: Request, call: Call) -> Response:
    """Make one HTTP request, at most once for methods that change things.

    Raises:
        ProviderError: ``egress_refused``, ``invalid_header``, ``connection_failed``, ``http_timeout``,
            ``tls_verification_failed``, ``response_too_large``, ``response_unreadable``; ``unknown`` when the
            request may have arrived.
        TimedOut: the action's own time is used up.
        Abandoned: the execution is no longer ours.
    """
    if call.mode == Mode.DRY_RUN:
        raise RuntimeError("a dry run must not send anything")
    if request.method not in METHODS or (request.method == "HEAD" and request.body is not None):
        raise ValueError(f"{request.method} with this body cannot be sent")
    if call.mode == Mode.SANDBOX:
        call.report.intercepted_calls.append(described(request))
        return Response(200, {"content-type": "application/json"}, b'{"simulated": true}', 0)
    url = addresses.parse(request.url)
    lines = headers.outgoing(request.headers)
    began = time.monotonic()
    deadline = began + min(TOTAL_SECONDS, _time_left(call))
    found = _look_up(url.host, url.port, call)
    keys = [ConnectionKey(address, url.host, url.port, url.scheme == "https") for address in found]
    call.still_ours()
    line = _exchange(request, url, lines, keys, deadline, call)
    took = round((time.monotonic() - began) * 1000)
    status, incoming, body = line.status, headers.incoming(line.header_lines), line.body
    POOL.give(line)
    body = _unpacked(status, body, incoming.get("content-encoding", ""), f"the {request.purpose} to {url.origin}")
    return Response(status, incoming, body, took)


def _unpacked(status: int, body: bytes, coding: str, what: str) -> bytes:
    """The unpacked body.

    The body of a refusal stays packed where it cannot be unpacked, because its status says enough.
    """
    try:
        return unpacked(body, coding, MAX_BODY)
    except TooLargeError:
        raise _too_large(what) from None
    except ValueError as error:
        if status // 100 != 2:  # noqa: PLR2004
            return body
        message = f"{what} was answered with {status} and a body that cannot be unpacked: {error}"
        raise ProviderError("response_unreadable", message, unknown=True, details={"status": status}) from error


def connect(host: str, port: int, call: Call, timeout: float = CONNECT_SECONDS) -> socket.socket:
    """A TCP connection to a checked address.

    ``timeout`` in seconds is for connecting and stays on the socket.

    Raises:
        ProviderError: ``egress_refused``, ``connection_failed``, ``http_timeout``.
        TimedOut: the action's own time is used up.
        Abandoned: the execution is no longer ours.
    """
    if call.mode != Mode.LIVE:
        raise RuntimeError(f"a {call.mode} call must not connect to anything")
    host = addresses.hostname(host)
    deadline = time.monotonic() + min(timeout, _time_left(call))
    found = _look_up(host, port, call)[:MAX_ADDRESSES]
    call.still_ours()
    for count, address in enumerate(found, start=1):
        if call.aborted():
            raise Abandoned
        bare = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            bare.settimeout(max(0.01, (deadline - time.monotonic()) / (len(found) - count + 1)))
            bare.connect((address, port))
        except OSError as error:
            bare.close()
            if count == len(found):
                raise _failed(f"{host}:{port}", error.strerror or str(error) or "no answer", call) from error
        else:
            bare.settimeout(timeout)
            return bare
    raise AssertionError("resolve() returns at least one address or raises")


def described(request: Request) -> Json:
    """A request as reports show it, without credentials.

    JSON bodies are shown as JSON. Raises like ``send``.
    """
    url, body = addresses.parse(request.url).text, request.body
    headers.outgoing(request.headers)
    shown = headers.shown(request.headers)
    for text in request.hidden:
        url = url.replace(text, credentials.MASK) if len(text) > 1 else url
        body = body.replace(text.encode(), credentials.MASK.encode()) if body and text else body
        shown = {name: credentials.MASK if value == text else value for name, value in shown.items()}
    return {
        "type": "http",
        "method": request.method,
        "url": credentials.shown(url),
        "headers": shown,
        "body": _described_body(body) if body else None,
    }


def _described_body(body: bytes) -> Any:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "encoding": "base64"}
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _time_left(call: Call) -> float:
    left = call.seconds_left
    if left <= 0:
        raise TimedOut
    return left


def _look_up(host: str, port: int, call: Call) -> list[str]:
    """The checked addresses of a host.

    The system's resolver cannot be stopped, so another thread waits for it.
    """
    if addresses.is_literal(host):
        return addresses.resolve(host, port)
    ended, answer = Event(), Future[list[str]]()

    def ask() -> None:
        try:
            answer.set_result(addresses.resolve(host, port))
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it again
            answer.set_exception(error)
        finally:
            ended.set()

    threading.Thread(target=ask, name="egress-look-up", daemon=True).start()
    deadline = time.monotonic() + min(CONNECT_SECONDS, _time_left(call))
    while not ended.wait(LOOK_SECONDS):
        if call.aborted():
            raise Abandoned
        _time_left(call)
        if time.monotonic() >= deadline:
            message = f"the name {host} was not resolved within {CONNECT_SECONDS:g} s"
            raise ProviderError("http_timeout", message, retryable=True)
    return answer.result()


def _exchange(
    request: Request, url: addresses.Url, lines: list[bytes], keys: list[ConnectionKey], deadline: float, call: Call
) -> Line:
    """Make the request over one of the checked addresses.

    The next address is tried only while nothing was sent.
    """
    if len(keys) > 1:
        keys = sorted(keys, key=lambda key: not POOL.has(key))[:MAX_ADDRESSES]
    connect_deadline = min(deadline, time.monotonic() + CONNECT_SECONDS)
    others = len(keys) - 1
    while others >= 0:
        line = POOL.take(keys[len(keys) - 1 - others])
        now = time.monotonic()
        try:
            line.exchange(
                request.method,
                url.text,
                lines,
                request.body,
                seconds=deadline - now,
                connect_seconds=(connect_deadline - now) / (others + 1),
                call=call,
            )
        except pycurl.error as error:
            line.close()
            if line.ended or _starved(error, line, deadline):
                # libcurl has dropped that connection, or this process did not run: another is taken, or a new one
                connect_deadline = min(deadline, time.monotonic() + CONNECT_SECONDS)
                continue
            if isinstance(line.objection, MustNotWaitError):
                call.still_ours()  # it may wait here; the target has answered, and nothing was sent: once more
                now = time.monotonic()
                connect_deadline = min(deadline, now + CONNECT_SECONDS)
                if now < deadline:
                    continue
                raise _late(f"the {request.purpose} to {url.origin}", f"{TOTAL_SECONDS:g} s", False, call) from None
            if line.objection is not None:
                raise line.objection from None
            code, words = error.args
            if not (others and code in _UNREACHABLE and not line.sent and time.monotonic() < connect_deadline):
                raise _explained(code, words, line, f"the {request.purpose} to {url.origin}", call) from None
            others -= 1
        else:
            return line
    raise AssertionError("resolve() returns at least one address or raises")


def _starved(error: pycurl.error, line: Line, deadline: float) -> bool:
    """Whether the time to connect ran out because this process did not run; nothing was sent."""
    late = error.args[0] == pycurl.E_OPERATION_TIMEDOUT
    return late and not line.sent and line.starved and time.monotonic() < deadline


def _explained(code: int, words: str, line: Line, what: str, call: Call) -> Exception:
    """An error of libcurl as one of ours."""
    if line.stopped:
        return Abandoned()
    if line.strayed:
        return addresses.refused(f"{what} would have reached an address that was not checked")
    if line.too_large or code == pycurl.E_FILESIZE_EXCEEDED:
        return _too_large(what)
    if code in _CERTIFICATE:
        return ProviderError("tls_verification_failed", f"{what} failed: {words}")
    if code == pycurl.E_SSL_CONNECT_ERROR and not line.sent and any(said in words for said in _NO_TLS):
        words = "no TLS on this port: use http://, or another port?"
    if code == pycurl.E_OPERATION_TIMEDOUT:
        seconds = f"{TOTAL_SECONDS if line.sent else CONNECT_SECONDS:g} s"
        return _late(what, seconds, line.sent, call)
    if code == pycurl.E_ABORTED_BY_CALLBACK:
        words = "the connection was closed before an answer came"
    return ProviderError("connection_failed", f"{what} failed: {words}", retryable=True, unknown=line.sent)


def _too_large(what: str) -> ProviderError:
    most = f"{MAX_BODY >> 20} MiB, or {headers.MAX_HEADERS >> 10} KiB of headers"
    return ProviderError("response_too_large", f"{what} was answered with more than {most}", unknown=True)


def _late(what: str, seconds: str, sent: bool, call: Call) -> ProviderError:
    if call.seconds_left <= LOOK_SECONDS / 10:  # libcurl counts whole milliseconds and may be a little early
        error: ProviderError = TimedOut(f"{what} was not answered within the action's timeout_seconds")
        error.unknown = sent
        return error
    message = f"{what} was not answered within {seconds}" if sent else f"{what} got no connection within {seconds}"
    return ProviderError("http_timeout", message, retryable=True, unknown=sent)


def _failed(place: str, words: str, call: Call) -> ProviderError:
    _time_left(call)
    return ProviderError("connection_failed", f"no connection to {place}: {words}", retryable=True)
