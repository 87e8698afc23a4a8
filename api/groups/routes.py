"""``/v1/groups``: what is gathered, with its members, and flushing it."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response

from api.gateway.dispatch import answers
from api.groups import schemas as shapes
from api.groups import views
from api.http import pages
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from config.errors import NotFound
from store.callers.reach import Covering
from store.engine import db
from store.engine.db import Connection, Row
from store.paging import Found, Part
from store.records import groups as found_groups
from store.sealing import cursors
from tasks import tenants
from tasks.control import groups
from tasks.intake import summaries

blueprint = Blueprint("groups", __name__, tag="groups")

#: characters of payloads in one answer
MOST_CHARACTERS = 4_000_000


@blueprint.get("/groups")
@requires("read:audit")
@blueprint.arguments(shapes.GroupQuery(), location="query")
@blueprint.answers(200, shapes.Groups(), example=shapes.PAGE, words="Some of the groups, the newest first.")
def list_groups(query: dict[str, Any]) -> Response:
    """List groups.

    What is gathered and not notified yet, of the tenants that the key covers, the newest first. Read on with
    next_cursor.
    """
    if "tenant" in query:
        tenants.require_named(caller(), query["tenant"])
    name = pages.named("groups", query)
    found = pages.read(_found, tenants.of(caller()), query, pages.part_after(query, name, counted=True))
    total = 0 if found.total is None else found.total.number
    shown: dict[str, Any] = {"groups": [views.group(row) for row in found.rows], "total": total}
    shown["next_cursor"] = pages.next_cursor(found, name)
    return answer(shown)


@blueprint.get("/groups/<id:group_key>")
@requires("read:audit")
@blueprint.arguments(shapes.MemberQuery(), location="query")
@blueprint.answers(200, shapes.GroupWithMembers(), example=shapes.ONE, words="The group.", fails=(404,))
def get_group(query: dict[str, Any], group_key: str) -> Response:
    """Get a group with its members.

    By its key: what is gathered now, else what was notified last. By its id: that window, as the link in a summary has
    it.
    """
    name = pages.named(f"group {group_key}", query)
    part = pages.part_after(query, name)
    after = int(part.after[0]) if part.after is not None else 0
    row, members = pages.read(_one, tenants.of(caller()), group_key, after, part.limit)
    goes_on = members and members[-1].seq < row.size
    shown: dict[str, Any] = {"group": views.group(row), "labels": views.group(row)["labels"]}
    if answers.is_tagged():
        shown["events"] = [member.fingerprint or member.given_id or member.subject for member in members]
    else:
        shown["events"] = [summaries.event_of(member) for member in members]
    shown["next_cursor"] = cursors.cursor((members[-1].seq,), name) if goes_on else None
    return answer(shown)


@blueprint.delete("/groups/<id:group_key>")
@requires("manage:groups")
@blueprint.answers(
    200, shapes.Flushed(), example=shapes.FLUSHED, words="It is flushed.", fails=(404, 409, "not_flushed")
)
def flush_group(group_key: str) -> Response:
    """Flush a group now.

    Its summary is accepted before the answer; nothing waits for the end of its time. One that was notified, and whose
    summary is repeated, ends: it is repeated no more.
    """
    with db.read() as connection:
        row = _going_on(connection, tenants.of(caller()), group_key)
    if row.notified_at is not None:
        groups.end(caller(), row)
        return answer(views.ended(row))
    return answer(views.flushed(groups.flush(caller(), row)))


def _found(connection: Connection, covered: Sequence[Covering], filters: Mapping[str, Any], part: Part) -> Found:
    return found_groups.search(connection, covered, filters, part)


def _one(
    connection: Connection, covered: Sequence[Covering], group_key: str, after: int, limit: int
) -> tuple[Row, list[Row]]:
    row = found_groups.get(connection, covered, group_key)
    if row is None:
        raise _missing(group_key)
    return row, found_groups.members(connection, row, covered, after=after, limit=limit, most=MOST_CHARACTERS)


def _going_on(connection: Connection, covered: Sequence[Covering], group_key: str) -> Row:
    row = found_groups.get(connection, covered, group_key)
    if row is None or (row.notified_at is not None and row.due_at is None):
        raise _missing(group_key)
    return row


def _missing(group_key: str) -> NotFound:
    return NotFound(f"There is no group {group_key!r}.")
