"""The one error body (RFC 9457) for errors from any layer.

``code`` is the stable word to branch on, ``type`` the address of its page, ``detail`` (also as ``error`` and
``message``) is for people, ``errors`` name each fault by its JSON pointer, ``retryable`` says whether the same request
may succeed later.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import HTTPException, TooManyRequests, Unauthorized

from api import paths
from config import logs
from config.error_codes.table import page
from config.errors import Busy, CallerError, Problem, Unavailable
from config.pointers import step, unescape

CONTENT_TYPE = "application/problem+json"

#: status → code, where the error has none
CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    410: "gone",
    412: "changed",
    413: "too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    422: "invalid_parameters",
    429: "rate_limited",
    500: "internal_error",
    503: "unavailable",
}
_RETRYABLE = frozenset({408, 429, 503})
#: after how many seconds a caller may try an unavailable service again
_REST = 1
#: the same for a service that has too much to compute
_TURN = 3

log = logs.logger(__name__)


def body(status: int, detail: str, *, code: str = "", problems: Iterable[Problem] = ()) -> dict[str, Any]:
    """The members of an error body."""
    word = code or CODES.get(status, "invalid_request")
    return {
        "type": page(word),
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": word,
        "error": detail,
        "message": detail,
        "retryable": status in _RETRYABLE,
        "errors": [{"pointer": problem.pointer, "detail": problem.detail} for problem in problems],
    }


def install(app: Flask) -> None:
    """Answer every error of ``app`` with the one body."""
    app.register_error_handler(CallerError, _from_caller_error)
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(Exception, _from_surprise)


def from_http(error: HTTPException) -> Any:
    """The answer for an error of the framework; redirects pass through."""
    if error.code is None or error.code < 400:  # noqa: PLR2004 - not an error
        return error
    messages = (getattr(error, "data", None) or {}).get("messages")
    problems = list(_problems(messages)) if messages else []
    said = paths.words(error) or error.description or HTTPStatus(error.code).phrase
    detail = summary(problems) if problems else said
    response = _respond(body(error.code, detail, problems=problems))
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers.add(name, value)
    return response


def _from_caller_error(error: CallerError) -> Response:
    if isinstance(error, Unavailable):
        log.warning("database unavailable", reason=str(error))
        response = _respond(body(error.status, Unavailable.__doc__ or "", code=error.code))
        response.headers["Retry-After"] = str(_REST)
        return response
    detail = str(error)
    if len(error.problems) == 1:
        detail = f"{detail} {summary(error.problems)}"
    response = _respond({**body(error.status, detail, code=error.code, problems=error.problems), **error.members})
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE and error.retryable:
        response.headers["Retry-After"] = str(_TURN if isinstance(error, Busy) else _REST)
    return response


def _from_surprise(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return _respond(body(500, "Something went wrong here; the log tells what, under this request_id."))


def _respond(members: dict[str, Any]) -> Response:
    members["request_id"] = g.get("request_id")
    return Response(json.dumps(members), members["status"], content_type=CONTENT_TYPE)


def summary(problems: Sequence[Problem]) -> str:
    """The first fault, and how many more there are."""
    first = problems[0]
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{first.pointer or 'The body'}: {first.detail}{more}"


def _problems(messages: dict[str, Any]) -> Iterator[Problem]:
    """Marshmallow's nested messages, flattened.

    Those about the query string point below ``/query``.
    """
    for location, found in messages.items():
        yield from _flat(found, "" if location == "json" else f"/{location}")


def _flat(found: Any, pointer: str) -> Iterator[Problem]:
    if isinstance(found, dict):
        for name, inner in found.items():
            yield from _flat(inner, pointer + ("" if name == "_schema" else step(name)))
    elif isinstance(found, list):
        for inner in found:
            yield from _flat(inner, pointer)
    else:
        yield Problem(pointer, str(found))


def unauthorized(detail: str) -> Unauthorized:
    """The error for a request without a valid key."""
    return Unauthorized(detail, www_authenticate=WWWAuthenticate("bearer", {"realm": "tocsin"}))


def too_many(detail: str, retry_after: int) -> TooManyRequests:
    """The error for a caller that has used up its requests.

    ``retry_after`` is in seconds.
    """
    return TooManyRequests(detail, retry_after=retry_after)


def json_path(pointer: str) -> str:
    """``/parameters/0/type`` as ``$.parameters[0].type``."""
    names = [unescape(part) for part in pointer.split("/")[1:]]
    return "$" + "".join(f"[{name}]" if name.isdecimal() else f".{name}" for name in names)
