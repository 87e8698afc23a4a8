"""``/api/server``: what this server offers.

A client that knows an address and a key alone begins here.
"""

from datetime import UTC, datetime
from typing import Any

from flask import Response
from marshmallow import fields

from api.gateway.dispatch.routes import MAX_BATCH_BYTES
from api.http import pages
from api.http import schemas as http_schemas
from api.http.auth import requires
from api.http.base_schema import Answer
from api.http.blueprint import Blueprint, answer
from api.http.body import MAX_BYTES
from api.http.openapi import VERSION
from api.http.schemas import MOST_SECONDS, described, moment
from api.http.times import stamp
from config.settings import settings
from gateway.requests import MAX_ITEMS

blueprint = Blueprint("server", __name__, tag="server")

EXAMPLE: dict[str, Any] = {
    "name": "Tocsin",
    "version": VERSION,
    "time": "2026-04-28T12:00:00.000Z",
    "features": {"stream": True, "embeddings": False, "spans": False},
    "limits": {
        "body_bytes": 1_048_576,
        "batch_bytes": 8_388_608,
        "batch_items": 1_000,
        "page_items": 100,
        "wait_seconds": 30,
        "requests": "6000/minute",
        "streams": 10,
        "idempotency_hours": 24,
    },
}


class Features(Answer):
    """What is switched on at a server."""

    stream = fields.Boolean(metadata=described("Whether streams of events are open."))
    embeddings = fields.Boolean(metadata=described("Whether texts are compared by their meaning."))
    spans = fields.Boolean(metadata=described("Whether traces go on through it as spans."))


class Limits(Answer):
    """What a server takes."""

    body_bytes = fields.Integer(metadata=described("The largest body of a request."))
    batch_bytes = fields.Integer(metadata=described("The largest body of a batch of dispatches."))
    batch_items = fields.Integer(metadata=described("The most dispatches of one batch."))
    page_items = fields.Integer(metadata=described("The most items of a part of a list."))
    wait_seconds = fields.Integer(metadata=described("The longest ?wait= of an execution."))
    requests = fields.String(metadata=described("How many requests a key may make, such as 6000/minute."))
    streams = fields.Integer(metadata=described("How many streams a tenant may have open."))
    idempotency_hours = fields.Integer(metadata=described("How long an Idempotency-Key is remembered."))


class Server(Answer):
    """A server."""

    name = fields.String(metadata=described("Tocsin."))
    version = fields.String(metadata=described("Its version; clients of the same major version understand it."))
    time = moment("Its clock, ISO 8601, UTC.")
    features = fields.Nested(Features, metadata=described("What is switched on."))
    limits = fields.Nested(Limits, metadata=described("What it takes."))


@blueprint.get("/server")
@requires(None)
@blueprint.answers(200, http_schemas.enveloped(Server), example={"data": EXAMPLE}, words="The server.")
def get_server() -> Response:
    """Get the server.

    Its version, what is switched on, what it takes, and its time.
    """
    given = settings()
    members: dict[str, Any] = {
        "name": "Tocsin",
        "version": VERSION,
        "time": stamp(int(datetime.now(UTC).timestamp() * 1000)),
        "features": {
            "stream": given.stream == "on",
            "embeddings": given.embeddings.provider != "none",
            "spans": bool(given.spans_endpoint),
        },
        "limits": {
            "body_bytes": MAX_BYTES,
            "batch_bytes": MAX_BATCH_BYTES,
            "batch_items": MAX_ITEMS,
            "page_items": pages.MOST_ITEMS,
            "wait_seconds": MOST_SECONDS,
            "requests": given.rate_limit,
            "streams": given.streams,
            "idempotency_hours": given.idempotency_hours,
        },
    }
    return answer({"data": members})
