"""``context.http``: the calls that a function makes to other systems.

In order of time: the function calls ``context.http.post(…)``; the call becomes a plain *request*, a JSON object; a
*transport* carries it out and returns a plain *response*; the function receives an ``Answer``. Only the transport
differs between a test, a trial on the author's machine and the worker, which sends it under the rules of the
installation.

A request has ``method`` and ``url``, and where given ``headers`` and ``params`` (lists of pairs), ``auth``
(``{"bearer"}`` or ``{"user", "password"}``), one of ``json``, ``text`` and ``base64`` (the body), and ``timeout`` in
seconds. A response has ``status``, ``headers`` (pairs) and one of ``text`` and ``base64``.
"""

from __future__ import annotations

import base64
import json as json_
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tocsin.actions.errors import HttpFailed

Transport = Callable[["dict[str, Any]"], "dict[str, Any]"]
_ABSENT: Any = object()
#: statuses after which another attempt may help
RETRYABLE = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Bearer:
    """The header ``Authorization: Bearer …``.

    Example::

        context.http.get(url, auth=Bearer(context.secrets["FW_TOKEN"]))
    """

    token: str


@dataclass(frozen=True)
class Basic:
    """The header ``Authorization: Basic …``, of a user and a password.

    Example::

        context.http.get(url, auth=Basic("api", context.secrets["FW_PASSWORD"]))
    """

    user: str
    password: str


class Headers(Mapping[str, str]):
    """The headers of an answer; their names are found in any case."""

    def __init__(self, pairs: list[list[str]]) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            before = self._values.get(name.lower())
            self._values[name.lower()] = value if before is None else f"{before}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True)
class Answer:
    """What a receiver answered, whatever its status is.

    Example::

        answer = context.http.get("https://fw.acme.example/rules/7")
        if answer.status == 404:
            return {"present": False}
        rule = answer.raise_for_status().json()
    """

    status: int
    headers: Headers
    content: bytes
    #: the call that it answers, for messages
    asked: str = ""

    @property
    def ok(self) -> bool:
        """Whether the status says success (200 to 299)."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """The body, read as JSON.

        Raises:
            HttpFailed: ``bad_answer``, it is no JSON.
        """
        try:
            return json_.loads(self.content)
        except ValueError as error:
            raise HttpFailed("bad_answer", f"{self.asked}: the answer is no JSON") from error

    def raise_for_status(self) -> Answer:
        """The answer itself, if its status says success.

        Raises:
            HttpFailed: ``http_status``; retryable after 429, 502, 503 and 504.
        """
        if self.ok:
            return self
        after = self.headers.get("retry-after", "")
        raise HttpFailed(
            "http_status",
            f"{self.asked} answered {self.status}",
            retryable=self.status in RETRYABLE,
            retry_after=float(after) if after.isdecimal() else None,
        )


class Http:
    """The calls of one execution; ``context.http`` is one.

    Each call has ``headers``, ``params`` (the query), ``auth`` (``Bearer`` or ``Basic``), one of ``json`` and ``data``
    (a text, bytes, or the fields of a form), and ``timeout`` in seconds. Redirects are not followed. The answer has at
    most 1 MiB.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        auth: Bearer | Basic | None = None,
        json: Any = _ABSENT,
        data: str | bytes | Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Make a call.

        Args:
            method: the HTTP method.
            url: ``https://…`` or ``http://…``; its host is one of those that ``bundle.toml`` lists.
            headers: by name.
            params: the query; a list gives its name several times.
            auth: who is calling.
            json: the body as a value of JSON.
            data: the body as text or bytes, or as the fields of a form.
            timeout: seconds; the time of the execution ends it too.

        Raises:
            HttpFailed: there was no answer, or the call is not allowed.

        Example::

            answer = context.http.request("PATCH", "https://fw.acme.example/rules/7", json={"enabled": False})
        """
        if json is not _ABSENT and data is not None:
            raise TypeError("give json or data, not both")
        request: dict[str, Any] = {"method": method.upper(), "url": url}
        pairs = [[str(name), str(value)] for name, value in (headers or {}).items()]
        if params:
            request["params"] = [[str(name), _word(one)] for name, value in params.items() for one in _several(value)]
        if auth is not None:
            request["auth"] = {"bearer": auth.token} if isinstance(auth, Bearer) else vars(auth).copy()
        if json is not _ABSENT:
            request["json"] = json_.loads(json_.dumps(json, allow_nan=False))
        elif isinstance(data, Mapping):
            request["text"] = urlencode([(name, _word(one)) for name, value in data.items() for one in _several(value)])
            pairs.append(["Content-Type", "application/x-www-form-urlencoded"])
        elif data is not None:
            request.update(packed(data.encode() if isinstance(data, str) else bytes(data)))
        if pairs:
            request["headers"] = pairs
        if timeout is not None:
            request["timeout"] = float(timeout)
        response = self._transport(request)
        return Answer(
            response["status"], Headers(response["headers"]), unpacked(response), f"{request['method']} {url}"
        )

    def get(self, url: str, **more: Any) -> Answer:
        """``request("GET", url, …)``."""
        return self.request("GET", url, **more)

    def head(self, url: str, **more: Any) -> Answer:
        """``request("HEAD", url, …)``."""
        return self.request("HEAD", url, **more)

    def post(self, url: str, **more: Any) -> Answer:
        """``request("POST", url, …)``."""
        return self.request("POST", url, **more)

    def put(self, url: str, **more: Any) -> Answer:
        """``request("PUT", url, …)``."""
        return self.request("PUT", url, **more)

    def patch(self, url: str, **more: Any) -> Answer:
        """``request("PATCH", url, …)``."""
        return self.request("PATCH", url, **more)

    def delete(self, url: str, **more: Any) -> Answer:
        """``request("DELETE", url, …)``."""
        return self.request("DELETE", url, **more)


def packed(content: bytes) -> dict[str, Any]:
    """A body as a member of a request or response."""
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def unpacked(message: Mapping[str, Any]) -> bytes:
    """The body of a request or response; empty where it has none."""
    if "json" in message:
        return json_.dumps(message["json"], ensure_ascii=False).encode()
    if "base64" in message:
        return base64.b64decode(message["base64"])
    return str(message.get("text", "")).encode(errors="surrogatepass")


def unavailable(request: dict[str, Any]) -> dict[str, Any]:
    """The transport of a context that has none."""
    raise HttpFailed("no_http", f"{request['method']} {request['url']}: this context makes no calls; see run_action")


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
