"""``/v1/audit``: the records of what was to go out, and what became of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response

from api.gateway import record_schemas as shapes
from api.gateway import record_views as views
from api.http import pages
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from config.errors import NotFound
from store.callers.reach import Covering
from store.engine.db import Connection, Row
from store.paging import Found, Part
from store.records import listing as records
from tasks import tenants

blueprint = Blueprint("audit", __name__, tag="audit")

#: records of one action id that are shown
_MOST_OF_ONE = 1_000
_ID = {
    "in": "path",
    "name": "record_id",
    "description": "The id that a dispatch gave itself, else that of its execution or its record.",
    "example": "exec-9912",
}


@blueprint.get("/audit")
@requires("read:audit")
@blueprint.arguments(shapes.AuditQuery(), location="query")
@blueprint.answers(200, shapes.Records(), example=shapes.PAGE, words="Some of the records, newest first.")
def list_records(query: dict[str, Any]) -> Response:
    """List audit records.

    One record for each dispatch, triggered action and step of a playbook that went out or was kept from it, newest
    first, of the tenants that the key covers. A record is listed if it matches all filters. Read on with next_cursor:
    offset costs what it skips, and has a bound.
    """
    if "tenant" in query:
        tenants.require_named(caller(), query["tenant"])
    name = pages.named("audit", query)
    part = pages.part_after(query, name, counted="cursor" not in query)
    found = pages.read(_found, tenants.of(caller()), {**query, **pages.period(query)}, part)
    shown: dict[str, Any] = {"records": [views.record(row, whole=False) for row in found.rows]}
    shown |= {"total": found.total.number if found.total else None, "limit": part.limit, "offset": part.offset}
    shown["next_cursor"] = pages.next_cursor(found, name)
    shown["total_is_estimate"] = found.total.is_estimate if found.total else None
    return answer(shown)


@blueprint.get("/audit/<slashed:record_id>", parameters=[_ID])
@requires("read:audit")
@blueprint.arguments(shapes.OneQuery(), location="query")
@blueprint.answers(200, shapes.ONE_OR_ALL, example=shapes.RECORD, words="The record.", fails=(404,))
def get_record(query: dict[str, Any], record_id: str) -> Response:
    """Get an audit record.

    The newest of this action id; with all=true every one, newest first, as the member records.
    """
    wanted = _MOST_OF_ONE if query["all"] else 1
    rows = pages.read(_of, tenants.of(caller()), record_id, wanted)
    if not rows:
        raise NotFound(f"There is no record of {record_id!r}.")
    shown = [views.record(row, whole=True) for row in rows]
    return answer({"records": shown} if query["all"] else shown[0])


def _found(connection: Connection, covered: Sequence[Covering], filters: Mapping[str, Any], part: Part) -> Found:
    return records.search(connection, records.scope(connection, covered, filters.get("tenant")), filters, part)


def _of(connection: Connection, covered: Sequence[Covering], record_id: str, limit: int) -> list[Row]:
    return records.of(connection, records.scope(connection, covered), record_id, limit=limit)
