"""Reads the JSON body of a request and refuses what could not be stored or would break a later answer.

In order: what kind of body it says it is (415), its size (413), UTF-8, JSON without duplicate members, NaN or
numbers beyond the range of a double, no more than 32 levels, text without NUL and lone surrogates (400). Where a
handler takes YAML too, the same holds for that.
"""

import functools
import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

from flask import Request
from marshmallow import RAISE, ValidationError, fields
from webargs import missing
from webargs.flaskparser import FlaskParser, abort
from werkzeug.exceptions import HTTPException, UnsupportedMediaType

from api import yaml_body
from api.base_schema import Schema
from api.present import present
from api.yaml_body import MAX_DEPTH
from config.errors import InvalidRequest, Problem

MAX_BYTES = 1024 * 1024
_JSON, _YAML = "application/json", "application/yaml"
_PARAMETERS = {"parameters"}
#: in the words of ``json.loads``; the decoder alone would not say it
_BOM = "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"


class Parser(FlaskParser):
    """webargs' parser with this project's reading of JSON."""

    DEFAULT_VALIDATION_STATUS = 400
    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012 - overrides the library's
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": RAISE,
        "json": RAISE,
    }

    def load_json(self, req: Request, schema: Any) -> Any:  # noqa: ARG002 - the library's signature
        """The body, or webargs' ``missing`` when there is none."""
        return read(req)


def load(schema: Schema) -> Any:
    """The body of the present request as ``schema`` loads it; none counts as an empty object.

    What webargs does with a body, faults included, at a fraction of the cost.

    Raises:
        As ``read``, and BadRequest: it is not what the schema wants.
    """
    value = read(present())
    if isinstance(value, dict) and value.keys() == _PARAMETERS and isinstance(value["parameters"], dict):
        others = _others(schema)
        if others is not None:
            return {**others, **value}
    try:
        return schema.load({} if value is missing else value, unknown=RAISE)
    except ValidationError as error:
        abort(Parser.DEFAULT_VALIDATION_STATUS, exc=error, messages={"json": error.messages}, schema=schema)


@functools.cache
def _others(schema: Schema) -> dict[str, Any] | None:
    """The members beside ``parameters`` where these alone are given, as with nearly all that is asked for.

    Known from the first time, because the schema's way through each member costs more than all else that a body does.
    None where its parameters are not any object, or where others are required.
    """
    given = schema.fields.get("parameters")
    if not isinstance(given, fields.Dict) or given.value_field is not None or given.validators:
        return None
    try:
        loaded: dict[str, Any] = schema.load({"parameters": {}}, unknown=RAISE)
    except ValidationError:
        return None
    return {name: value for name, value in loaded.items() if name != "parameters"}


def read_object(*, yaml: bool = False) -> dict[str, Any]:
    """The body of the present request as a JSON object; ``yaml`` says that it may be written as YAML.

    Raises:
        InvalidRequest: it is missing or something else.
    """
    value = read(present(), yaml=yaml)
    if not isinstance(value, dict):
        playbook = "A playbook is a mapping that begins with name: and steps:."  # nothing else is taken as YAML
        raise InvalidRequest(playbook if yaml else "The body must be a JSON object.")
    return value


def refuse() -> None:
    """Raise InvalidRequest when the present request brings a body although nothing would read it."""
    asked = present()
    if (asked.content_length or asked.headers.get("Transfer-Encoding")) and read(asked) not in (missing, {}):
        raise InvalidRequest("This operation takes no body.")


def read(req: Request, *, yaml: bool = False) -> Any:
    """The body's value, ``missing`` for an empty one; ``yaml`` says that it may be written as YAML.

    Raises:
        UnsupportedMediaType: it is not plain JSON. RequestEntityTooLarge. InvalidRequest: it is not sound.
    """
    try:
        raw = req.get_data(cache=False)
    except HTTPException:
        raise
    except Exception as error:  # the server could not make out the chunks; its errors have no base in common
        raise InvalidRequest("The body could not be read to its end.") from error
    if not raw:
        return missing
    kind = req.mimetype
    if kind not in ((_JSON, _YAML) if yaml else (_JSON,)):
        or_yaml = f", or as YAML, with Content-Type: {_YAML}" if yaml else ""
        raise UnsupportedMediaType(f"Send the body as JSON, with Content-Type: {_JSON}{or_yaml}.")
    if req.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body as it is, without Content-Encoding.")
    return parse(raw) if kind == _JSON else parse_yaml(raw)


def parse_yaml(raw: bytes) -> Any:
    """The JSON value that ``raw`` writes as YAML.

    Raises:
        InvalidRequest: it is not YAML, or holds what cannot be stored.
    """
    try:
        value = yaml_body.load(raw.decode())
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The body is not UTF-8 (byte {error.start}).") from error
    _inspect(value)
    return value


def parse(raw: bytes) -> Any:
    """The JSON value of ``raw``.

    Raises:
        InvalidRequest: it is not JSON, or JSON that cannot be stored.
    """
    try:
        text = raw.decode()
        if text.startswith("\ufeff"):
            raise InvalidRequest(f"The body is not JSON: {_BOM}.")
        value = _decode(text)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The body is not UTF-8 (byte {error.start}).") from error
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not JSON: {error}.") from error
    except RecursionError:
        _too_deep()
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidRequest("The body holds a number that is too long.") from error
    # only text with that many brackets can be that deep, only an escape can make the odd characters
    if text.count("[") + text.count("{") > MAX_DEPTH or "\\u" in text:
        _inspect(value)
    return value


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


def _inspect(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        for text in _texts(level):
            _check_text(text)
        holders = [item for item in level if isinstance(item, dict | list)]
        if not holders:
            return
        level = [item for holder in holders for item in (holder.values() if isinstance(holder, dict) else holder)]
    _too_deep()


def _texts(level: list[Any]) -> Iterator[str]:
    for item in level:
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from item


def _check_text(text: str) -> None:
    if "\0" in text:
        raise InvalidRequest("The body holds the character NUL, which cannot be stored.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest("The body holds half of a surrogate pair, which is not text.") from error


def _too_deep() -> NoReturn:
    detail = f"must not be nested more than {MAX_DEPTH} deep"
    raise InvalidRequest("The body is nested too deep.", problems=[Problem("", detail)])
