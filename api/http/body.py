"""Reads the JSON body of a request, and refuses unsound ones.

Unsound is what could not be stored or would break a later answer. In order: the declared kind of body (415), its size
(413), UTF-8, JSON without duplicate members, NaN or numbers beyond the range of a double, no more than 32 levels, text
without NUL and lone surrogates (400). Where a handler takes YAML too, the same holds for that.
"""

import contextlib
from collections.abc import Callable, Collection
from io import BytesIO
from typing import Any

from flask import Request
from marshmallow import RAISE, ValidationError
from webargs import missing
from webargs.flaskparser import FlaskParser, abort
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, UnsupportedMediaType

from api.http.base_schema import Schema
from api.http.current_request import present
from api.http.load import HERE
from config import strict_yaml
from config.errors import InvalidRequest, TooSlow
from config.strict_json import inspect, parse
from playbooks.definitions.parameters import MAX_NAMED
from tasks.offload import pool

MAX_BYTES = 1024 * 1024
#: a body that is too large is still read up to this size, and dropped: a connection that closes while its caller still
#: sends loses the answer
MOST_FORGOTTEN = 16 * MAX_BYTES
_JSON, _YAML = "application/json", "application/yaml"
_ZIPS = ("application/zip", "application/x-zip-compressed")
#: names of UTF-8, and of the part of it that is ASCII
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_PIECE = 64 * 1024
#: more members than any schema has
_MANY = 100
#: reading a body beyond this may take a tenth of a second
_LARGE = 64 * 1024
#: one of these stands before nearly every key and value of YAML
_SEPARATORS = (b",", b"\n", b":", b"[", b"{", b"- ")


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


#: says what a body is for, "action" or "playbook", and the names of the parameters that it declares
Declared = Callable[[], tuple[str, Collection[str]]]


def load(schema: Schema, declared: Declared | None = None) -> Any:
    """The body of the present request as ``schema`` loads it.

    No body counts as an empty object. What webargs does with a body, at a fraction of the cost. ``declared`` is asked
    only about a faulty body: a value next to ``parameters`` may belong into it.

    Raises:
        As ``read``, and BadRequest: it is not what the schema wants.
    """
    value = read(present())
    if isinstance(value, dict) and (loaded := schema.plainly(value)) is not None:
        return loaded
    if isinstance(value, dict) and len(value) > _MANY:
        _refuse_many(schema, value)
    try:
        return schema.load({} if value is missing else value, unknown=RAISE)
    except ValidationError as error:
        if declared is not None and isinstance(value, dict) and isinstance(error.messages, dict):
            _recognise(error.messages, value, schema, declared)
        abort(Parser.DEFAULT_VALIDATION_STATUS, exc=error, messages={"json": error.messages}, schema=schema)


def _recognise(messages: dict[str, Any], value: dict[str, Any], schema: Schema, declared: Declared) -> None:
    """Name the members that are parameters, written next to ``parameters``."""
    astray = messages.keys() & value.keys() - schema.load_fields.keys()
    if not astray:
        return
    noun, names = declared()
    for name in astray & set(names):
        messages[name] = [f"'{name}' is a parameter of this {noun}: put it under \"parameters\""]


def _refuse_many(schema: Schema, value: dict[str, Any]) -> None:
    """Name some of very many unknown members.

    The schema would take a while to name all.
    """
    known = {field.data_key or name for name, field in schema.load_fields.items()}
    unknown = [name for name in value if name not in known]
    if len(unknown) > MAX_NAMED:
        named: dict[str, list[str]] = {name: [schema.no_member(name)] for name in unknown[:MAX_NAMED]}
        named["_schema"] = [f"and {len(unknown) - MAX_NAMED} more that are unknown"]
        abort(Parser.DEFAULT_VALIDATION_STATUS, messages={"json": named}, schema=schema)


def read_object(*, yaml: bool = False) -> dict[str, Any]:
    """The body of the present request as a JSON object.

    ``yaml`` says that it may be written as YAML.

    Raises:
        InvalidRequest: it is missing or something else.
    """
    value = read(present(), yaml=yaml)
    if not isinstance(value, dict):
        playbook = "A playbook is a mapping that begins with name: and steps:."  # no other object is taken as YAML
        raise InvalidRequest(playbook if yaml else "The body must be a JSON object.")
    return value


def refuse() -> None:
    """Raise InvalidRequest for a body that no handler would read."""
    asked = present()
    said = asked.environ
    if not said.get("CONTENT_LENGTH") and not said.get("HTTP_TRANSFER_ENCODING"):
        return
    if (asked.content_length or asked.headers.get("Transfer-Encoding")) and read(asked) not in (missing, {}):
        raise InvalidRequest("This operation takes no body.")


def read_zip(most: int) -> bytes:
    """The body of the present request as the bytes of an archive; ``most`` is how many it may have.

    Raises:
        UnsupportedMediaType: it is declared as something else. RequestEntityTooLarge. InvalidRequest: there is none.
        TooSlow: it did not arrive in time.
    """
    asked = present()
    if asked.mimetype not in _ZIPS:
        raise UnsupportedMediaType(f"Send the archive with Content-Type: {_ZIPS[0]}.")
    if asked.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body as it is, without Content-Encoding.")
    raw = _bytes(asked, most)
    if not raw:
        raise InvalidRequest("The body must be the archive of a bundle.")
    return raw


def read(req: Request, *, yaml: bool = False, most: int = MAX_BYTES) -> Any:
    """The body's value, ``missing`` for an empty one.

    ``yaml`` says that it may be written as YAML, ``most`` how many bytes it may have.

    Raises:
        UnsupportedMediaType: it is not plain JSON. RequestEntityTooLarge. InvalidRequest: it is not sound.
        TooSlow: it did not arrive in time.
    """
    raw = _bytes(req, most)
    if not raw:
        return missing
    if req.environ.get("CONTENT_TYPE") == _JSON and "HTTP_CONTENT_ENCODING" not in req.environ:  # nearly always
        return parse(raw) if len(raw) <= _LARGE else pool.in_turn(parse, raw)
    kind = req.mimetype
    if kind not in ((_JSON, _YAML) if yaml else (_JSON,)):
        or_yaml = f", or as YAML, with Content-Type: {_YAML}" if yaml else ""
        raise UnsupportedMediaType(f"Send the body as JSON, with Content-Type: {_JSON}{or_yaml}.")
    charset = req.mimetype_params.get("charset", "utf-8")
    if charset.lower() not in _CHARSETS:
        raise UnsupportedMediaType(f"Send the body in UTF-8: the charset {charset[:64]!r} is not read here.")
    if req.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body as it is, without Content-Encoding.")
    if kind == _YAML:
        return parse_yaml(raw)
    return parse(raw) if len(raw) <= _LARGE else pool.in_turn(parse, raw)


def _bytes(req: Request, most: int) -> bytes:
    whole = req.environ["wsgi.input"]
    if type(whole) is BytesIO and req.environ.get("CONTENT_LENGTH", "").isdecimal():  # it came with its head
        size = len(whole.getbuffer())
        if size < most and int(req.environ["CONTENT_LENGTH"]) == size:
            return whole.read()
    if most != MAX_BYTES:
        req.max_content_length = most
    try:
        with HERE.aside():
            raw = req.get_data(cache=False)
    except RequestEntityTooLarge:
        _forget(req)
        raise _too_large(req, most) from None
    except (HTTPException, TooSlow):
        raise
    except Exception as error:  # the server could not make out the chunks; its errors have no base in common
        raise InvalidRequest("The body could not be read to its end.") from error
    if len(raw) >= most and _forget(req):  # of chunks the library gives that much, and does not say that it is cut
        raise _too_large(req, most)
    return raw


def _too_large(req: Request, most: int) -> RequestEntityTooLarge:
    given = f"{req.content_length:,} bytes" if req.content_length else f"more than {most:,} bytes"
    return RequestEntityTooLarge(f"The body has {given}; at most {most:,} are taken.")


def _forget(req: Request) -> bool:
    """Read the rest of a body that is not far too large.

    Its caller then receives the error. Returns whether there is one. If the client disconnects meanwhile, the error is
    still sent.
    """
    source, left = req.environ["wsgi.input"], MOST_FORGOTTEN
    if (req.content_length or 0) > left:
        return True
    with contextlib.suppress(Exception):
        while left > 0 and (piece := source.read(min(left, _PIECE))):
            left -= len(piece)
    return left < MOST_FORGOTTEN


def parse_yaml(raw: bytes) -> Any:
    """The JSON value that ``raw`` writes as YAML.

    Raises:
        InvalidRequest: it is not YAML, or holds what cannot be stored. Busy: too much of that is being read.
    """
    way = pool.way(sum(map(raw.count, _SEPARATORS)) * strict_yaml.OF_NODE)
    try:
        value = way(strict_yaml.load, raw.decode())
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The body is not UTF-8 (byte {error.start}).") from error
    inspect(value)
    return value
