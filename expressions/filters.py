"""The filters of templates: a closed list of pure functions.

Each takes the value left of the bar and its arguments, and returns plain data. The length of every text that a filter
makes is limited, so that a chain of them cannot grow without end. ``default`` is not here: it handles a missing value
and is part of the language (``template_syntax``).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from expressions.limits import MAX_RENDERED_CHARACTERS
from expressions.values import TemplateError, as_text, bounded, compact, is_encodable, type_name

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass(frozen=True)
class Filter:
    """A filter, with its least and greatest number of arguments.

    The value itself does not count.
    """

    apply: Callable[..., Any]
    least: int = 0
    most: int = 0


def _text_only(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise TemplateError(f"'{name}' needs a text, not {type_name(value)}")
    return value


def _number_only(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TemplateError(f"'{name}' needs a whole number of at least 0")
    return value


def _list_only(value: Any, name: str) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise TemplateError(f"'{name}' needs a list, not {type_name(value)}")
    return value


def _upper(value: Any) -> str:
    return bounded(bounded(as_text(value)).upper())


def _lower(value: Any) -> str:
    return bounded(bounded(as_text(value)).lower())


def _trim(value: Any) -> str:
    return bounded(as_text(value).strip())


def _replace(value: Any, old: Any, new: Any) -> str:
    text = bounded(as_text(value))
    before, after = _text_only(old, "replace"), _text_only(new, "replace")
    if not before:
        raise TemplateError("'replace' needs a text to look for")
    if len(text) + text.count(before) * (len(after) - len(before)) > MAX_RENDERED_CHARACTERS:
        raise TemplateError(f"'replace' makes a text longer than {MAX_RENDERED_CHARACTERS} characters")
    return text.replace(before, after)


def _truncate(value: Any, characters: Any) -> str:
    """At most that many characters; an ellipsis marks a cut."""
    text, most = as_text(value), _number_only(characters, "truncate")
    return bounded(text if len(text) <= most else text[: max(0, most - 1)] + "…"[:most])


def _join(value: Any, separator: Any = ", ") -> str:
    between = _text_only(separator, "join")
    texts = [as_text(item) for item in _list_only(value, "join")]
    if sum(map(len, texts)) + len(between) * (len(texts) - 1) > MAX_RENDERED_CHARACTERS:
        raise TemplateError(f"'join' makes a text longer than {MAX_RENDERED_CHARACTERS} characters")
    return between.join(texts)


def _length(value: Any) -> int:
    if not isinstance(value, str | list | tuple | dict):
        raise TemplateError(f"'length' needs a text, a list or an object, not {type_name(value)}")
    return len(value)


def _first(value: Any) -> Any:
    items = _list_only(value, "first")
    if not items:
        raise TemplateError("'first' needs a list that is not empty")
    return items[0]


def _last(value: Any) -> Any:
    items = _list_only(value, "last")
    if not items:
        raise TemplateError("'last' needs a list that is not empty")
    return items[-1]


def _json(value: Any) -> str:
    return bounded(compact(value))


def _string(value: Any) -> str:
    return bounded(as_text(value))


def _int(value: Any) -> int:
    """A whole number from a number or a text.

    The number has no fraction, the text at most 18 digits.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    raise TemplateError("'int' needs a whole number or a text that is one")


def _urlencode(value: Any) -> str:
    text = bounded(as_text(value))
    if not is_encodable(text):
        raise TemplateError("'urlencode' needs text that UTF-8 can write")
    return bounded(quote(text, safe=""))


FILTERS: dict[str, Filter] = {
    "first": Filter(_first),
    "int": Filter(_int),
    "join": Filter(_join, most=1),
    "json": Filter(_json),
    "last": Filter(_last),
    "length": Filter(_length),
    "lower": Filter(_lower),
    "replace": Filter(_replace, least=2, most=2),
    "string": Filter(_string),
    "trim": Filter(_trim),
    "truncate": Filter(_truncate, least=1, most=1),
    "upper": Filter(_upper),
    "urlencode": Filter(_urlencode),
}
