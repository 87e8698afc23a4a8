"""Plain data in templates: steps of a path, text and JSON forms.

Plain data are dict, list (or tuple), str, int, float, bool and None. Nothing here calls or reads an attribute of a
value, so that rendering cannot run its code. Messages have only names and types, no values: a value may be a secret.
"""

import json
from typing import Any

from expressions.limits import MAX_RENDERED_CHARACTERS
from expressions.suggestions import did_you_mean


class TemplateError(Exception):
    """A template cannot be read or rendered; the message shows no value."""


class MissingValue(TemplateError):  # noqa: N818 - a condition that ``default`` answers
    """A name on the path to a value does not exist."""


_MACHINE_WORD = 64

_READABLE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ESCAPED = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def type_name(value: Any) -> str:
    """The type of a value in messages, in the vocabulary of JSON."""
    names = {str: "text", bool: "a boolean", dict: "an object", list: "a list", tuple: "a list"}
    if value is None:
        return "null"
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def compact(value: Any) -> str:
    """The value as JSON without blanks.

    Half surrogates, which JSON can spell and UTF-8 cannot, become escapes. Raises TemplateError for a value that has no
    form in JSON.
    """
    try:
        text = _READABLE.encode(value)
        if not text.isascii() and not is_encodable(text):
            text = _ESCAPED.encode(value)
    except (TypeError, ValueError, RecursionError):
        raise TemplateError(f"{type_name(value)} cannot be written as JSON here") from None
    return text


def is_encodable(text: str) -> bool:
    """Whether the text has a form in UTF-8; half surrogates have none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_text(value: Any) -> str:
    """The value inside a text.

    Text stays unchanged, null becomes nothing, every other value compact JSON.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    if type(value) is int and value.bit_length() <= _MACHINE_WORD:
        return str(value)
    return compact(value)


def bounded(text: str) -> str:
    """The text itself; raises TemplateError when it is too long."""
    if len(text) > MAX_RENDERED_CHARACTERS:
        raise TemplateError(f"the result is longer than {MAX_RENDERED_CHARACTERS} characters")
    return text


def step_into(value: Any, step: str | int, path: str) -> Any:
    """The value under a key or at an index.

    ``path`` is the path to ``value``, for messages. Raises MissingValue.
    """
    if isinstance(value, dict):
        if step in value:
            return value[step]
        if isinstance(step, int) and str(step) in value:
            return value[str(step)]
        raise MissingValue(f"'{path}.{step}' does not exist" + did_you_mean(str(step), value, prefix=f"{path}."))
    if isinstance(value, list | tuple):
        if not isinstance(step, int):
            raise MissingValue(f"'{path}.{step}' does not exist: '{path}' is a list, its items are '{path}[0]' ...")
        if step >= len(value):
            raise MissingValue(f"'{path}[{step}]' does not exist: the list has {len(value)} items")
        return value[step]
    raise MissingValue(f"'{path}.{step}' does not exist: '{path}' is {type_name(value)}")
