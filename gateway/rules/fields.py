"""The fields that rules read: from a path to a reader of the facts.

``action.payload.recipients[0].email`` and ``action.payload.recipients.0.email`` mean the same. A missing value reads as
null. Labels stand at ``action.metadata.NAME``, also when they were sent as ``metadata.labels.NAME``.
"""

import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any

from expressions.suggestions import did_you_mean
from gateway.facts import Facts
from playbooks.credentials import is_secret_member

MAX_PATH_CHARACTERS = 256
MAX_STEPS = 20

#: facts by their member of ``action``
ACTION_FIELDS = {name: place for place, name in enumerate(Facts._fields) if name != "at"}
#: the facts that a key holds, and those with members of their own
_KEY_FIELDS = frozenset(Facts._fields[:5])
_OPEN_FIELDS = ("payload", "metadata")
_INDEX = re.compile(r"\[(\d{1,6})\]")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
TIME_FIELDS: dict[str, Callable[[datetime], int | str]] = {
    "hour": lambda moment: moment.hour,
    "minute": lambda moment: moment.minute,
    "second": lambda moment: moment.second,
    "day": lambda moment: moment.day,
    "month": lambda moment: moment.month,
    "year": lambda moment: moment.year,
    "weekday": lambda moment: WEEKDAYS[moment.weekday()],
    "weekday_num": lambda moment: moment.isoweekday(),
    "timestamp": lambda moment: int(moment.timestamp()),
}
#: members by themselves → the whole path
SHORT = {**{name: f"time.{name}" for name in TIME_FIELDS}, **{name: f"action.{name}" for name in ACTION_FIELDS}}
_WORDS = "a field begins with action. or time., such as action.payload.severity or time.hour"

Reader = Callable[[Facts], Any]
Path = tuple[str, ...]


class FieldError(ValueError):
    """A path that no rule can read; the message says what there is."""


def parse(text: Any, *, short: bool = False) -> Path:
    """The steps of a path.

    With ``short``, ``action.`` may be left out.

    Raises:
        FieldError: there is no such field.
    """
    if not isinstance(text, str) or not text:
        raise FieldError(f"must be the path of a field, as text: {_WORDS}")
    if len(text) > MAX_PATH_CHARACTERS:
        raise FieldError(f"the path is longer than {MAX_PATH_CHARACTERS} characters")
    steps = tuple(_INDEX.sub(r".\1", text).split("."))
    if not all(steps) or any(sign in step for step in steps for sign in "[]"):
        raise FieldError(f"'{text[:64]}' is no path: names, dots and indexes such as [0]")
    if len(steps) > MAX_STEPS:
        raise FieldError(f"a path has at most {MAX_STEPS} steps")
    if short and steps[0] in ACTION_FIELDS:
        steps = ("action", *steps)
    if steps[0] == "time":
        return _time_path(steps)
    if steps[0] in SHORT:
        place = SHORT[steps[0]].removesuffix(steps[0])
        raise FieldError(f"'{text[:64]}' is no field; did you mean '{place}{text[:64]}'? {_WORDS}")
    if steps[0] != "action":
        raise FieldError(f"'{text[:64]}' is no field{did_you_mean(steps[0], ('action', 'time'))}; {_WORDS}")
    return _action_path(steps)


def _time_path(steps: Path) -> Path:
    if len(steps) != 2 or steps[1] not in TIME_FIELDS:  # noqa: PLR2004 - time and its member
        name = ".".join(steps[1:])[:64]
        hint = did_you_mean(name, TIME_FIELDS, prefix="time.")
        raise FieldError(f"there is no time.{name}: there are {', '.join(TIME_FIELDS)}{hint}")
    return steps


def _action_path(steps: Path) -> Path:
    known = ", ".join(f"{name}.*" if name in _OPEN_FIELDS else name for name in ACTION_FIELDS)
    if len(steps) == 1:
        raise FieldError(f"action alone is no field: there are {known}")
    name = steps[1]
    if name not in ACTION_FIELDS:
        hint = did_you_mean(name, ACTION_FIELDS, prefix="action.")
        raise FieldError(f"there is no action.{name[:64]}: there are {known}{hint}")
    if name not in _OPEN_FIELDS and len(steps) > 2:  # noqa: PLR2004 - action, its member, and more
        raise FieldError(f"action.{name} is text and has no members")
    if steps[1:3] == ("metadata", "labels") and len(steps) > 3:  # noqa: PLR2004 - a label below
        return ("action", "metadata", *steps[3:])
    return steps


def spelled(path: Path) -> str:
    """The path as text."""
    return ".".join(path)


def in_key(path: Path) -> bool:
    """Whether the value is known from the key alone."""
    return path[0] == "action" and path[1] in _KEY_FIELDS


def is_secret(path: Path) -> bool:
    """Whether the path leads to a member that is named like a credential."""
    return any(is_secret_member(step) for step in path[2:])


def reader(path: Path, zone: tzinfo) -> Reader:
    """The function that reads a path; ``zone`` is for ``time.*``."""
    if path[0] == "time":
        part = TIME_FIELDS[path[1]]
        return lambda facts: part(datetime.fromtimestamp(facts.at / 1000, zone))
    place, steps = ACTION_FIELDS[path[1]], path[2:]
    if not steps:
        return lambda facts: facts[place]

    def member(facts: Any) -> Any:
        return facts[place].get(steps[0])

    return member if len(steps) == 1 else lambda facts: _walk(facts[place], steps)


def _walk(value: Any, steps: Path) -> Any:
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
