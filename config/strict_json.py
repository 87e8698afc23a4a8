"""JSON from outside, refused if it could not be stored or answered.

Refused are duplicate members, NaN, numbers beyond the range of a double, more than 32 levels, more arrays and objects
than a real document has, NUL and lone surrogates.
"""

import contextlib
import gc
import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

from config.errors import InvalidRequest, Problem

#: containers inside containers
MAX_DEPTH = 32
#: containers in all; each costs a hundred times what its two characters do, wherever the value is read
MAX_CONTAINERS = 100_000
#: from this many brackets on, the garbage collector is paused
_MANY = 10_000
#: the error of ``json.loads``, which the decoder alone does not raise
_BOM = "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"


def parse(raw: bytes) -> Any:
    """The JSON value of ``raw``.

    Raises:
        InvalidRequest: it is not JSON, or JSON that cannot be stored.
    """
    try:
        text = raw.decode()
        if text.startswith("\ufeff"):
            raise InvalidRequest(f"The body is not JSON: {_BOM}.")
        brackets = text.count("[") + text.count("{")
        if brackets > _MANY:
            with _no_collection():
                value = _decode(text)
        else:
            value = _decode(text)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The body is not UTF-8 (byte {error.start}).") from error
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not JSON: {_said(error)}.") from error
    except RecursionError:
        _too_deep()
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidRequest("The body holds a number that is too long.") from error
    # only text with that many brackets can be that deep, only an escape can make the odd characters
    if brackets > MAX_DEPTH or "\\u" in text:
        inspect(value)
    return value


#: beginning of what the decoder says → what belongs at the place
_BELONGS = (
    ("Expecting property name", "a name in double quotes belongs there"),
    ("Illegal trailing comma", "no comma belongs before a closing bracket"),
    ("Expecting ':'", "':' belongs there, after the name"),
    ("Expecting ','", "',' or a closing bracket belongs there"),
    (
        "Expecting value",
        "a value belongs there: text in double quotes, a number, true, false, null, an object or a list",
    ),
    ("Extra data", "nothing belongs after the end of the value"),
    ("Unterminated string", "the text that begins there is not closed"),
    ("Invalid control character", r"a line break inside a text is written \n, a tab \t"),
    ("Invalid \\", r"a backslash inside a text is written \\"),
)


def _said(error: json.JSONDecodeError) -> str:
    """Where the decoder stopped, and what belongs there."""
    before, behind = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip(" \t\r\n,")
    # the decoder of Python 3.13 stops at such a comma, older ones behind it
    comma = error.pos if error.msg.startswith("Illegal trailing comma") else len(before) - 1
    if error.doc[comma : comma + 1] == "," and behind[:1] in ("}", "]"):
        error = json.JSONDecodeError("Illegal trailing comma", error.doc, comma)
    words = next((words for beginning, words in _BELONGS if error.msg.startswith(beginning)), error.msg)
    return f"{words} (line {error.lineno}, column {error.colno})"


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the garbage collector while a large tree is built.

    It would look through all objects again and again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _constant(name: str) -> NoReturn:
    raise InvalidRequest(f"The body is not JSON: {name} is no JSON number.")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidRequest(f"The body holds a number that is too large: {text[:32]}.")
    return number


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidRequest(f"The body names a member twice: {json.dumps(name[:64])}.")
        seen.add(name)
    return members


#: made once: making it costs more than reading a small body
_decode = json.JSONDecoder(parse_constant=_constant, parse_float=_number, object_pairs_hook=_members).decode


def inspect(value: Any) -> None:
    """Raise InvalidRequest for a value that cannot be stored.

    Nested too deep, or with too many parts, it cannot either.
    """
    level, containers = [value], 0
    for _ in range(MAX_DEPTH + 1):
        _check_texts(level)
        parents = [item for item in level if isinstance(item, dict | list)]
        if not parents:
            return
        containers += len(parents)
        if containers > MAX_CONTAINERS:
            raise InvalidRequest(f"The body holds more than {MAX_CONTAINERS} arrays and objects.")
        level = [item for parent in parents for item in (parent.values() if isinstance(parent, dict) else parent)]
    _too_deep()


def _check_texts(level: list[Any]) -> None:
    texts = "".join([item for item in level if isinstance(item, str)])
    names = "".join(["".join(item) for item in level if isinstance(item, dict)])
    for text in (texts, names):
        if "\0" in text:
            raise InvalidRequest("The body holds the character NUL, which cannot be stored.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest("The body holds half of a surrogate pair, which is not text.") from error


def _too_deep() -> NoReturn:
    detail = f"must not be nested more than {MAX_DEPTH} deep"
    raise InvalidRequest("The body is nested too deep.", problems=[Problem("", detail)])
