"""Templates of JSON documents: an expression's place decides its form.

Inside a string literal an expression inserts text, escaped, without quotes; anywhere else it inserts a JSON value.
Because an inserted value can end neither a string nor a value, every place is known before any value is: it is computed
once, from the text of the template alone.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NoReturn

from expressions.limits import CACHED_TEMPLATES
from expressions.template_syntax import Expression, parse
from expressions.values import TemplateError, as_text, bounded, compact

_INSIDE_STRING = re.compile(r'(?>(?:[^"\\]+|\\u[0-9a-fA-F]{4}|\\[^u])*)')
_BETWEEN_VALUES = frozenset("[]{},: \t\r\n")

Insertion = tuple[Expression, Callable[[Any], str]]


def render_json(source: str, context: Mapping[str, Any]) -> str:
    """The JSON text that a template makes.

    Raises TemplateError when the result is not JSON or a name is missing.
    """
    parts = [part if isinstance(part, str) else part[1](part[0].evaluate(context)) for part in _parse_json(source)]
    return _checked(bounded("".join(parts)))


def check_json(source: str) -> None:
    """Raise TemplateError when the template can never make JSON."""
    parts = _parse_json(source)
    _checked("".join(part if isinstance(part, str) else part[1]("") for part in parts))


def _in_string(value: Any) -> str:
    return compact(as_text(value))[1:-1]


@lru_cache(maxsize=CACHED_TEMPLATES)
def _parse_json(source: str) -> tuple[str | Insertion, ...]:
    parts: list[str | Insertion] = []
    inside = False
    free = True  # outside of strings: whether a value may start here
    for part in parse(source):
        if isinstance(part, str):
            if parts and not inside and part[0] not in _BETWEEN_VALUES:
                raise _run_together()
            inside = _position_after(part, inside)
            free = part[-1] in _BETWEEN_VALUES
            parts.append(part)
        elif inside:
            parts.append((part, _in_string))
        elif free:
            parts.append((part, compact))
            free = False
        else:
            raise _run_together()
    return tuple(parts)


def _run_together() -> TemplateError:
    return TemplateError(
        "an expression outside of quotes inserts a whole JSON value and cannot be glued to other text; "
        'put it in quotes ("{{ x }}") to build a text'
    )


def _position_after(text: str, inside: bool) -> bool:
    """Whether the place after ``text`` is inside a JSON string.

    ``inside`` says so of the place before it.
    """
    position = 0
    while position < len(text):
        if not inside:
            quote = text.find('"', position)
            if quote < 0:
                return False
            position, inside = quote + 1, True
            continue
        match = _INSIDE_STRING.match(text, position)
        position = match.end() if match else position
        if position < len(text):
            if text[position] == "\\":
                # an incomplete escape would change the meaning of an inserted value
                raise TemplateError("a backslash in a JSON string starts no complete escape")
            position, inside = position + 1, False
    return inside


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(word)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _checked(text: str) -> str:
    try:
        _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise TemplateError(
            f"the result is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except (ValueError, RecursionError):
        raise TemplateError("the result is not JSON that can be read") from None
    return text
