"""The trigger of a playbook: manual, a schedule, or an event.

``check_trigger`` reports every fault of a trigger on write. When an event arrives, ``events.names`` are the trigger
events it may match, ``mismatch`` finds the condition of a playbook that it does not meet, and ``subject`` is what that
playbook's templates may read of it.

An event is ``{"event": "finding.new", "data": {"finding": {...}}}``; the data may also be the finding itself. A
condition names a member of the finding (``severity``, ``asset.tags``; ``asset_tags`` means the same) or of the data. It
is a value that the member must equal, or an object of operators that must all hold.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import re2

from config.errors import Problem
from config.pointers import step
from expressions.suggestions import did_you_mean
from expressions.values import is_encodable
from playbooks.definitions.events import MANUAL, SCHEDULE, family, trigger_fault
from playbooks.definitions.parameter_values import is_integer, is_number, pattern_fault
from playbooks.definitions.schedules import check_cron, check_timezone

#: from the least to the most severe
SEVERITIES = ("info", "low", "medium", "high", "critical")
OPERATORS = ("$eq", "$ne", "$in", "$nin", "$gt", "$gte", "$lt", "$lte", "$contains", "$exists", "$regex")

MAX_CONDITIONS = 50
MAX_PATH_CHARACTERS = 256
#: values of one $in, and characters of one text
MAX_VALUES = 500
MAX_TEXT_CHARACTERS = 1024

_FIELDS = ("event", "conditions", "cron", "timezone")
#: members of a trigger by what other products call them
_SYNONYMS = {
    "type": "event",
    "on": "event",
    "schedule": "cron",
    "tz": "timezone",
    "if": "conditions",
    "when": "conditions",
}
_MISSING = object()
_CONDITIONS = "/trigger/conditions"
#: order of a value and its operand (less, equal, greater) → the operators that hold
_BY_ORDER = {-1: ("$lt", "$lte"), 0: ("$gte", "$lte"), 1: ("$gt", "$gte")}


def check_trigger(trigger: Any) -> list[Problem]:
    """Every fault of a trigger; pointers are relative to it."""
    if not isinstance(trigger, Mapping):
        return [Problem("", "must be the name of an event, or an object with event and conditions")]
    problems = [
        Problem(_pointer(field), f"is no member of a trigger, which has {', '.join(_FIELDS)}{_hint(str(field))}")
        for field in list(trigger)[:MAX_CONDITIONS]
        if field not in _FIELDS
    ]
    event = trigger.get("event")
    if fault := trigger_fault(event):
        problems.append(Problem("/event", fault))
    problems += _check_schedule(trigger)
    conditions = trigger.get("conditions")
    if conditions and event in (MANUAL, SCHEDULE):
        problems.append(Problem("/conditions", f"there is no event to look at when the trigger is {event}"))
    return problems + [problem.under("/conditions") for problem in _check_conditions(conditions)]


def _hint(field: str) -> str:
    return did_you_mean(field, _FIELDS, synonyms=_SYNONYMS)


def _check_schedule(trigger: Mapping[str, Any]) -> list[Problem]:
    cron, timezone = trigger.get("cron"), trigger.get("timezone")
    if trigger.get("event") != SCHEDULE:
        given = [field for field in ("cron", "timezone") if trigger.get(field) is not None]
        return [Problem(f"/{field}", "belongs to a trigger whose event is schedule") for field in given]
    if cron is None:
        return [Problem("/cron", "a schedule needs its five fields, for example '0 8 * * 1'")]
    faults = [("/cron", check_cron(cron)), ("/timezone", None if timezone is None else check_timezone(timezone))]
    return [Problem(pointer, fault) for pointer, fault in faults if fault]


def _check_conditions(conditions: Any) -> list[Problem]:
    if conditions is None:
        return []
    if not isinstance(conditions, Mapping) or len(conditions) > MAX_CONDITIONS:
        return [Problem("", f"must be an object with at most {MAX_CONDITIONS} conditions")]
    problems = []
    for path, asked in conditions.items():
        if not isinstance(path, str) or not 1 <= len(path) <= MAX_PATH_CHARACTERS or not all(path.split(".")):
            problems.append(Problem(_pointer(path), "must be named by a path such as severity or asset.tags"))
        elif isinstance(asked, Mapping):
            problems += [problem.under(_pointer(path)) for problem in _check_operators(asked)]
        elif not _is_literal(asked):
            problems.append(Problem(_pointer(path), f"must be a value of at most {MAX_TEXT_CHARACTERS} characters"))
    return problems


def _check_operators(asked: Mapping[Any, Any]) -> list[Problem]:
    words = ", ".join(OPERATORS)
    if not asked:
        return [Problem("", f"must be a value or name what is asked for: {words}")]
    problems = []
    for operator, operand in asked.items():
        if operator not in OPERATORS:
            hint = did_you_mean(str(operator), OPERATORS) or "; a member inside is named by a path such as asset.tags"
            problems.append(Problem(_pointer(operator), f"is no operator, these are: {words}{hint}"))
        elif fault := _operand_fault(operator, operand):
            problems.append(Problem(_pointer(operator), fault))
    return problems


def _operand_fault(operator: str, operand: Any) -> str | None:
    if operator == "$regex":
        return pattern_fault(operand)
    if operator == "$exists":
        return None if isinstance(operand, bool) else "must be true or false"
    if operator in ("$in", "$nin"):
        sound = isinstance(operand, list) and 1 <= len(operand) <= MAX_VALUES and all(map(_is_literal, operand))
        return None if sound else f"must be a list of 1 to {MAX_VALUES} values"
    if operator in ("$eq", "$ne", "$contains"):
        return None if _is_literal(operand) else f"must be a value of at most {MAX_TEXT_CHARACTERS} characters"
    if _is_number(operand) or _severity(operand) is not None or _moment(operand) is not None:
        return None
    return f"must be a number, a date such as 2026-04-28, or a severity: {', '.join(SEVERITIES)}"


def _is_literal(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= MAX_VALUES and not any(isinstance(item, list) or not _is_literal(item) for item in value)
    if isinstance(value, str):
        return len(value) <= MAX_TEXT_CHARACTERS and is_encodable(value)
    return value is None or isinstance(value, bool) or _is_number(value)


def _is_number(value: Any) -> bool:
    return is_integer(value) or is_number(value)  # in this order: huge integers are no doubles


def _pointer(name: Any) -> str:
    return step(str(name)[:MAX_PATH_CHARACTERS])


def subject(event: Mapping[str, Any]) -> dict[str, Any]:
    """The names that templates may read of an event.

    These are ``event`` itself, and the ``finding`` and the ``asset`` that it is about.
    """
    about = _about(event)
    context: dict[str, Any] = {"event": dict(event)}
    data = _data(event)
    if isinstance(data.get("finding"), Mapping):
        context["finding"] = data["finding"]
    elif family(str(event.get("event", ""))) == "finding":
        context["finding"] = about
    for source in (about, data):
        if isinstance(source.get("asset"), Mapping):
            context.setdefault("asset", source["asset"])
    return context


@dataclass(frozen=True)
class Mismatch:
    """A condition, and what an event has in its place: of ``mismatch``, one that the event does not meet."""

    #: where it stands in the playbook, as a JSON pointer
    pointer: str
    #: the member of the event that it looks at
    path: str
    wanted: Any
    #: what is there; None if the member is missing
    found: Any
    missing: bool


def matches(conditions: Any, event: Mapping[str, Any]) -> bool:
    """Whether an event meets all conditions, which are free of faults."""
    return mismatch(conditions, event) is None


def mismatch(conditions: Any, event: Mapping[str, Any]) -> Mismatch | None:
    """The first condition that an event does not meet.

    No event makes it fail.
    """
    if not isinstance(conditions, Mapping):
        return None if conditions is None else Mismatch(_CONDITIONS, "", conditions, None, missing=True)
    return next((one for one, met in judged(conditions, event) if not met), None)


def judged(conditions: Any, event: Mapping[str, Any]) -> Iterator[tuple[Mismatch, bool]]:
    """Each condition, operator by operator, with what the event has there, and whether that meets it."""
    if not isinstance(conditions, Mapping):
        return
    places = (_about(event), _data(event), subject(event))
    for path, asked in conditions.items():
        value = next((found for found in _lookups(str(path), places) if found is not _MISSING), _MISSING)
        operators = asked if isinstance(asked, Mapping) else {"$eq": asked}
        for operator, operand in operators.items():
            pointer = _CONDITIONS + _pointer(path)
            wanted = {operator: operand} if isinstance(asked, Mapping) else asked
            missing = value is _MISSING
            looked = Mismatch(pointer, str(path), wanted, None if missing else value, missing)
            yield looked, _holds(operator, operand, value)


def _data(event: Mapping[str, Any]) -> Mapping[str, Any]:
    data = event.get("data")
    return data if isinstance(data, Mapping) else {}


def _about(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object that an event is about.

    The member of its data with the name of its family, else the data.
    """
    data = _data(event)
    about = data.get(family(str(event.get("event", ""))))
    return about if isinstance(about, Mapping) else data


def _lookups(path: str, places: tuple[Mapping[str, Any], ...]) -> Iterator[Any]:
    """The values at a path in each place.

    For ``asset_tags``, those at ``asset.tags`` follow.
    """
    spellings = [path]
    if path.startswith("asset_"):
        spellings.append("asset." + path.removeprefix("asset_"))
    for spelling in spellings:
        for place in places:
            found: Any = place
            for name in spelling.split("."):
                found = found.get(name, _MISSING) if isinstance(found, Mapping) else _MISSING
            yield found


def _holds(operator: Any, operand: Any, value: Any) -> bool:
    if operator == "$exists":
        return (value is not _MISSING) is bool(operand)
    if operator == "$ne":
        return value is _MISSING or not _equal(value, operand)
    if operator == "$nin":
        return value is _MISSING or not _within(operand, value)
    if value is _MISSING:
        return False
    if operator == "$eq":
        return _equal(value, operand)
    if operator == "$in":
        return _within(operand, value)
    return _compares(operator, operand, value)


def _compares(operator: Any, operand: Any, value: Any) -> bool:
    if operator == "$contains":
        return operand in value if isinstance(value, str) and isinstance(operand, str) else _within(value, operand)
    if operator == "$regex":
        return isinstance(value, str) and is_encodable(value) and _found(operand, value)
    order = _order(value, operand)
    if order is None:
        return False
    return operator in _BY_ORDER[order]


def _equal(value: Any, other: Any) -> bool:
    """Equality of JSON, in which true is not 1."""
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(_equal, value, other))
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _within(values: Any, value: Any) -> bool:
    return isinstance(values, list) and any(_equal(item, value) for item in values)


def _order(value: Any, other: Any) -> int | None:
    """-1, 0 or 1; None when the values have no order."""
    first: Any = _severity(value)
    second: Any = _severity(other)
    if first is None or second is None:
        first, second = (value, other) if _is_number(value) and _is_number(other) else (_moment(value), _moment(other))
    if first is None or second is None:
        return None
    return int(first > second) - int(first < second)


def _severity(value: Any) -> int | None:
    return SEVERITIES.index(value.lower()) if isinstance(value, str) and value.lower() in SEVERITIES else None


def _moment(value: Any) -> datetime | None:
    """A date or time in ISO 8601, by default in UTC.

    A date is its midnight.
    """
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _found(pattern: Any, text: str) -> bool:
    try:
        return re2.search(pattern, text) is not None
    except (re2.error, TypeError):
        return False
