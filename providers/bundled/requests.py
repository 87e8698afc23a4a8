"""Makes the calls that a function of a bundle asks for.

In order of time: what came out of the sandbox is read as untrusted data; the host must be one that the bundle lists;
the secrets take the places of their placeholders; the call gets its ``Idempotency-Key`` and goes out by
``providers.egress.client``, under all rules that hold for every call; secrets that the receiver repeats are masked
before the answer goes into the sandbox.
"""

import base64
import dataclasses
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from tocsin.actions.bundles.hosts import is_listed
from tocsin.actions.errors import HttpFailed
from tocsin.actions.http import packed, unpacked
from tocsin.actions.placeholders import MASK, fill
from tocsin.actions.trials.masks import Masks

from config.types import Json
from playbooks.states import Mode
from providers.base import Bundle, Call, ProviderError, TimedOut
from providers.egress import addresses, client
from providers.egress.client import METHODS, Request, Response

#: calls of one attempt
MOST_CALLS = 1000
#: characters of secrets that are filled into a call: a short body could ask for a large secret again and again
_MOST_FILLED = 1 << 20
#: a call that ends this close to the execution's end was ended by it, seconds
_LAST_MOMENT = 0.1
_READING = frozenset({"GET", "HEAD"})
_BODIES = ("json", "text", "base64")
_MEMBERS = frozenset({"method", "url", "headers", "params", "auth", "timeout", *_BODIES})


class Outgoing:
    """The calls of one attempt.

    Without a bundle they are those of a function in the actions folder: the operator's own code may call any host that
    the rules allow, and has no secrets here.
    """

    def __init__(self, call: Call, bundle: Bundle | None, nonce: str) -> None:
        self._call = call
        self._hosts = None if bundle is None else bundle.hosts
        self._bundle = bundle or Bundle(name="", version="", digest="", files={})
        self._nonce = nonce
        self._made = self._changing = self._filled = 0
        known = self._bundle.secrets.items()
        self._masks = Masks(value for name, value in known if name not in self._bundle.revealed)

    def send(self, asked: Any) -> Json:
        """The response to a request, both as ``tocsin.actions.http`` describes them.

        Raises:
            HttpFailed: the call is not allowed, or has no answer.
            TimedOut: the time of the execution is up. Abandoned: the execution is no longer ours.
        """
        self._made += 1
        if self._made > MOST_CALLS:
            raise HttpFailed("too_many_calls", f"an execution makes at most {MOST_CALLS} calls")
        checked, self._filled = _checked(asked), 0
        try:
            filled, used = fill(checked, self._nonce, self._value_of) if self._nonce else (checked, set[str]())
            request = self._request(filled, used)
        except RecursionError:
            raise HttpFailed("bad_request", "the body is nested too deeply") from None
        except UnicodeEncodeError:
            raise HttpFailed("bad_request", "a text of the call holds half of a surrogate pair") from None
        except ProviderError as error:
            raise _failed(error) from error
        return self._answered(self._sent(request, asked.get("timeout")))

    def _value_of(self, name: str) -> str:
        if name not in self._bundle.declared:
            raise HttpFailed("secret_missing", f"bundle.toml lists no secret {name[:64]}")
        if name not in self._bundle.secrets:
            path = f"PUT /api/bundles/{self._bundle.name}/secrets/{name}"
            raise HttpFailed("secret_missing", f"the secret {name} has no value: {path} sets it")
        value = MASK if self._call.mode == Mode.SANDBOX else self._bundle.secrets[name]
        self._filled += len(value)
        if self._filled > _MOST_FILLED:
            raise HttpFailed("bad_request", f"the secrets in the call have more than {_MOST_FILLED >> 20} MiB together")
        return value

    def _request(self, filled: Json, used: set[str]) -> Request:
        query = urlencode([tuple(pair) for pair in filled.get("params", [])])
        url = filled["url"].partition("#")[0]  # behind a fragment, which is never sent, the query would be lost
        url += ("&" if "?" in url else "?") + query if query else ""
        found = addresses.parse(url)
        if self._hosts is not None and not is_listed(self._hosts, found.scheme, found.host, found.port):
            listed = ", ".join(self._hosts) or "none"
            named = f"{found.host}:{found.port}"
            raise HttpFailed("host_not_listed", f"the bundle may not call {named}; bundle.toml lists: {listed}")
        has_body = any(part in filled for part in _BODIES)
        hidden = tuple(self._bundle.secrets[name] for name in used if self._call.mode != Mode.SANDBOX)
        body = _body(filled) if has_body else None
        return Request(filled["method"], url, self._headers(filled), body, "call of the bundle", hidden)

    def _headers(self, filled: Json) -> dict[str, str]:
        headers = {str(name): str(value) for name, value in filled.get("headers", [])}
        given = {name.lower() for name in headers}
        if "idempotency-key" not in given:
            headers["Idempotency-Key"] = self._key(filled["method"])
        if "json" in filled and "content-type" not in given:
            headers["Content-Type"] = "application/json"
        auth = filled.get("auth")
        if auth is not None and "authorization" not in given:
            headers["Authorization"] = _authorization(auth)
        return headers

    def _key(self, method: str) -> str:
        """The key of a call: that of the execution, numbered from the second call that changes something."""
        if method in _READING:
            return self._call.idempotency_key
        self._changing += 1
        return self._call.idempotency_key + (f".{self._changing}" if self._changing > 1 else "")

    def _sent(self, request: Request, timeout: float | None) -> Response:
        call = self._call
        soon = time.monotonic() + timeout if timeout is not None else call.expires_at
        if soon < call.expires_at:
            call = dataclasses.replace(call, expires_at=soon)
        try:
            return client.send(request, call)
        except TimedOut as error:
            if self._call.seconds_left <= _LAST_MOMENT:
                raise
            late = f"the call to {addresses.parse(request.url).origin} was not answered in time"
            raise HttpFailed("http_timeout", late, retryable=True, unknown=error.unknown) from error
        except ProviderError as error:
            raise _failed(error, self._masks) from error

    def _answered(self, response: Response) -> Json:
        headers = [[self._masks.text(name), self._masks.text(value)] for name, value in response.headers.items()]
        return {"status": response.status, "headers": headers, **packed(self._masked(response.body))}

    def _masked(self, body: bytes) -> bytes:
        # what is no UTF-8 stays as it is, and a secret is found next to it
        return self._masks.text(body.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def _failed(error: ProviderError, masks: Masks | None = None) -> HttpFailed:
    message = error.message if masks is None else masks.text(error.message)
    again: dict[str, Any] = {"retryable": error.retryable, "retry_after": error.retry_after, "unknown": error.unknown}
    return HttpFailed(error.code, message, **again)


def _body(filled: Json) -> bytes:
    try:
        return unpacked(filled)
    except ValueError as error:
        raise HttpFailed("bad_request", f"the body cannot be read: {error}") from None


def _authorization(auth: Mapping[str, str]) -> str:
    if "bearer" in auth:
        return f"Bearer {auth['bearer']}"
    return "Basic " + base64.b64encode(f"{auth['user']}:{auth['password']}".encode()).decode()


def _checked(asked: Any) -> Json:
    """A request of the form that it should have.

    Raises:
        HttpFailed: it has another one.
    """
    if not isinstance(asked, dict) or not asked.keys() <= _MEMBERS or not {"method", "url"} <= asked.keys():
        raise HttpFailed("bad_request", "a call has method, url, and at most the members of context.http")
    if asked["method"] not in METHODS:
        raise HttpFailed("bad_request", f"a call has one of the methods {', '.join(METHODS)}")
    fits = (
        isinstance(asked["url"], str)
        and all(_are_pairs(asked.get(part, [])) for part in ("headers", "params"))
        and all(isinstance(asked.get(part, ""), str) for part in ("text", "base64"))
        and sum(part in asked for part in _BODIES) <= 1
        and _is_auth(asked.get("auth"))
        and _is_seconds(asked.get("timeout"))
    )
    if not fits or (asked["method"] == "HEAD" and any(part in asked for part in _BODIES)):
        raise HttpFailed("bad_request", "a part of the call has a type that it cannot have")
    return asked


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair)  # noqa: PLR2004
        for pair in value
    )


def _is_auth(value: Any) -> bool:
    if value is None:
        return True
    known = isinstance(value, dict) and value.keys() in ({"bearer"}, {"user", "password"})
    return known and all(isinstance(one, str) for one in value.values())


def _is_seconds(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 86_400)  # noqa: PLR2004
