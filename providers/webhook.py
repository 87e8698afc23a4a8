"""Executor ``webhook``: one HTTP call whose URL, headers and body are templates.

``config``: ``url``, ``method`` (POST unless given), ``headers``, and either ``body_template`` (a text) or ``body`` (any
JSON). Values are escaped for where they stand: percent-encoded in URLs and forms, as JSON in JSON, and in headers
anything that could end a line is refused. The call carries ``Idempotency-Key``, the same for every attempt.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

from config.errors import Problem
from config.types import Json
from expressions import templates
from expressions.templates import TemplateError, as_text
from expressions.values import compact
from providers import http, members
from providers.base import Call
from providers.egress import client
from providers.egress.client import METHODS, Request

SECRETS: tuple[str, ...] = ()
ON_LOOP = True
KEYS = ("url", "method", "headers", "secret_headers", "body_template", "body")
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


def check(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    """Every fault of the config."""
    return members.check(config, KEYS, ("url",)) + check_members(config, names)


def check_members(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    """The faults of the members that are there."""
    problems = http.check_url(config, names)
    problems += http.check_headers(config, names)
    method = config.get("method", "POST")
    if not isinstance(method, str) or method.upper() not in METHODS:
        problems.append(Problem("/method", f"must be one of {', '.join(METHODS)}"))
    elif method.upper() == "HEAD" and ("body" in config or "body_template" in config):
        problems.append(Problem("/method", "HEAD carries no body"))
    return problems + _check_body(config, names)


def plan(call: Call) -> Json:
    """The request as it would be sent; credentials are not shown."""
    return client.described(request(call))


def perform(call: Call) -> Any:
    """Send the request; the output is the answer's JSON object.

    Another answer becomes ``{"body": ...}``.
    """
    return http.exchange(request(call), call)


def request(call: Call) -> Request:
    """The rendered request.

    Raises:
        ProviderError: ``template_error``.
    """
    config, context = call.config, call.context
    with http.rendering():
        url = http.render_url(config["url"], context)
        headers = http.render_headers(config, context)
        body = _body(config, headers, context)
    http.with_default(headers, "Idempotency-Key", call.idempotency_key)
    hidden = http.named_values(config, headers)
    return Request(str(config.get("method", "POST")).upper(), url, headers, body, "webhook call", hidden)


def _check_body(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    template, body = config.get("body_template"), config.get("body")
    if template is not None and body is not None:
        return [Problem("/body", "give either body or body_template, not both")]
    if template is None:
        return [problem.under("/body") for problem in templates.check(body, names)]
    problems = http.check_texts(config, ("body_template",), names)
    if not problems and isinstance(config.get("headers", {}), Mapping) and _is_json(_content_type(config, {})):
        try:
            templates.check_json(template)
        except TemplateError as error:
            remedy = "for a body that is not JSON set the header Content-Type"
            problems.append(Problem("/body_template", f"{error}; {remedy}"))
    return problems


def _content_type(config: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The content type of the body.

    It is what the (rendered) headers say, else JSON, or text if a template does not begin like JSON.
    """
    for name, value in (headers or config.get("headers") or {}).items():
        if str(name).lower() == "content-type":
            return str(value).lower()
    template = config.get("body_template")
    return _TEXT if isinstance(template, str) and template.lstrip()[:1] not in ("{", "[", '"') else _JSON


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip()
    return kind == _JSON or kind.endswith("+json")


def _body(config: Mapping[str, Any], headers: dict[str, str], context: Mapping[str, Any]) -> bytes | None:
    """The rendered body, and its Content-Type header.

    Raises TemplateError.
    """
    template, body = config.get("body_template"), config.get("body")
    if template is None and body is None:
        return None
    kind = _content_type(config, headers)
    http.with_default(headers, "Content-Type", kind)
    if template is None:
        text = _written(templates.render(body, context), kind)
    elif _is_json(kind):
        text = templates.render_json(template, context)
    elif kind.startswith(_FORM):
        text = templates.render_text(template, context, _form_value)
    else:
        text = templates.render_text(template, context)
    return text.encode(errors="replace")


def _written(value: Any, kind: str) -> str:
    """A rendered ``body`` in the form that its content type asks for."""
    if kind.startswith(_FORM) and isinstance(value, dict):
        return urlencode({name: as_text(item) for name, item in value.items()}, errors="replace")
    return value if isinstance(value, str) and not _is_json(kind) else compact(value)


def _form_value(value: Any) -> str:
    return quote_plus(as_text(value), errors="replace")
