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

from api.http import body
from api.http import schemas as http_schemas
from api.http.base_schema import Schema
from api.http.body import Parser
from api.http.current_request import present
from api.http.documented import error_answers
from config import strict_yaml

View = Callable[..., Any]


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
    "bundle_name": ("The bundle's name.", "acme-firewall"),
    "bundle_version": ("A version of it.", "1.2.0"),
    "secret_name": ("The secret's name in bundle.toml.", "FW_TOKEN"),
    "key_id": ("The key's id, not the key.", "3f1c9a60b2d4"),
    "username": ("The user's name.", "kim"),
    "group_key": ("The group's id, or its key while it gathers.", "grp-0199f3c2a1b46d0e8f2c41"),
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
        fails: tuple[int | str, ...] = (),
        words: str | None = None,
        takes_body: bool = False,
        headers: dict[str, Any] | None = None,
        content_type: str | None = None,
    ) -> Callable[[View], View]:
        """Document a handler's own answer and its errors.

        Those are the errors of every operation, and ``fails``: further statuses, and error codes that only some
        operations have. Handlers return a finished ``Response``; the schema describes it and does not dump it, which is
        faster.
        """
        failures = error_answers.answers(fails, takes_body=takes_body)

        def decorate(view: View) -> View:
            for failed, documented in failures:
                also(view, failed, documented)
            shown = {"example": example, "description": words, "headers": headers, "content_type": content_type}
            documented = self.response(status, schema, **shown)(view)
            view.__dict__["_apidoc"] = documented._apidoc  # noqa: SLF001 - its wrapper would look at each answer
            return view

        return decorate

    @staticmethod
    def fails(status: int, codes: tuple[str, ...] = ()) -> Callable[[View], View]:
        """Document one error answer."""
        return functools.partial(also, status=status, documented=error_answers.answer(status, codes))

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
        return functools.partial(also, status=status, documented=documented)

    @staticmethod
    def reads(schema: Schema | dict[str, Any], *, example: Any, yaml: bool = False) -> Callable[[View], View]:
        """Document a body that the handler reads itself.

        It does so because lower layers name the body's faults.
        """
        content = {"application/json": {"schema": schema, "example": example}}
        if yaml:
            content["application/yaml"] = as_yaml(example)

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


def also(view: View, status: int, documented: dict[str, Any]) -> View:
    """Document one more answer of a handler, as the library wants it; returns the handler."""
    notes(view).setdefault("response", {}).setdefault("responses", {}).setdefault(status, []).append(documented)
    return view


def as_yaml(example: Any) -> dict[str, Any]:
    """What the document says of YAML in place of JSON: a text, because generators of clients read no YAML."""
    schema = {"type": "string", "contentMediaType": "application/yaml"}
    return {"schema": schema, "example": strict_yaml.dump(example)}


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
