"""The documentation: the OpenAPI document, and Swagger UI.

Swagger UI is served from files of our own machine.
"""

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from flask_smorest import Api
from flask_swagger_ui import get_swaggerui_blueprint

from api.http.auth import public
from api.http.blueprint import DispatchIdConverter, IdConverter, StepIdConverter, VersionConverter, answer
from api.http.current_request import present
from api.http.errors import from_http
from api.http.schemas import Error

#: what is under every prefix of the API, and what is at the root of the server
blueprint = Blueprint("docs", __name__)
root = Blueprint("root", __name__)

_PAGE = "/docs"
VERSION = "0.1.0"
_WORDS = """Automated security response. An **action** is a versioned, reusable operation, such as blocking an address.
A **playbook** combines actions. Triggering an action starts an *execution*; running a playbook starts a *playbook
execution* (a *run*). Workers perform both.

**API keys.** Send a key with every request, as `Authorization: Bearer KEY` or as `X-API-Key: KEY`; on this page, enter
it under *Authorize*. `make run` writes a key for its demo workspace to `var/demo.key`. On a server, the operator
creates the first key with `python -m launcher.key --workspace default --role admin`; an admin creates further keys with
`POST /api/keys`. People sign in with `POST /v1/auth/login` and send the token in place of a key.

**Answers.** A single object comes as `{"data": {...}}`, a list as `{"data": [...], "meta": {...}}`. Trigger and run
answer 202 as soon as the execution is recorded; accepted work is never lost. Every error has the same body (RFC 9457);
branch on its `code`; [/docs/errors](/docs/errors) says of each what to do. Every path under `/api` also exists under
`/api/v1`."""

#: the resources of the API, in the order of the page; each operation belongs to one
TAGS = {
    "actions": "Define, version and trigger actions.",
    "bundles": "Push, activate and inspect bundles of custom actions, and give them secrets.",
    "action executions": "Follow, cancel and decide executions of actions.",
    "playbooks": "Define, version, import, export and run playbooks.",
    "playbook executions": "Follow, control, decide and compare runs of playbooks.",
    "events": "Report events of other systems, which start playbooks; see those that last, and move them.",
    "rules": "List, reload, switch, evaluate and roll back the gateway's rules.",
    "embeddings": "Compare texts by meaning, as rules do.",
    "stop": "Keep everything of a tenant, or of all, from going out.",
    "approvals": "See what waits for a decision, and decide.",
    "groups": "See what is gathered for one summary, and flush it.",
    "stream": "Follow what happens.",
    "audit": "Read what became of each execution and dispatch.",
    "dispatch": "Send something by a provider, as the rules decide.",
    "recurring": "Have something go out again and again, by a schedule.",
    "time-intervals": "Name spans of time that come back, in which rules let nothing out and schedules rest.",
    "providers": "List and test providers; open and close their circuit breakers.",
    "keys": "Create and revoke API keys.",
    "users": "Create, change and disable the people who sign in.",
    "auth": "Sign in and out.",
    "server": "Who asks, and what the server offers.",
    "health": "Health and metrics of the server.",
}

_KEY = "An API key, as `make run`, `python -m launcher.key` or `POST /api/keys` gives it."
_KEY_OR_TOKEN = f"{_KEY[:-1]}, or the token of `POST /v1/auth/login`."
#: what a person or a client that knows the address alone needs
_INDEX = {
    "name": "Tocsin",
    "version": VERSION,
    "documentation": _PAGE,
    "openapi": "/api/openapi.json",
    "health": "/health",
    "metrics": "/metrics",
    "api": "/api",
}

#: Swagger UI carries its styles and a script in the page itself
_INLINE = "'self' 'unsafe-inline'"
_POLICY = f"default-src 'self'; script-src {_INLINE}; style-src {_INLINE}; img-src 'self' data:"


class Documented(Api):  # type: ignore[misc]
    """flask-smorest's Api with our error body.

    It has none of its default answers.
    """

    DEFAULT_ERROR_RESPONSE_NAME = None
    ERROR_SCHEMA = Error

    def handle_http_exception(self, error: Any) -> Any:
        """The answer for an error of the framework."""
        return from_http(error)


class Document:
    """The OpenAPI document of this process, as it is sent.

    Its library keeps several copies of what every operation says, some 10 MiB. So it is made by a child of the process,
    which ends with that, and read with the first request for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = b""
        #: the process that makes it, and the file with what it has made
        self._maker: tuple[int, int] | None = None

    def begin(self, render: Callable[[], bytes]) -> None:
        """Have it made by a child, in a file without a name; the process has one thread yet."""
        file = os.memfd_create("openapi")
        pid = os.fork()
        if pid:
            self._maker = pid, file
            return
        try:
            os.nice(5)
            with open(file, "wb") as output:  # noqa: PTH123 - it has no path
                output.write(render())
        finally:
            os._exit(0)

    def get(self, render: Callable[[], bytes]) -> bytes:
        """The document; made now where no child has made it."""
        with self._lock:
            if self._maker is not None:
                (pid, file), self._maker = self._maker, None
                with contextlib.suppress(ChildProcessError):  # it has ended, and its end was forgotten meanwhile
                    os.waitpid(pid, 0)
                os.lseek(file, 0, os.SEEK_SET)
                with open(file, "rb") as made:  # noqa: PTH123
                    self._bytes = made.read()
            if not self._bytes:
                self._bytes = render()
            return self._bytes


HERE = Document()


def render(
    app: Flask,
    families: Iterable[tuple[Blueprint, str | None]],
    beyond: Mapping[str, Mapping[str, Any]],
    finished: Mapping[str, dict[str, Any]],
) -> bytes:
    """The document of these families, each with the prefix of its paths.

    ``app`` knows the converters of the paths, and serves nothing. ``beyond`` has, by the name of a schema, what the
    library cannot derive of its shape, and ``finished`` the schemas that are made elsewhere.
    """
    app.config.update(API_TITLE="Tocsin", API_VERSION=VERSION, OPENAPI_VERSION="3.1.0")
    info = {"description": _WORDS, "contact": {"name": "The operator of this Tocsin server"}}
    api = Documented(app, spec_kwargs={"info": info, "servers": [{"url": "/"}]})
    for converter in (IdConverter, DispatchIdConverter, StepIdConverter, VersionConverter):
        api.register_converter(converter, converter.schema)
    schemes = api.spec.components
    schemes.security_scheme("bearer", {"type": "http", "scheme": "bearer", "description": _KEY_OR_TOKEN})
    schemes.security_scheme("apiKey", {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": _KEY})
    for family, prefix in families:
        api.register_blueprint(family, url_prefix=prefix)
    for name, schema in finished.items():
        schemes.schema(name, schema)
    for name, more in beyond.items():
        api.spec.components.schemas[name].update(more)
    tags = [{"name": name, "description": words} for name, words in TAGS.items()]
    return json.dumps(api.spec.to_dict() | {"tags": tags}).encode()


def install(app: Flask, make: Callable[[], bytes]) -> None:
    """Serve the page, and the document that ``make`` returns."""
    app.extensions["tocsin.openapi"] = make
    config = {"app_name": "Tocsin API", "validatorUrl": None, "oauth2RedirectUrl": ""}
    app.register_blueprint(get_swaggerui_blueprint(_PAGE, "/api/openapi.json", config=config))
    app.after_request(_guard)


@blueprint.get("/openapi.json")
@root.get("/openapi.json")
@public
def openapi() -> Response:
    """The OpenAPI document."""
    return Response(HERE.get(current_app.extensions["tocsin.openapi"]), content_type="application/json")


@blueprint.get("/")
@root.get("/")
@public
def index() -> Response:
    """The addresses of documentation, health and API."""
    return answer(_INDEX)


def _guard(response: Response) -> Response:
    if present().path.startswith(_PAGE) and "Content-Security-Policy" not in response.headers:
        response.headers["Content-Security-Policy"] = _POLICY
    return response
