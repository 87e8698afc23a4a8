"""``/v1/recurring``: what goes out again and again, by a schedule."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response
from webargs import missing

from api.http import pages
from api.http.auth import caller, requires
from api.http.blueprint import LOCATION, Blueprint, answer, nothing
from api.http.current_request import present
from api.http.documented import error_answers
from api.http.idempotency_key import CREATION_KEY, Remember, once
from api.recurring import examples, views
from api.recurring import schemas as shapes
from config.errors import InvalidRequest, Problem
from store.callers.reach import Covering
from store.engine import db
from store.engine.db import Connection, Row
from store.paging import Found, Part
from store.records import recurring as found_recurring
from store.records.recurring import PAUSED
from tasks import tenants
from tasks.control import backfill, recurring

blueprint = Blueprint("recurring", __name__, tag="recurring")

_BODY, _SCOPE, _QUERY = shapes.RecurringBody(), shapes.RecurringScope(), shapes.ScopeQuery()
_PARTS = ("namespace", "tenant")


@blueprint.get("/recurring")
@requires("read:audit")
@blueprint.arguments(shapes.ListQuery(), location="query")
@blueprint.answers(200, shapes.Recurrings(), example=examples.PAGE, words="Some of them, the newest first.")
def list_recurring(query: dict[str, Any]) -> Response:
    """List recurring actions.

    Those of a tenant in a namespace, the newest first. Read on with next_cursor.
    """
    tenants.require_named(caller(), query["tenant"])
    filters = {name: value for name, value in query.items() if name not in ("enabled", "labels")}
    if "enabled" in query:
        wanted = [one for one in found_recurring.STATUSES if (one != PAUSED) == query["enabled"]]
        filters["status"] = [one for one in wanted if one in query.get("status", wanted)]
    filters["labels"] = [(name, value) for name, _, value in (one.partition("=") for one in query.get("labels", ()))]
    name = pages.named("recurring", query)
    found = pages.read(_found, tenants.of(caller()), filters, pages.part_after(query, name))
    shown: dict[str, Any] = {"recurring_actions": [views.summary(row) for row in found.rows], "count": len(found.rows)}
    shown["next_cursor"] = pages.next_cursor(found, name)
    return answer(shown)


@blueprint.post("/recurring", parameters=[CREATION_KEY])
@requires("dispatch")
@blueprint.arguments(_QUERY, location="query")
@blueprint.arguments(_BODY, example=examples.NEW)
@blueprint.answers(
    201,
    shapes.RecurringCreated(),
    example=examples.CREATED,
    words="It fires from now on. Location is its address.",
    headers=LOCATION,
    fails=(409, 422, "too_many_recurring", "invalid_target", "invalid_parameters", *error_answers.CREATED),
    takes_body=True,
)
def create_recurring(query: dict[str, Any], given: dict[str, Any]) -> Response:
    """Create a recurring action.

    At each time of its schedule something goes out: a dispatch by a provider, an action or a playbook, as the rules
    decide. Each time counts once, whatever is killed.
    """
    whole = [query, dict(given)]
    scope = _scope(query, given)
    problems = [Problem(f"/{part}", "is required, here or in the query") for part in _PARTS if part not in scope]
    if problems:
        raise InvalidRequest("The recurring action has faults.", problems=problems)

    def made(remember: Remember) -> Response:
        return _new(recurring.create(given, caller(), **scope, alongside=remember))

    return once("recurring", whole, made, lambda recurring_id, _secret: _new(_mine(recurring_id, scope)))


def _new(row: Row) -> Response:
    return answer(views.created(row), 201, {"Location": f"{present().path.rstrip('/')}/{row.id}"})


@blueprint.get("/recurring/<id:recurring_id>")
@requires("read:audit")
@blueprint.arguments(_QUERY, location="query")
@blueprint.answers(200, shapes.Recurring(), example=examples.ONE, words="The recurring action.", fails=(404,))
def get_recurring(query: dict[str, Any], recurring_id: str) -> Response:
    """Get a recurring action.

    With its payload, its next times, and what became of its last firing.
    """
    return answer(_detail(_mine(recurring_id, query)))


@blueprint.put("/recurring/<id:recurring_id>")
@requires("dispatch")
@blueprint.arguments(_QUERY, location="query")
@blueprint.arguments(_BODY, example=examples.CHANGE, required=False)
@blueprint.answers(
    200,
    shapes.Recurring(),
    example=examples.ONE,
    words="It is changed.",
    fails=(404, 422, "invalid_target", "invalid_parameters"),
    takes_body=True,
)
def change_recurring(query: dict[str, Any], given: dict[str, Any], recurring_id: str) -> Response:
    """Update a recurring action.

    Only what is named changes. Its next time is computed again if its schedule changes; else a time that is due comes.
    """
    row = _mine(recurring_id, _scope(query, given))
    return answer(_detail(recurring.change(row.id, given, caller())))


@blueprint.delete("/recurring/<id:recurring_id>")
@requires("dispatch")
@blueprint.arguments(_QUERY, location="query")
@blueprint.answers(204, words="It is deleted; what it has made goes on.", fails=(404,))
def delete_recurring(query: dict[str, Any], recurring_id: str) -> Response:
    """Delete a recurring action.

    It fires no more, and its history is gone; what it has made goes on.
    """
    recurring.delete(_mine(recurring_id, query).id, caller())
    return nothing()


@blueprint.post("/recurring/<id:recurring_id>/pause")
@requires("dispatch")
@blueprint.arguments(_QUERY, location="query")
@blueprint.arguments(_SCOPE, required=False, example=examples.SCOPE)
@blueprint.answers(
    200,
    shapes.Recurring(),
    example=examples.PAUSED,
    words="It does not fire.",
    fails=(404, 409, "already_paused"),
    takes_body=True,
)
def pause_recurring(query: dict[str, Any], given: dict[str, Any], recurring_id: str) -> Response:
    """Pause a recurring action.

    It does not fire until it is resumed.
    """
    return answer(_detail(recurring.pause(_mine(recurring_id, _scope(query, given)).id, caller())))


@blueprint.post("/recurring/<id:recurring_id>/resume")
@requires("dispatch")
@blueprint.arguments(_QUERY, location="query")
@blueprint.arguments(_SCOPE, required=False, example=examples.SCOPE)
@blueprint.answers(
    200,
    shapes.Recurring(),
    example=examples.ONE,
    words="It fires again.",
    fails=(404, 409, "not_paused"),
    takes_body=True,
)
def resume_recurring(query: dict[str, Any], given: dict[str, Any], recurring_id: str) -> Response:
    """Resume a recurring action.

    It fires at its next time from now on; the times in between do not come.
    """
    return answer(_detail(recurring.resume(_mine(recurring_id, _scope(query, given)).id, caller())))


@blueprint.get("/recurring/<id:recurring_id>/history")
@requires("read:audit")
@blueprint.arguments(shapes.HistoryQuery(), location="query")
@blueprint.answers(200, shapes.RecurringHistory(), example=examples.HISTORY, words="Some of the firings.", fails=(404,))
def list_firings(query: dict[str, Any], recurring_id: str) -> Response:
    """List the firings of a recurring action.

    What became of each time, the newest first, as long as executions are kept. Read on with next_cursor.
    """
    row = _mine(recurring_id, query)
    name = pages.named(f"recurring/{row.id}", query)
    found = pages.read(found_recurring.history, row.id, pages.part_after(query, name))
    shown: dict[str, Any] = {"firings": [views.firing(one) for one in found.rows], "count": len(found.rows)}
    return answer({**shown, "next_cursor": pages.next_cursor(found, name)})


@blueprint.post("/recurring/<id:recurring_id>/backfill")
@requires("dispatch")
@blueprint.arguments(_QUERY, location="query")
@blueprint.arguments(shapes.RecurringBackfill(), example=examples.BACKFILL)
@blueprint.answers(
    200,
    shapes.RecurringBackfilled(),
    example=examples.BACKFILLED,
    words="What became of each time.",
    fails=(404, 409, 422, "changed", "invalid_parameters"),
    takes_body=True,
)
def backfill_recurring(query: dict[str, Any], given: dict[str, Any], recurring_id: str) -> Response:
    """Replay times of a recurring action.

    A backfill: what its schedule would have brought in a past period is accepted now, each time once. What was accepted
    before is left alone; its counts and its next time stay. The period begins as long ago as executions are kept.
    """
    row = _mine(recurring_id, _scope(query, given))
    done = backfill.backfill(row.id, given["start"], given["end"], given["limit"], caller())
    return answer(views.backfilled(done))


def _scope(query: Mapping[str, Any], given: Any) -> dict[str, str]:
    """The tenant and the namespace, which stand in the query or in the body; the body has them no more.

    Raises:
        InvalidRequest: they stand in both, and differ.
    """
    scope, body = dict(query), {} if given is missing else given
    for part in _PARTS:
        if part in body and scope.setdefault(part, body[part]) != body.pop(part):
            problem = Problem(f"/{part}", "says something else than the query: keep one of them")
            raise InvalidRequest("The scope is not clear.", problems=[problem])
        body.pop(part, None)
    return scope


def _mine(recurring_id: str, scope: Mapping[str, Any]) -> Row:
    """A recurring action that the caller's grants cover.

    Raises:
        NotFound: there is none. Forbidden: they do not cover the tenant that is named.
    """
    if "tenant" in scope:
        tenants.require_named(caller(), scope["tenant"])
    named = {part: scope[part] for part in _PARTS if part in scope}
    row = pages.read(_one, tenants.of(caller()), recurring_id, named)
    if row is None:
        raise recurring.gone(recurring_id)
    return row


def _detail(row: Row) -> dict[str, Any]:
    execution = db.read_one(found_recurring.execution, row.last_execution_id)
    end = None
    if execution is None and row.last_execution_id is not None:
        end = db.read_one(found_recurring.end, row.workspace_id, row.last_execution_id)
    return views.detail(row, execution, end)


def _found(connection: Connection, covered: Sequence[Covering], filters: Mapping[str, Any], part: Part) -> Found:
    return found_recurring.search(connection, covered, filters, part)


def _one(
    connection: Connection, covered: Sequence[Covering], recurring_id: str, scope: Mapping[str, str]
) -> Row | None:
    return found_recurring.get(connection, covered, recurring_id, **scope)
