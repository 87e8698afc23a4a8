"""``/v1/silences``: what is kept from going out, for a time or in windows that come back."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flask import Response

from api.http import pages
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from api.http.documented import error_answers
from api.http.idempotency_key import CREATION_KEY, Remember, once
from api.silences import schemas as shapes
from api.silences import views
from config.errors import InvalidRequest, NotFound, Problem
from store.callers.reach import Covering
from store.engine import db
from store.engine.db import Connection, Row
from store.paging import Found, Part
from store.records import silences as found_silences
from tasks import tenants
from tasks.control import silences
from tasks.generations import changes
from tasks.generations.changes import Author
from tasks.intake.creations import Secret

blueprint = Blueprint("silences", __name__, tag="silences")

_NEW, _MATCHING = shapes.NewSilence(), shapes.Matching()


@blueprint.get("/silences")
@requires("read:audit")
@blueprint.arguments(shapes.SilenceQuery(), location="query")
@blueprint.answers(200, shapes.Silences(), example=shapes.PAGE, words="Some of the silences, the newest first.")
def list_silences(query: dict[str, Any]) -> Response:
    """List silences.

    Those of the tenants that the key covers that have not ended, the newest first; with status=ended the others. Read
    on with next_cursor.
    """
    if "tenant" in query:
        tenants.require_named(caller(), query["tenant"])
    name = pages.named("silences", query)
    found = pages.read(_found, tenants.of(caller()), query, pages.part_after(query, name))
    now = db.now_ms()
    shown: dict[str, Any] = {"silences": [views.silence(row, now) for row in found.rows], "count": len(found.rows)}
    shown["next_cursor"] = pages.next_cursor(found, name)
    return answer(shown)


@blueprint.post("/silences", parameters=[CREATION_KEY])
@requires("manage:silences")
@blueprint.arguments(_NEW, example=shapes.NEW)
@blueprint.answers(
    201,
    shapes.Silence(),
    example=shapes.CHANGED,
    words="Every process obeys.",
    fails=(409, 422, "too_many_silences", *error_answers.CREATED),
    takes_body=True,
)
def create_silence(given: dict[str, Any]) -> Response:
    """Create a silence.

    What all its matchers match, and no rule stops, is kept from going out while it is active: dropped, summed up at the
    end, or held and let go. The answer comes when every process obeys, at most a second later. It needs a grant over
    the tenant as a whole; a key without grants silences its own workspace alone.
    """
    return once("silence", given, functools.partial(_created, given), _again)


def _created(given: Mapping[str, Any], remember: Remember) -> Response:
    tenant, exact = scope(given.get("tenant"))
    form = {name: value for name, value in given.items() if name != "tenant"}
    return _changed(*silences.create(form, _author(), tenant=tenant, exact=exact, alongside=remember), 201)


def _again(silence_id: str, _secret: Secret) -> Response:
    return _changed(_mine(silence_id), changes.applied_by_now(), 201)


@blueprint.post("/silences/preview")
@requires("read:audit")
@blueprint.arguments(_MATCHING, example=shapes.MATCHING)
@blueprint.answers(200, shapes.Previewed(), example=shapes.PREVIEWED, words="How many it would keep.", takes_body=True)
def preview_silence(given: dict[str, Any]) -> Response:
    """Preview a silence.

    How many of the executions that went out in the last day it would have kept back, read from the newest 2,000 records
    of the tenant; a window counts as open when it would have been. Nothing is changed.
    """
    tenant, exact = scope(given.pop("tenant", None))
    return answer(asdict(silences.preview(given, tenant=tenant, exact=exact)))


@blueprint.get("/silences/<silence:silence_id>")
@requires("read:audit")
@blueprint.answers(200, shapes.Silence(), example=shapes.ONE, words="The silence.", fails=(404,))
def get_silence(silence_id: str) -> Response:
    """Get a silence.

    Ended ones are kept.
    """
    return answer(views.silence(pages.read(_one, tenants.of(caller()), silence_id), db.now_ms()))


@blueprint.put("/silences/<silence:silence_id>")
@requires("manage:silences")
@blueprint.arguments(_NEW, example=shapes.NEW)
@blueprint.answers(
    200,
    shapes.Silence(),
    example=shapes.CHANGED,
    words="Every process obeys.",
    fails=(404, 409, "silence_ended", "too_many_silences"),
    takes_body=True,
)
def change_silence(given: dict[str, Any], silence_id: str) -> Response:
    """Update a silence.

    All of it is replaced but its tenant and, unless given, its begin; one that has ended stays as it is. What it
    holds goes out at its new end.
    """
    row = _mine(silence_id)
    if given.pop("tenant", row.workspace_id) != row.workspace_id:
        problem = Problem("/tenant", f"is {row.workspace_id!r}, and stays it: end this silence and make another")
        raise InvalidRequest("The silence cannot be used.", problems=[problem])
    row, applied = silences.change(silence_id, given, _author())
    return _changed(row, applied)


@blueprint.delete("/silences/<silence:silence_id>")
@requires("manage:silences")
@blueprint.answers(200, shapes.Silence(), example=shapes.CHANGED, words="It has ended in every process.", fails=(404,))
def end_silence(silence_id: str) -> Response:
    """End a silence.

    It is kept, and can be read. What it holds goes out, in its order.
    """
    _mine(silence_id)
    return _changed(*silences.end(silence_id, _author()))


def scope(named: str | None) -> tuple[str, bool]:
    """The tenant that a caller silences, and whether it alone, without its children.

    Raises:
        Forbidden: no grant covers it whole. InvalidRequest: there can be no such tenant.
    """
    tenant = caller().workspace_id if named is None else named
    if caller().grants is None and tenant == caller().workspace_id:
        return tenant, True
    tenants.require_whole(caller(), (tenant,))
    tenants.require_pattern(tenant)
    return tenant, False


def _mine(silence_id: str) -> Row:
    """A silence that the caller may change.

    Raises:
        NotFound: there is none that the grants cover. Forbidden: they do not cover its tenant whole.
    """
    row = pages.read(_one, tenants.of(caller()), silence_id)
    if not (row.exact and caller().grants is None):
        tenants.require_whole(caller(), (row.workspace_id,))
    return row


def _changed(row: Row, applied: str, status: int = 200) -> Response:
    return answer({**views.silence(row, db.now_ms()), "applied": applied}, status)


def _author() -> Author:
    return Author(caller().key_id, caller().workspace_id)


def _found(connection: Connection, covered: Sequence[Covering], filters: Mapping[str, Any], part: Part) -> Found:
    return found_silences.search(connection, covered, filters, part)


def _one(connection: Connection, covered: Sequence[Covering], silence_id: str) -> Row:
    row = found_silences.get(connection, covered, silence_id)
    if row is None:
        raise NotFound(f"There is no silence {silence_id!r}.")
    return row
