"""The HTTP API: authorises, validates, calls ``tasks`` or reads ``store``, answers.

In order of time a request gets its id, its caller is found and its place in the rate limit counted, its handler runs,
and the answer is the handler's own or the one error body. Last, a key is charged for a request that took long to
compute.
"""

import functools
import random
import re

from flask import Flask, Response, current_app, g

from api import definition_schemas, health, prometheus, server
from api.access import me, sign_in, users
from api.access import routes as keys
from api.actions import executions, trigger
from api.actions import routes as actions
from api.actions.schemas import BEYOND
from api.application import App
from api.approvals import links as approval_links
from api.approvals import routes as approvals
from api.bundles import routes as bundles
from api.calendars import routes as calendars
from api.events import routes as events
from api.gateway import audit, breakers, embeddings, providers, rules, stops, trail, why
from api.gateway.dispatch import replays
from api.gateway.dispatch import routes as dispatch
from api.gateway.dispatch.waiting import Ends
from api.groups import routes as groups
from api.http import auth, errors, openapi
from api.http.blueprint import (
    DispatchIdConverter,
    IdConverter,
    PartsConverter,
    SilenceIdConverter,
    SlashedConverter,
    StepIdConverter,
    TextConverter,
    VersionConverter,
    append,
)
from api.http.body import MAX_BYTES
from api.http.current_request import present
from api.http.load import HERE, LISTS
from api.http.long_poll import Watcher
from api.http.rate_limits import Limiter, standing
from api.lifecycle import routes as lifecycle
from api.pages import error_codes
from api.playbooks import import_export
from api.playbooks import routes as playbooks
from api.playbooks import simulation as playbook_simulation
from api.playbooks.schemas import SCHEMAS
from api.recurring import routes as recurring
from api.runs import diff, steps
from api.runs import events as run_events
from api.runs import routes as runs
from api.silences import routes as silences
from api.simulation import routes as simulation
from api.stream import routes as stream
from api.stream.follow import Reader
from api.stream.places import Places
from config import logs
from playbooks.schemas import steps as step_schemas
from store import redis
from store.engine import refusals
from tasks.generations import begin as generations
from tasks.messages import publisher
from tasks.offload import pool

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

#: a request that used the processor for longer than this, seconds, counts as one more for each of these
_FREE, _REQUEST = 0.1, 0.01
#: what is served under both prefixes
_FAMILIES = (
    definition_schemas.blueprint,
    actions.blueprint,
    trigger.blueprint,
    executions.blueprint,
    bundles.blueprint,
    import_export.blueprint,
    playbook_simulation.blueprint,
    playbooks.blueprint,
    runs.blueprint,
    steps.blueprint,
    run_events.blueprint,
    events.blueprint,
    diff.blueprint,
    keys.blueprint,
    users.blueprint,
    me.blueprint,
    server.blueprint,
    approvals.decisions,
)
#: the gateway's, with their whole paths; existing clients find all of the gateway's below ``/compat``
_GATEWAY = (rules.blueprint, simulation.blueprint, stops.blueprint, breakers.blueprint, providers.blueprint)
#: the gateway's, under ``/v1``
_BELOW_V1 = (
    sign_in.blueprint,
    audit.blueprint,
    why.blueprint,
    replays.blueprint,
    trail.blueprint,
    dispatch.blueprint,
    approvals.blueprint,
    silences.blueprint,
    approval_links.blueprint,
    lifecycle.blueprint,
    recurring.blueprint,
    calendars.blueprint,
    groups.blueprint,
    embeddings.blueprint,
    stream.blueprint,
)
#: what is behind a key or a token
_GUARDED = ("/api/", "/v1/", "/compat/", "/admin/")
#: the canonical prefix, which is documented, comes first
_PREFIXES = {"/api": "", "/api/v1": "v1-"}


def create_app() -> Flask:
    """The WSGI application.

    Raises:
        SettingsError: the environment does not describe a system that could run.
    """
    redis.refuse_unsound()
    app = _bare()
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES
    app.extensions["tocsin.limiter"] = Limiter()
    app.extensions["tocsin.watcher"] = Watcher()
    app.extensions["tocsin.ends"] = Ends()
    app.extensions["tocsin.streams"] = Reader()
    app.extensions["tocsin.places"] = Places()
    app.extensions["tocsin.knows"] = auth.knows
    app.extensions["tocsin.gives_way"] = LISTS.give_way
    app.extensions["tocsin.started"] = _started
    app.extensions["tocsin.gauge"] = health.Gauge()
    app.extensions["tocsin.numbers"] = prometheus.Numbers()
    app.extensions["tocsin.drain"] = functools.partial(_drain, app)
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_forget)
    _mount(app)
    errors.install(app)
    return app


def _bare() -> App:
    """An application that knows how paths are written, and has none."""
    app = App("api", static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.converters["id"] = IdConverter
    app.url_map.converters["step"] = StepIdConverter
    app.url_map.converters["version"] = VersionConverter
    app.url_map.converters["dispatch"] = DispatchIdConverter
    app.url_map.converters["silence"] = SilenceIdConverter
    app.url_map.converters["path"] = TextConverter
    app.url_map.converters["slashed"] = SlashedConverter
    app.url_map.converters["parts"] = PartsConverter
    return app


def _document() -> bytes:
    """The OpenAPI document: every family once, under its canonical prefix."""
    canonical = next(prefix for prefix, name in _PREFIXES.items() if not name)
    families = [
        (health.blueprint, None),
        *((family, canonical) for family in _FAMILIES),
        *((family, None) for family in _GATEWAY),
        *((family, "/v1") for family in _BELOW_V1),
    ]
    shapes = {**step_schemas.stored(SCHEMAS), **step_schemas.authored(SCHEMAS)}
    return openapi.render(_bare(), families, BEYOND, shapes)


def _started() -> None:
    """Begin the work next to the requests; called in each process of the server."""
    openapi.HERE.begin(_document)
    refusals.watch()
    generations.in_web()


def _drain(app: Flask, seconds: float) -> bool:
    """Wait for background work to end, after the last request.

    Returns whether all of it has ended. ``seconds`` is the time for each part.
    """
    generations.end()
    parts = (
        app.extensions["tocsin.streams"].drain,
        app.extensions["tocsin.places"].drain,
        app.extensions["tocsin.watcher"].drain,
        app.extensions["tocsin.ends"].drain,
        auth.drain,
        publisher.drain,
        app.extensions["tocsin.limiter"].drain,
        app.extensions["tocsin.gauge"].writes.drain,
    )
    busy = [drain for drain in parts if not drain(seconds)]
    return not busy


def _mount(app: Flask) -> None:
    app.register_blueprint(health.blueprint)
    for prefix, name in _PREFIXES.items():
        for family in _FAMILIES:
            app.register_blueprint(family, url_prefix=prefix, name=name + family.name)
        app.register_blueprint(openapi.blueprint, url_prefix=prefix, name=name + openapi.blueprint.name)
    for family in _GATEWAY:
        app.register_blueprint(family)
        app.register_blueprint(family, url_prefix="/compat", name=f"compat-{family.name}")
    for family in _BELOW_V1:
        app.register_blueprint(family, url_prefix="/v1")
        app.register_blueprint(family, url_prefix="/compat/v1", name=f"compat-{family.name}")
    for prefix in ("/v1", "/compat/v1"):
        app.add_url_rule(
            f"{prefix}/approvals/<parts:rest>", f"nowhere {prefix}", approval_links.nowhere, methods=["GET", "POST"]
        )
    app.register_blueprint(openapi.root)
    app.register_blueprint(error_codes.blueprint)
    openapi.install(app, _document)


def _begin() -> None:
    HERE.begin()
    asked = present()
    given = asked.environ.get("HTTP_X_REQUEST_ID", "")
    g.request_id = request_id = given if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"
    logs.bind(request_id=request_id)
    if asked.path.startswith(_GUARDED):
        auth.identify(asked)


def _finish(response: Response) -> Response:
    seconds = pool.spent()
    if seconds > _FREE and "caller" in g:
        current_app.extensions["tocsin.limiter"].charge(f"key/{auth.caller().key_id}", round(seconds / _REQUEST))
    append(response, [("X-Request-Id", g.request_id), ("X-Content-Type-Options", "nosniff"), *standing()])
    return response


def _forget(_error: BaseException | None) -> None:
    HERE.end()
    logs.clear()
