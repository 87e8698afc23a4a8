"""The shapes and example bodies of calendars."""

from typing import Any, ClassVar

from marshmallow import fields

from api.http.base_schema import Answer
from api.http.schemas import Strict, described
from gateway.calendars.written import MAX_INTERVALS, OF_INTERVALS
from playbooks.definitions.fields import MAX_NAME_CHARACTERS

_LISTS = [name for name in OF_INTERVALS if name != "location"]
_INTERVALS: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_INTERVALS,
    "items": {
        "type": "object",
        "properties": {**{name: {"type": "array"} for name in _LISTS}, "location": {"type": "string"}},
        "additionalProperties": False,
    },
}
_SAID = "Spans of time; a moment is in the calendar if it fits all members of one of them."


class ChangedCalendar(Strict):
    """A calendar as callers write it."""

    SYNONYMS: ClassVar[dict[str, str]] = dict.fromkeys(("intervals", "times", "periods"), "time_intervals")

    name = fields.Raw(metadata=described("Its name, which never changes.", type="string"))
    description = fields.Raw(metadata=described("What it is for.", type=["string", "null"]))
    time_intervals = fields.Raw(required=True, metadata={"description": _SAID, **_INTERVALS})


class NewCalendar(ChangedCalendar):
    """A new calendar."""

    name = fields.Raw(
        required=True,
        metadata=described("What rules and schedules call it.", type="string", maxLength=MAX_NAME_CHARACTERS),
    )


class Calendar(Answer):
    """A calendar in force."""

    name = fields.String(metadata=described("What rules and schedules call it."))
    description = fields.String(allow_none=True, metadata=described("What it is for."))
    time_intervals = fields.Raw(metadata={"description": _SAID, **_INTERVALS})
    source = fields.String(metadata=described("Whether a file has it, or a request has made it.", enum=["file", "api"]))
    active = fields.Boolean(metadata=described("Whether this moment is in it."))
    rules = fields.List(fields.String(), metadata=described("The rules that name it, of those that you may see."))
    applied = fields.String(metadata=described("After a change: which processes obey it, as 9 of 9.", sometimes=True))


class Calendars(Answer):
    """The calendars in force."""

    time_intervals = fields.List(fields.Nested(Calendar), metadata=described("The calendars, by name."))
    count = fields.Integer(metadata=described("How many there are."))


NEW: dict[str, Any] = {
    "name": "nights",
    "description": "Outside of office hours.",
    "time_intervals": [
        {
            "times": [{"start_time": "20:00", "end_time": "24:00"}, {"start_time": "00:00", "end_time": "06:00"}],
            "weekdays": ["monday:friday"],
            "location": "Europe/Berlin",
        },
        {"weekdays": ["saturday:sunday"], "location": "Europe/Berlin"},
    ],
}
CHANGE: dict[str, Any] = {"time_intervals": NEW["time_intervals"]}
ONE: dict[str, Any] = {**NEW, "source": "api", "active": False, "rules": ["mail-by-day"]}
CHANGED: dict[str, Any] = {**ONE, "applied": "9 of 9"}
ALL: dict[str, Any] = {"time_intervals": [ONE], "count": 1}
