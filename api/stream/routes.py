"""``/v1/stream``: what happens, as it happens."""

from typing import Any

from flask import Response

from api.gateway.dispatch.answers import is_tagged
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint
from api.stream import opening, types
from api.stream import schemas as shapes
from api.stream.message import Wanted
from tasks import tenants

blueprint = Blueprint("stream", __name__, tag="stream")


@blueprint.get("/stream", parameters=[opening.LAST_EVENT_ID])
@requires("read:stream")
@blueprint.arguments(shapes.StreamQuery(), location="query")
@blueprint.answers(
    200,
    shapes.StreamEvent(),
    content_type=opening.CONTENT_TYPE,
    example=shapes.EVENTS,
    words="Server-sent events, without an end. The data of each is a JSON object.",
    fails=("stream_off",),
)
def follow_events(query: dict[str, Any]) -> Response:
    """Follow what happens.

    One event for each dispatch, triggered action and step that has gone out or was kept from it (action_dispatched),
    each summary of a group (group_flushed), each time-out of a state (timeout), each end of a step of a chain
    (chain_advanced) and each approval that is asked for (approval_required), of the tenants that the key covers, in one
    order for all. The type is in the field event and in the member type. Bodies of providers are null, their headers
    empty, links [redacted].

    A client that reconnects with Last-Event-ID is first sent what it has missed, whichever process answers: up to
    10,000 events of the last 24 hours. Where events are left out, because of these bounds or because the client reads
    too slowly, the event lagged says how many. A comment and the id of the present place come every 15 seconds.
    """
    if "tenant" in query:
        tenants.require_named(caller(), query["tenant"])
    outcomes = query.get("outcome")
    filters = {name: query.get(name) for name in ("tenant", "namespace", "action_type", "chain_id", "action_id")}
    wanted = Wanted(
        types=frozenset(query.get("event_type", types.USUAL)),
        grants=tenants.of(caller()),
        outcomes=None if outcomes is None else frozenset(outcomes),
        **filters,
    )
    return opening.of_stream(wanted, tagged=is_tagged())
