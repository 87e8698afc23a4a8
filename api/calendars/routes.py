"""``/v1/time-intervals``: named calendars, which rules and schedules refer to."""

from typing import Any

from flask import Response

from api.calendars import schemas as shapes
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer, nothing
from api.http.documented import error_answers
from api.http.idempotency_key import CREATION_KEY, Remember, once
from config.errors import InvalidRequest, Problem
from gateway import current, grants
from store.engine import db
from tasks import tenants
from tasks.control import calendars
from tasks.control.calendars import Shown
from tasks.generations import changes
from tasks.generations.changes import Author

blueprint = Blueprint("calendars", __name__, tag="time-intervals")

_NEW, _CHANGED = shapes.NewCalendar(), shapes.ChangedCalendar()
_NAME = {
    "in": "path",
    "name": "calendar_name",
    "description": "The calendar's name.",
    "example": "nights",
    "schema": {"type": "string"},
}


@blueprint.get("/time-intervals")
@requires("read:actions")
@blueprint.answers(200, shapes.Calendars(), example=shapes.ALL, words="All calendars in force.")
def list_calendars() -> Response:
    """List calendars.

    Those of the folder and those that requests have made, by name.
    """
    shown = [_view(one) for one in calendars.listed()]
    return answer({"time_intervals": shown, "count": len(shown)})


@blueprint.post("/time-intervals", parameters=[CREATION_KEY])
@requires("manage:rules")
@blueprint.arguments(_NEW, example=shapes.NEW)
@blueprint.answers(
    201,
    shapes.Calendar(),
    example=shapes.CHANGED,
    words="Every process obeys.",
    fails=(409, 422, "calendar_exists", "too_many_calendars", *error_answers.CREATED),
    takes_body=True,
)
def create_calendar(given: dict[str, Any]) -> Response:
    """Create a calendar.

    The answer comes when every process has it, at most a second later. It needs a grant over all tenants.
    """
    tenants.require_whole(caller())

    def made(remember: Remember) -> Response:
        return _new(given["name"], calendars.create(given, _author(), remember))

    return once("calendar", given, made, lambda name, _secret: _new(name, changes.applied_by_now()))


def _new(name: str, applied: str) -> Response:
    return answer({**_view(calendars.get(name)), "applied": applied}, 201)


@blueprint.get("/time-intervals/<path:calendar_name>", parameters=[_NAME])
@requires("read:actions")
@blueprint.answers(200, shapes.Calendar(), example=shapes.ONE, words="The calendar.", fails=(404,))
def get_calendar(calendar_name: str) -> Response:
    """Get a calendar.

    With the rules that name it, and whether this moment is in it.
    """
    return answer(_view(calendars.get(calendar_name)))


@blueprint.put("/time-intervals/<path:calendar_name>", parameters=[_NAME])
@requires("manage:rules")
@blueprint.arguments(_CHANGED, example=shapes.CHANGE)
@blueprint.answers(
    200,
    shapes.Calendar(),
    example=shapes.CHANGED,
    words="Every process obeys.",
    fails=(404, 409, "defined_in_file"),
    takes_body=True,
)
def change_calendar(given: dict[str, Any], calendar_name: str) -> Response:
    """Update a calendar.

    All of it is replaced but its name. One that a file has is changed there. It needs a grant over all tenants.
    """
    tenants.require_whole(caller())
    if given.pop("name", calendar_name) != calendar_name:
        text = f"is {calendar_name!r}, and stays it: make another calendar, and delete this one"
        raise InvalidRequest("The calendar has faults.", problems=[Problem("/name", text)])
    applied = calendars.change(calendar_name, given, _author())
    return answer({**_view(calendars.get(calendar_name)), "applied": applied})


@blueprint.delete("/time-intervals/<path:calendar_name>", parameters=[_NAME])
@requires("manage:rules")
@blueprint.answers(204, words="It is gone in every process.", fails=(404, 409, "calendar_in_use", "defined_in_file"))
def delete_calendar(calendar_name: str) -> Response:
    """Delete a calendar.

    Not while a rule or a recurring action names it. It needs a grant over all tenants.
    """
    tenants.require_whole(caller())
    calendars.delete(calendar_name, _author())
    return nothing()


def _view(shown: Shown) -> dict[str, Any]:
    own, ruleset = tenants.of(caller()), current.held().ruleset
    seen = {rule.name for rule in ruleset.rules if grants.may_concern(own, rule.tenants)}
    return {
        "name": shown.calendar.name,
        "description": shown.calendar.form.get("description"),
        "time_intervals": shown.calendar.form["time_intervals"],
        "source": "file" if shown.from_file else "api",
        "active": shown.calendar.contains(db.now_ms()),
        "rules": [name for name in shown.rules if name in seen],
    }


def _author() -> Author:
    return Author(caller().key_id, caller().workspace_id)
