"""Shared by the HTTP executors: rendering a request, reading an answer.

In order of time: ``check_url`` and ``check_headers`` name the faults of a config when it is written; ``render_url`` and
``render_headers`` fill the values in, each escaped for the place it goes to; ``exchange`` sends the request, and turns
a good answer into the step's output and a bad one into a ``ProviderError``.
"""

import base64
import contextlib
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import quote

from config import spans
from config.errors import Problem
from config.pointers import step
from config.types import Json
from expressions import templates
from expressions.limits import MAX_DEPTH
from expressions.template_syntax import has_markup, parse
from expressions.templates import TemplateError, as_text
from playbooks.states import Mode
from providers.base import Call, ProviderError
from providers.egress import addresses, client, headers
from providers.egress.client import Request, Response

MAX_RETRY_AFTER = 3600.0
#: the most headers that a config may name as secret
MAX_NAMED = 50
_RETRYABLE = frozenset({429, 502, 503, 504})
_SHOWN_BYTES = 2048
#: characters of a URL in a message
_SHOWN_URL = 200
_BASE = re.compile(r"https?://[^?#@\\\s]+\Z")
_SCHEME = re.compile(r"https?://|\{", re.IGNORECASE)


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("the number is beyond the range of a double and could not be written as JSON again")
    return number


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


@contextlib.contextmanager
def rendering() -> Iterator[None]:
    """Turns a ``TemplateError`` into the executor's failure ``template_error``."""
    try:
        yield
    except TemplateError as error:
        raise ProviderError("template_error", str(error)) from error


def check_texts(config: Mapping[str, Any], keys: tuple[str, ...], names: set[str]) -> list[Problem]:
    """The faults of those keys that hold one template each."""
    problems = []
    for key in keys:
        value = config.get(key)
        if isinstance(value, str):
            problems += [problem.under(f"/{key}") for problem in templates.check(value, names)]
        elif value is not None:
            problems.append(Problem(f"/{key}", "must be text"))
    return problems


def check_url(config: Mapping[str, Any], names: set[str], key: str = "url") -> list[Problem]:
    """The faults of the config's URL that show before it is rendered."""
    url = config.get(key)
    if not isinstance(url, str) or not url.strip():
        return [] if url in (None, "") else [Problem(f"/{key}", "must be text")]
    if has_markup(url):
        problems = [problem.under(f"/{key}") for problem in templates.check(url, names)]
        if not _SCHEME.match(url.strip()):
            problems.append(Problem(f"/{key}", "the URL must start with http:// or https://"))
        return problems
    try:
        addresses.parse(url.strip())
    except ProviderError as error:
        return [Problem(f"/{key}", error.message)]
    return []


def check_headers(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    """Faults of the config's ``headers``."""
    given, problems = config.get("headers"), _check_named(config.get("secret_headers"))
    if given is None:
        return problems
    if not isinstance(given, Mapping):
        return [*problems, Problem("/headers", "must be an object of header names and texts")]
    for name, value in given.items():
        pointer = "/headers" + step(name)
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            problems.append(Problem(pointer, "must be text"))
            continue
        text = str(value)
        fault = headers.fault(str(name), "" if has_markup(text) else text)
        problems += [Problem(pointer, fault)] if fault else []
        problems += [problem.under(pointer) for problem in templates.check(text, names)]
    return problems


def _check_named(named: Any) -> list[Problem]:
    """Faults of ``secret_headers``."""
    good = isinstance(named, list) and len(named) <= MAX_NAMED and all(isinstance(name, str) for name in named)
    if named is None or good:
        return []
    return [Problem("/secret_headers", f"must be a list of at most {MAX_NAMED} names of headers")]


def named_values(config: Mapping[str, Any], rendered: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the headers that the config names as secret."""
    named = {name.lower() for name in config.get("secret_headers") or ()}
    return tuple(value for name, value in rendered.items() if name.lower() in named) if named else ()


def render_url(source: str, context: Mapping[str, Any]) -> str:
    """The rendered URL: values percent-encoded, except at its beginning.

    A value that is the whole URL or its beginning stays as it is. A beginning is scheme, host and perhaps path (``{{
    base }}/users/{{ id }}``); no value can add a user name, a port or a path to a host that the template spells. Raises
    TemplateError.
    """
    source = source.strip()
    if not has_markup(source):
        return source
    parts = parse(source)
    if len(parts) == 1:
        return templates.render_text(source, context).strip()
    return templates.render_text(source, context, _url_escape(leading=not isinstance(parts[0], str)))


def _url_escape(*, leading: bool) -> Callable[[Any], str]:
    """Escapes one value after another.

    ``leading`` says that the first stands at the beginning of the URL.
    """

    def escape(value: Any) -> str:
        nonlocal leading
        first, leading = leading, False
        text = as_text(value)
        return text if first and _BASE.match(text) else quote(text, safe="", errors="replace")

    return escape


def render_headers(config: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, str]:
    """The config's headers with their values. Raises TemplateError."""
    return {name: templates.render_text(str(text), context) for name, text in (config.get("headers") or {}).items()}


def with_default(given: dict[str, str], name: str, value: str) -> None:
    """Add a header unless it is there in some spelling."""
    if all(other.lower() != name.lower() for other in given):
        given[name] = value


def exchange(request: Request, call: Call) -> Any:
    """Send a request; returns the output of the step.

    It is the answer's JSON object itself, or ``{"body": ...}``.

    Raises:
        As ``client.send``, and ProviderError: ``http_status`` for everything but 2xx, with status and the beginning of
        the body.
    """
    with spans.span(request.method, call.trace, kind="client") as span:
        if span.context:
            request = replace(request, headers={**span.context, **request.headers})
        response = client.send(request, call)
        if span.recorded:
            span.tell(execution=call.execution_id, method=request.method, answered=response.status)
            if response.status // 100 != 2:  # noqa: PLR2004
                span.tell(error="http_status")
    if call.mode == Mode.SANDBOX:
        call.log("INFO", f"{_named(request)} was recorded instead of sent")
    else:
        call.log("INFO", f"answered {response.status} after {response.duration_ms} ms")
    status = response.status
    if status // 100 == 2:  # noqa: PLR2004
        return _output(response)
    details: Json = {"status": status, "body": response.body[:_SHOWN_BYTES].decode(errors="replace")}
    message = f"{_named(request)} was answered with {status}{_phrase(status)}"
    if status // 100 == 3:  # noqa: PLR2004
        message += "; redirects are not followed, configure the final URL"
        details["location"] = response.headers.get("location", "")[:_SHOWN_BYTES]
    raise ProviderError(
        "http_status",
        message,
        retryable=status in _RETRYABLE,
        retry_after=_retry_after(response.headers.get("retry-after")) if status in _RETRYABLE else None,
        details=details,
    )


def _named(request: Request) -> str:
    """The method and the URL of a request, without its credentials."""
    return f"{request.method} {client.described(request)['url'][:_SHOWN_URL]}"


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _retry_after(text: str | None) -> float | None:
    """Seconds from a ``Retry-After`` header, at most an hour.

    It is a number or a date; None when it says nothing.
    """
    if not text:
        return None
    try:
        seconds = float(text) if text.isdecimal() else parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _output(response: Response) -> Any:
    if not response.body:
        return {}
    try:
        text = response.body.decode()
    except UnicodeDecodeError:
        return {"body": base64.b64encode(response.body).decode(), "encoding": "base64"}
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json") or text.lstrip()[:1] in ("{", "["):
        try:
            value = _DECODER.decode(text)
            if _depth_within(value, MAX_DEPTH):
                return _clean(value, text)
        except (ValueError, RecursionError):
            return {"body": text}  # not the JSON it claims to be
    return {"body": text}


def _clean(value: Any, text: str) -> Any:
    """The parsed answer as an object that can be stored.

    Half surrogates, which UTF-8 cannot write, are replaced.
    """
    if "\\ud" in text.lower():
        value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    return value if isinstance(value, dict) else {"body": value}


def _depth_within(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth + 1):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return True
    return False
