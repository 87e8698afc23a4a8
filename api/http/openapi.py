"""The documentation: the OpenAPI document, and Swagger UI.

Swagger UI is served from files of our own machine.
"""

import json
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from flask_smorest import Api
from flask_swagger_ui import get_swaggerui_blueprint

from api.http.auth import public
from api.http.blueprint import IdConverter, StepIdConverter
from api.http.current_request import present
from api.http.errors import from_http
from api.http.schemas import Error

blueprint = Blueprint("docs", __name__)

_PAGE = "/docs"
_WORDS = """Automated security response: actions are catalogued, triggered and carried out by workers.

A trigger answers 202 as soon as the execution is recorded; what was accepted is never lost. Every error has the same
body (RFC 9457). Every path under `/api` is also there under `/api/v1`."""

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


def create(app: Flask) -> Documented:
    """The registry of documented operations of ``app``."""
    app.config.update(API_TITLE="Tocsin", API_VERSION="0.1.0", OPENAPI_VERSION="3.1.0")
    info = {"description": _WORDS, "contact": {"name": "The operator of this Tocsin server"}}
    api = Documented(app, spec_kwargs={"info": info, "servers": [{"url": "/"}]})
    for converter in (IdConverter, StepIdConverter):
        api.register_converter(converter, converter.schema)
    schemes = api.spec.components
    schemes.security_scheme("bearer", {"type": "http", "scheme": "bearer", "description": "An API key."})
    schemes.security_scheme("apiKey", {"type": "apiKey", "in": "header", "name": "X-API-Key"})
    return api


def install(app: Flask, api: Documented, beyond: Mapping[str, Mapping[str, Any]]) -> None:
    """Serve the document and the page.

    Call it when every operation is registered. ``beyond`` has, by the name of a schema, what the library cannot derive
    of its shape.
    """
    for name, more in beyond.items():
        api.spec.components.schemas[name].update(more)
    app.extensions["tocsin.openapi"] = json.dumps(api.spec.to_dict())
    config = {"app_name": "Tocsin API", "validatorUrl": None, "oauth2RedirectUrl": ""}
    app.register_blueprint(get_swaggerui_blueprint(_PAGE, "/api/openapi.json", config=config))
    app.after_request(_guard)


@blueprint.get("/openapi.json")
@public
def openapi() -> Response:
    """The OpenAPI document."""
    return Response(current_app.extensions["tocsin.openapi"], content_type="application/json")


def _guard(response: Response) -> Response:
    if present().path.startswith(_PAGE):
        response.headers["Content-Security-Policy"] = _POLICY
    return response
