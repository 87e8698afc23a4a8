"""What a function returns, as an output: one JSON object.

Dataclasses become objects, enums their values, times and addresses texts. What JSON or a database's JSON column cannot
hold is refused: NaN, half of a surrogate pair, the character NUL, and what is nested too deeply.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import ipaddress
import json
import re
from typing import Any

from tocsin.actions.kinds import kind_of

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # the escape itself, not a backslash followed by u0000
_TEXTS = (ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network)


#: levels of an output: redacting it and answering with it go down one by one
LEVELS = 100


def output_of(value: Any) -> dict[str, Any]:
    """An object as it is, any other value as ``{"result": value}``.

    Raises:
        ValueError: it cannot be stored as JSON.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, default=as_json)
        text.encode()
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if _NUL.search(text):
        raise ValueError("it holds a NUL character")
    known = json.loads(text)
    if not is_within(known, LEVELS):
        raise ValueError(f"it is nested more than {LEVELS} levels deep")
    return known if isinstance(known, dict) else {"result": known}


def is_within(value: Any, levels: int) -> bool:
    """Whether a value of JSON has at most this many levels."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not inner or (levels > 0 and all(is_within(one, levels - 1) for one in inner))


def output_in(line: str) -> dict[str, Any] | None:
    """The output in a line; None unless it is storable JSON."""
    try:
        return output_of(json.loads(line))
    except (ValueError, RecursionError):
        return None


def as_json(value: Any) -> Any:
    """A value of one of the types that a parameter may have, as JSON has it.

    Raises:
        TypeError: it has another type.
    """
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, _TEXTS):
        return str(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def schema_of(hint: Any) -> dict[str, Any] | None:
    """The JSON Schema of the output of a function that returns ``hint``; None where the type says nothing."""
    if hint in (Any, object, None, type(None)):
        return None
    try:
        kind = kind_of(hint)
    except TypeError:
        return None
    if kind.word == "object":
        return dict(kind.schema)
    return {"type": "object", "properties": {"result": dict(kind.schema)}, "required": ["result"]}
