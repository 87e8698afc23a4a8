"""``/v1/events``: what lasts, by its state; and moves that people make."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response

from api.http import pages
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from api.lifecycle import schemas as shapes
from api.lifecycle import views
from config.errors import InvalidRequest, NotFound, Problem
from store.callers.reach import Covering
from store.engine.db import Connection, Row
from store.paging import Found, Part
from store.records import events as found_events
from tasks import tenants
from tasks.control import moves

blueprint = Blueprint("lifecycle", __name__, tag="events")

#: characters of a fingerprint that a message shows
_SHOWN = 128
_FINGERPRINT = {
    "in": "path",
    "name": "fingerprint",
    "description": "The event's fingerprint; slashes in it may stand as they are.",
    "example": "alert-cluster1-cpu",
    "schema": {"type": "string"},
}
_TRANSITION = shapes.EventTransition()


@blueprint.get("/events")
@requires("read:audit")
@blueprint.arguments(shapes.EventQuery(), location="query")
@blueprint.answers(200, shapes.EventStates(), example=shapes.PAGE, words="Some of the events, the newest first.")
def list_events(query: dict[str, Any]) -> Response:
    """List events.

    Those of the tenants that the key covers, the newest first, in whatever state. Read on with next_cursor.
    """
    _require_named(query)
    filters = dict(query)
    if "labels" in query:
        filters["labels"] = [(name, value) for name, _, value in (label.partition("=") for label in query["labels"])]
    name = pages.named("events", query)
    found = pages.read(_found, tenants.of(caller()), filters, pages.part_after(query, name))
    shown: dict[str, Any] = {"events": [views.event(row) for row in found.rows], "count": len(found.rows)}
    shown["next_cursor"] = pages.next_cursor(found, name)
    return answer(shown)


@blueprint.get("/events/<slashed:fingerprint>", parameters=[_FINGERPRINT])
@requires("read:audit")
@blueprint.arguments(shapes.HistoryQuery(), location="query")
@blueprint.answers(200, shapes.EventHistory(), example=shapes.ONE, words="The event.", fails=(404,))
def get_event(query: dict[str, Any], fingerprint: str) -> Response:
    """Get an event.

    With its history: each state into which it came, when, and by what. Where several events have the fingerprint, name
    namespace and tenant.
    """
    _require_named(query)
    row, history = pages.read(_one, tenants.of(caller()), fingerprint, query)
    shown = {**views.event(row), "history": [views.entry(number, one) for number, one in history]}
    first = history[-1][0] if history else 1
    return answer({**shown, "history_before": first if first > 1 else None})


@blueprint.put("/events/<slashed:fingerprint>/transition", parameters=[_FINGERPRINT])
@requires("manage:events")
@blueprint.arguments(_TRANSITION, example=shapes.TRANSITION)
@blueprint.answers(
    200,
    shapes.EventTransitioned(),
    example=shapes.TRANSITIONED,
    words="It is in that state.",
    fails=(404, 409, "transition_not_allowed", "changed", "no_state_machine"),
    takes_body=True,
)
def transition_event(given: dict[str, Any], fingerprint: str) -> Response:
    """Update the state of an event.

    Only where its state machine leads there: else 409, with the states to which it can go as allowed. Where several
    events have the fingerprint, name namespace and tenant.
    """
    _require_named(given)
    row, _ = pages.read(_one, tenants.of(caller()), fingerprint, given)
    moved = moves.transition(row.id, given.get("to_state") or given["to"], caller().key_id)
    if moved is None:
        raise _unknown(fingerprint)
    return answer(moved.members())


def _require_named(given: Mapping[str, Any]) -> None:
    if "tenant" in given:
        tenants.require_named(caller(), given["tenant"])


def _found(connection: Connection, covered: Sequence[Covering], filters: Mapping[str, Any], part: Part) -> Found:
    return found_events.search(connection, covered, filters, part)


def _one(
    connection: Connection, covered: Sequence[Covering], fingerprint: str, query: Mapping[str, Any]
) -> tuple[Row, list[tuple[int, Row]]]:
    rows = found_events.named(connection, covered, fingerprint, query.get("namespace"), query.get("tenant"))
    if not rows:
        raise _unknown(fingerprint)
    if len(rows) > 1:
        problem = Problem("/query/namespace", "several events have this fingerprint: name namespace and tenant")
        raise InvalidRequest("Which event is meant is not clear.", problems=[problem])
    history = found_events.history(connection, rows[0], before=query.get("before"), limit=shapes.HISTORY)
    return rows[0], history


def _unknown(fingerprint: str) -> NotFound:
    return NotFound(f"There is no event {fingerprint[:_SHOWN]!r}.")
