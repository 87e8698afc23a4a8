"""The WSGI application: Flask, with what is the same for every request worked out once.

In order of time: the request is wrapped; its path is looked up among those that were found before, which gives the
handler and the values in the path, and asked of the router where it is new; the hooks of ``api.create_app`` run around
the handler. Handlers, errors and the rest are Flask's. There are no sessions, no signals and no hooks of blueprints, so
none are looked for; ``tests/integration/test_application.py`` fails where one is added.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

from flask import Flask, Request, Response
from flask.globals import request_ctx
from flask.sessions import NullSession, SessionInterface
from werkzeug.datastructures import EnvironHeaders
from werkzeug.routing import MapAdapter, Rule

#: paths that are remembered, and characters of one
_MOST_PATHS, _LONGEST = 2_000, 200


class Route(NamedTuple):
    """What a method and a path lead to."""

    rule: Rule
    values: dict[str, Any]
    view: Callable[..., Any]
    #: whether anyone may ask
    public: bool


class Asked(Request):
    """A request, without what is worked out of it and no handler reads."""

    #: None where the path leads nowhere, or was not looked up among the known ones
    route: Route | None = None

    def __init__(self, environ: dict[str, Any], populate_request: bool = True, shallow: bool = False) -> None:
        path = environ.get("PATH_INFO") or "/"
        if not path.isascii() or environ.get("SCRIPT_NAME") or shallow or not populate_request:
            super().__init__(environ, populate_request, shallow)
            return
        self.method = environ["REQUEST_METHOD"].upper()
        self.scheme = environ["wsgi.url_scheme"]
        self.root_path = ""
        self.path = path if path[0] == "/" and path[1:2] != "/" else "/" + path.lstrip("/")
        self.query_string = environ.get("QUERY_STRING", "").encode("latin-1")
        self.headers = EnvironHeaders(environ)
        self.remote_addr = environ.get("REMOTE_ADDR")
        self.environ = environ
        self.shallow = False
        environ["werkzeug.request"] = self

    @property
    def server(self) -> tuple[str, int | None] | None:
        """The server's name and port."""
        given: tuple[str, int | None] | None = self.__dict__.get("server")
        if given is not None or "SERVER_NAME" not in self.environ:
            return given
        port = str(self.environ.get("SERVER_PORT"))
        return self.environ["SERVER_NAME"], int(port) if port.isdecimal() else None

    @server.setter
    def server(self, given: tuple[str, int | None] | None) -> None:
        self.__dict__["server"] = given


class Adapter:
    """The router for one request: asked where the path was not found before."""

    def __init__(self, app: "App", asked: Asked) -> None:
        self._app, self._asked = app, asked
        self._bound: MapAdapter | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._router(), name)

    def _router(self) -> MapAdapter:
        bound = self._bound
        if bound is None:
            bound = self._bound = self._app.router(self._asked)
        return bound

    def match(self, *given: Any, **more: Any) -> Any:
        """What the request, or the given path or method, leads to; raises what the router raises."""
        asked = self._asked
        if given or more != {"return_rule": True} or "HTTP_UPGRADE" in asked.environ:
            return self._router().match(*given, **more)
        place = asked.method, asked.path
        route = self._app.routes.get(place)
        if route is None:
            rule, values = self._router().match(return_rule=True)
            view = self._app.view_functions[rule.endpoint]
            route = Route(rule, dict(values), view, getattr(view, "public", False))
            self._app.remember(place, route)
        asked.route = route
        return route.rule, route.values


class _NoSessions(SessionInterface):
    """No request has a session: its caller shows a key or a token."""

    def __init__(self) -> None:
        self._none = NullSession()

    def open_session(self, _app: Flask, _request: Request) -> NullSession:
        """The one that refuses to be written to."""
        return self._none

    def save_session(self, *_given: Any) -> None:
        """There is nothing to save."""


class App(Flask):
    """Flask for handlers that are plain functions, one set of hooks, and paths that are asked for again and again."""

    request_class = Asked
    session_interface = _NoSessions()

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        #: method and path → what they lead to
        self.routes: dict[tuple[str, str], Route] = {}

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself.

        The library checks five times in each request whether it is a coroutine.
        """
        return func

    def remember(self, place: tuple[str, str], route: Route) -> None:
        """Note what a method and a path lead to."""
        if len(place[1]) > _LONGEST:
            return
        if len(self.routes) >= _MOST_PATHS:
            self.routes.clear()
        self.routes[place] = route

    def router(self, asked: Request) -> MapAdapter:
        """Flask's own router for a request."""
        return cast(MapAdapter, super().create_url_adapter(asked))

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """The router of a request, which is bound to it when it is needed."""
        if isinstance(request, Asked):
            return cast(MapAdapter, Adapter(self, request))
        return super().create_url_adapter(request)

    def full_dispatch_request(self) -> Response:
        """The answer to the present request, with the hooks around its handler."""
        asked = cast(Asked, request_ctx.request)
        try:
            for begin in self.before_request_funcs[None]:
                begin()
            route = asked.route
            if route is None or asked.method == "OPTIONS":
                found = self.dispatch_request()
            else:
                found = route.view(**route.values)
        except Exception as error:  # noqa: BLE001 - Flask decides what becomes of it
            found = self.handle_user_exception(error)
        return self.process_response(found if isinstance(found, Response) else self.make_response(found))

    def process_response(self, response: Response) -> Response:
        """The answer behind the hooks, the last of which runs first."""
        for finish in reversed(self.after_request_funcs[None]):
            response = finish(response)
        return response

    def do_teardown_request(self, exc: Any = None) -> None:
        """Run the hooks at the end."""
        for forget in self.teardown_request_funcs[None]:
            forget(exc)

    def do_teardown_appcontext(self, exc: Any = None) -> None:
        """Nothing is to be done."""
