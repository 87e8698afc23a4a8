"""Declares a handler: its route, arguments, answers and errors, all documented.

Read a handler's decorators from the top: route, permission, arguments, answer. The first line of its docstring is the
operation's summary, the rest its description, its name in camel case the operationId.
"""

import functools
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import flask_smorest
from flask import Response
from werkzeug.datastructures import Headers
from werkzeug.routing import BaseConverter, PathConverter

from api.http import body, errors
from api.http import schemas as http_schemas
from api.http.base_schema import Schema
from api.http.body import Parser
from api.http.current_request import present

View = Callable[..., Any]

#: what every operation behind a key may answer
_ALWAYS = (400, 401, 403, 429, 503)
_WITH_BODY = (408, 413, 415)
_WHEN = {
    400: ("The request is malformed or misses something.", "/name: an action needs a name"),
    401: ("No valid API key.", "Send an API key, as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'."),
    403: ("The key lacks the permission.", "This needs the permission write:actions, which the key does not carry."),
    404: ("There is no such thing in this workspace.", "There is no action 'act-block-ip'."),
    408: ("The body does not arrive in time.", "The body did not arrive in time; send it without pauses."),
    409: ("The state of the thing does not allow it.", "The action 'act-block-ip' is disabled; enable it first."),
    410: ("It has expired or is decided.", "The link has expired."),
    412: ("It is no longer as If-Match says, or there although If-None-Match says that it is not.", "Read it again."),
    413: ("The body is larger than 1 MiB.", "The body has 2,000,008 bytes; at most 1,048,576 are taken."),
    415: ("The body is not plain JSON.", "Send the body as JSON, with Content-Type: application/json."),
    422: ("Values do not fit the declared parameters.", "/parameters/ip_address: is required"),
    429: ("Too many requests; Retry-After says when to come back.", "This key may ask 6000 per 1 minute; slow down."),
    500: ("What it needs has failed.", "The similarity is not known: the embeddings request was answered with 502."),
    503: (
        "The database cannot be reached, or more is asked than can be done.",
        "The database cannot be reached; nothing was accepted.",
    ),
}


_ERROR = http_schemas.Error()


class IdConverter(BaseConverter):
    """An id in a path; any other text matches no route."""

    #: words of our own paths are no ids: a method they lack must not fall through to a thing of that name
    regex = rf"(?!(?:{'|'.join(http_schemas.RESERVED_IDS)})(?:/|$))[A-Za-z0-9][A-Za-z0-9._-]{{0,127}}"

    @classmethod
    def schema(cls, _converter: BaseConverter) -> dict[str, str]:
        """Its description in the OpenAPI document."""
        return {"type": "string", "pattern": http_schemas.ID_PATTERN}


class StepIdConverter(BaseConverter):
    """The id of a step in a path; other text matches none."""

    regex = "[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"

    @classmethod
    def schema(cls, _converter: BaseConverter) -> dict[str, str]:
        """Its description in the OpenAPI document."""
        return {"type": "string", "pattern": f"^{cls.regex}$"}


class VersionConverter(BaseConverter):
    """A version of a definition in a path; other text matches none."""

    regex = r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}"

    @classmethod
    def schema(cls, _converter: BaseConverter) -> dict[str, str]:
        """Its description in the OpenAPI document."""
        return {"type": "string", "pattern": f"^{cls.regex}$"}


class DispatchIdConverter(IdConverter):
    """The id of a dispatch in a path, next to which there is a path of its own for batches."""

    regex = f"(?!batch(?:/|$)){IdConverter.regex}"


class SilenceIdConverter(IdConverter):
    """The id of a silence in a path, next to which there is a path of its own for previews."""

    regex = f"(?!preview(?:/|$)){IdConverter.regex}"


class TextConverter(PathConverter):
    """Any text in a path, slashes too, but NUL: no database stores it, so nothing is called that."""

    regex = r"[^/\0][^\0\n]*?"


class SlashedConverter(TextConverter):
    """Text that may begin with a slash: else the router leaves that out, and leads to another object."""

    regex = r"[^\0\n]+?"
    part_isolating = False  # the library concludes it from the slashes in an expression


class PartsConverter(PathConverter):
    """Two parts of a path or more, whatever is in them, even nothing."""

    regex = r"[\s\S]*/[\s\S]*?"


#: the header with the address of a new object
LOCATION = {"Location": {"description": "The address of the new object.", "schema": {"type": "string"}}}
_IDS = {
    "action_id": ("The action's id.", "act-block-ip"),
    "execution_id": ("The execution's id.", "exec-9912"),
    "dispatch_id": ("The id of its execution.", "disp-0199f3c2a1b46d0e8f2c41"),
    "playbook_id": ("The playbook's id.", "pb-critical-finding-alert"),
    "run_id": ("The playbook execution's id.", "pexec-7721"),
    "version": ("The version.", "1.0.0"),
    "step_id": ("The step's id in the playbook.", "create-ticket"),
    "key_id": ("The key's id, not the key.", "3f1c9a60b2d4"),
    "username": ("The user's name.", "kim"),
    "silence_id": ("The silence's id.", "sil-9f0c2a9be1d34c7f"),
    "recurring_id": ("The recurring action's id.", "rec-9f0c2a9be1d34c7f"),
    "approval_id": ("The approval's id.", "apr-9f0c2a9be1d34c7f5f0c2a9be1d34c7f"),
}


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """flask-smorest's blueprint with this project's parser, names and error answers."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, name: str, module: str, *, tag: str) -> None:
        """``tag`` is the resource of ``openapi.TAGS`` to which its operations belong."""
        super().__init__(name, module)
        self._tag = tag

    def route(
        self, rule: str, *, parameters: Sequence[dict[str, Any]] = (), tags: Sequence[str] = (), **options: Any
    ) -> Callable[[View], View]:
        """Declare the route of a handler.

        ``tags`` is for an operation of another resource than its blueprint's.
        """
        options["tags"] = [*tags] or [self._tag]
        described = [
            {"in": "path", "name": name, "description": words, "example": example}
            for name, (words, example) in _IDS.items()
            if f":{name}>" in rule
        ]
        described += [one for one in parameters if one["in"] == "path"]
        own = [one for one in parameters if one["in"] != "path"]  # the library takes its parameters for all of the path

        def decorate(view: View) -> View:
            if own:
                of_view = view.__dict__.setdefault("_apidoc", {}).setdefault("arguments", {})
                of_view.setdefault("parameters", []).extend({**one} for one in own)
            first, *rest = view.__name__.split("_")
            name = first + "".join(word.capitalize() for word in rest)
            notes(view, operationId=name)
            add: Callable[[View], View] = super(Blueprint, self).route(rule, parameters=described, **options)
            return add(view)

        return decorate

    def arguments(
        self,
        schema: Schema,
        *,
        location: str = "json",
        declared: Callable[[str], tuple[str, Collection[str]]] | None = None,
        **more: Any,
    ) -> Callable[[View], View]:
        """Document what a handler takes, and pass it to the handler.

        It is the argument after those of the path. ``declared`` says, by the id in the path, what the body is for and
        the names of its parameters.
        """
        documented: Callable[[View], View] = super().arguments(schema, location=location, **more)
        if location == "query":
            return functools.partial(_with_query, schema, documented)
        if location != "json":
            return documented

        def decorate(view: View) -> View:
            @functools.wraps(documented(view))
            def taking(*args: Any, **kwargs: Any) -> Any:
                ask = functools.partial(declared, *kwargs.values()) if declared else None
                return view(*args, body.load(schema, ask), **kwargs)

            return taking

        return decorate

    def answers(
        self,
        status: int,
        schema: Schema | dict[str, Any] | None = None,
        *,
        example: Any = None,
        fails: tuple[int, ...] = (),
        words: str | None = None,
        takes_body: bool = False,
        headers: dict[str, Any] | None = None,
        content_type: str | None = None,
    ) -> Callable[[View], View]:
        """Document a handler's own answer and its errors.

        Those are the errors of every operation, and ``fails``. Handlers return a finished ``Response``; the schema
        describes it and does not dump it, which is faster.
        """
        statuses = [*_ALWAYS, *fails, *(_WITH_BODY if takes_body else ())]

        def decorate(view: View) -> View:
            for code in statuses:
                self.fails(code)(view)
            shown = {"example": example, "description": words, "headers": headers, "content_type": content_type}
            documented = self.response(status, schema, **shown)(view)
            view.__dict__["_apidoc"] = documented._apidoc  # noqa: SLF001 - its wrapper would look at each answer
            return view

        return decorate

    @staticmethod
    def fails(status: int) -> Callable[[View], View]:
        """Document one error answer."""
        words, detail = _WHEN[status]
        example = {**errors.body(status, detail), "request_id": "5f0c2a9be1d34c7f"}
        return Blueprint.also(status, _ERROR, example=example, words=words, content_type=errors.CONTENT_TYPE)

    @staticmethod
    def also(
        status: int,
        schema: Schema | dict[str, Any] | None,
        *,
        example: Any = None,
        words: str,
        headers: dict[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Callable[[View], View]:
        """Document one more answer of a handler; without ``schema`` it has no body."""
        documented: dict[str, Any] = {"description": words, "content_type": content_type}
        documented |= {"schema": schema, "example": example} if schema is not None else {}
        documented |= {"headers": headers} if headers else {}

        def decorate(view: View) -> View:
            notes(view).setdefault("response", {}).setdefault("responses", {}).setdefault(status, []).append(
                {**documented}
            )
            return view

        return decorate

    @staticmethod
    def reads(schema: Schema | dict[str, Any], *, example: Any, yaml: bool = False) -> Callable[[View], View]:
        """Document a body that the handler reads itself.

        It does so because lower layers name the body's faults.
        """
        kinds = ("application/json", "application/yaml") if yaml else ("application/json",)
        content = {kind: {"schema": schema, "example": example} for kind in kinds}

        def decorate(view: View) -> View:
            notes(view, requestBody={"required": True, "content": content})
            view.reads_body = True  # type: ignore[attr-defined]
            return view

        return decorate


def _with_query(schema: Schema, documented: Callable[[View], View], view: View) -> View:
    """A handler that gets its query; the library is asked only where there is one."""
    reading = documented(view)

    @functools.wraps(reading)
    def taking(*args: Any, **kwargs: Any) -> Any:
        if not present().query_string and (members := schema.of_nothing) is not None:
            return view(*args, {**members}, **kwargs)
        return reading(*args, **kwargs)

    return taking


def notes(view: View, **more: Any) -> dict[str, Any]:
    """The library's record of a handler's documentation, with ``more`` added.

    ``more`` are members of the operation. Writing there costs nothing at run time, where each of the library's
    decorators adds a call to every request.
    """
    documented: dict[str, Any] = view.__dict__.setdefault("_apidoc", {})
    documented.setdefault("manual_doc", {}).update(more)
    return documented


class Finished(Response):
    """An answer whose headers are final: JSON, its length, ASCII."""

    def __init__(self, text: str, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = text.encode()
        self.response = [data]
        self._status, self._status_code = _status_line(status), status
        self.headers = Headers()
        self.headers._list = [  # noqa: SLF001 - the library looks for line breaks in each, of which there are none
            *(headers.items() if headers else ()),
            _JSON_TYPE,
            ("Content-Length", str(len(data))),
        ]
        self._on_close = []

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """The text, which needs no closing; none for a HEAD request. The headers go without a second check."""
        start_response(self._status, self.headers.to_wsgi_list())
        return () if environ["REQUEST_METHOD"] == "HEAD" else self.response  # type: ignore[return-value]


def append(response: Response, headers: Iterable[tuple[str, str]]) -> None:
    """Add headers of our own making, in ASCII, without the library's check of each."""
    response.headers._list.extend(headers)  # noqa: SLF001


_JSON_TYPE = ("Content-Type", "application/json")


@functools.cache
def _status_line(status: int) -> str:
    return Response(status=status).status


#: JSON as short as it can be. Raises ValueError for NaN and infinity, which JSON does not have.
written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def answer(members: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer.

    Raises ValueError for NaN and infinity, which JSON does not have.
    """
    return finished(written(members), status, headers)


def finished(text: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The answer with this JSON text; ``headers`` in ASCII."""
    return Finished(text, status, headers)


def nothing() -> Response:
    """The answer without a body."""
    return Response(status=204)
