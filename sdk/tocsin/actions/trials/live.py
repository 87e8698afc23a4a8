"""Makes the calls of a trial from the author's machine, by the rules of a worker.

Redirects are not followed, the environment's proxies are not asked, an answer has at most 1 MiB, each call carries the
``Idempotency-Key`` and only listed hosts are called. What the worker refuses besides (private addresses) depends on the
installation, and is not checked here.
"""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from tocsin.actions.bundles.hosts import check_host
from tocsin.actions.errors import HttpFailed
from tocsin.actions.http import Transport, unpacked
from tocsin.actions.placeholders import fill
from tocsin.actions.trials.recordings import answer

_MOST_BYTES = 1024 * 1024
_SECONDS = 30.0


class _Answers(urllib.request.HTTPErrorProcessor):
    """Returns every answer, whatever its status is."""

    def http_response(self, request: Any, response: Any) -> Any:  # noqa: ARG002 - the library's signature
        return response

    https_response = http_response


def transport(
    idempotency_key: str, hosts: Sequence[str] | None, nonce: str, value_of: Callable[[str], str]
) -> Transport:
    """The transport that calls.

    Args:
        idempotency_key: sent with each call.
        hosts: those that may be called; None allows all, for a file without a bundle.
        nonce: the word in the placeholders of secrets.
        value_of: gives the value of a secret.
    """
    opener = urllib.request.build_opener(_Answers, urllib.request.ProxyHandler({}))

    def send(request: dict[str, Any]) -> dict[str, Any]:
        if hosts is not None:
            check_host(hosts, request["url"])
        filled, _ = fill(request, nonce, value_of)
        return _call(opener, filled, idempotency_key)

    return send


def _call(opener: urllib.request.OpenerDirector, request: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
    named = f"{request['method']} {request['url']}"
    query = urlencode([tuple(pair) for pair in request.get("params", [])])
    url = request["url"] + (("&" if "?" in request["url"] else "?") + query if query else "")
    has_body = any(part in request for part in ("json", "text", "base64"))
    try:
        message = urllib.request.Request(  # noqa: S310 - the scheme is checked next
            url, data=unpacked(request) if has_body else None, method=request["method"]
        )
        if message.type not in ("http", "https"):
            raise HttpFailed("egress_refused", f"{named}: only http and https are called")
        for name, value in _headers(request, idempotency_key):
            message.add_header(name, value)
        with opener.open(message, timeout=min(request.get("timeout") or _SECONDS, _SECONDS)) as response:
            content = response.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise HttpFailed("response_too_large", f"{named}: the answer has more than 1 MiB")
            return answer(response.status, response.headers.items(), content)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise HttpFailed("connection_failed", f"{named}: {reason}", retryable=True) from error


def _headers(request: dict[str, Any], idempotency_key: str) -> list[tuple[str, str]]:
    headers = {"Idempotency-Key": idempotency_key, "User-Agent": "tocsin-actions"}
    if "json" in request:
        headers["Content-Type"] = "application/json"
    auth = request.get("auth")
    if auth and "bearer" in auth:
        headers["Authorization"] = f"Bearer {auth['bearer']}"
    elif auth:
        pair = base64.b64encode(f"{auth['user']}:{auth['password']}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    own = {name.title() for name, _ in request.get("headers", [])}
    kept = [(name, value) for name, value in headers.items() if name not in own]
    return kept + [(name, value) for name, value in request.get("headers", [])]
