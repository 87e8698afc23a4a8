"""Lists in pages: their query parameters and their answers.

A list is read by page numbers (``page``, ``per_page``) or from one part to the next (``cursor``, ``limit``). Pages end
at a depth where a cursor is the better way; a cursor costs the same anywhere (``store.paging``).
"""

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from flask import Response
from marshmallow import ValidationError, fields, validate, validates_schema

from api.http.auth import caller
from api.http.base_schema import Schema
from api.http.blueprint import answer
from api.http.current_request import present
from api.http.load import HERE, LISTS
from api.http.schemas import without_nul
from config import times
from config.errors import InvalidRequest, Problem
from store.definitions.versioned import Page
from store.engine import db
from store.engine.db import Connection
from store.paging import DEEPEST, Found, Part
from store.sealing import cursors

#: beyond this a page number is a mistake, whatever the size of a page
_LAST_PAGE = DEEPEST
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: the last moment whose year has four digits, ms: stamps are compared as texts
_LAST_STAMP = 253_402_300_799_999
_CURSOR_CHARACTERS = 1024
#: items of a page or part
MOST_ITEMS = 100
#: items of a part whose limit is not given, in a list that is shown whole by default
_PART = 100

#: the header with the address of what follows
LINK = {
    "Link": {
        "description": 'Where the list goes on: `<ADDRESS>; rel="next"`; without it the list ends here.',
        "schema": {"type": "string"},
    }
}

Given = ParamSpec("Given")
Rows = TypeVar("Rows")
Item = TypeVar("Item")


class CursorQuery(Schema):
    """The query parameters of every list that can be read on."""

    cursor = fields.String(
        metadata={
            "description": "The next_cursor of the part before: what follows it, whatever was added meanwhile. "
            "The filters must be the same.",
            "pattern": "^[A-Za-z0-9_-]+$",
            "maxLength": _CURSOR_CHARACTERS,
        },
    )
    limit = fields.Integer(
        validate=validate.Range(min=1, max=MOST_ITEMS),
        metadata={"description": "Items of a part read by cursor, up to 100.", "example": 20},
    )


class SinceQuery(CursorQuery):
    """The query parameters of logs."""

    since = fields.AwareDateTime(
        format="iso",
        default_timezone=UTC,
        metadata={"description": "Only what is of this time or later.", "example": "2026-04-28T09:00:00Z"},
    )


class PageQuery(CursorQuery):
    """The query parameters of every list in pages."""

    page = fields.Integer(
        load_default=1,
        validate=validate.Range(min=1, max=_LAST_PAGE),
        metadata={
            "description": f"Which page, from 1. A page that would end beyond item {DEEPEST:,} is refused: "
            "read on with cursor instead.",
            "example": 1,
        },
    )
    per_page = fields.Integer(
        load_default=20,
        validate=validate.Range(min=1, max=MOST_ITEMS),
        metadata={"description": "Items on a page, up to 100.", "example": 20},
    )

    @validates_schema(pass_original=True)
    def _one_way(self, query: dict[str, Any], given: Mapping[str, Any], **_: Any) -> None:
        for way, other in (("cursor", "page"), ("cursor", "per_page"), ("limit", "page"), ("limit", "per_page")):
            if way in given and other in given:
                raise ValidationError(
                    f"Give {other} or {way}: page and per_page go together, cursor and limit do.", other
                )
        if query["page"] * query["per_page"] > DEEPEST:
            text = f"page times per_page is at most {DEEPEST:,}. To read on, send meta.next_cursor of a page as cursor."
            raise ValidationError(text, "page")


class PeriodQuery(PageQuery):
    """The query parameters of lists with a period of time."""

    since = fields.AwareDateTime(
        format="iso",
        default_timezone=UTC,
        data_key="from",
        metadata={"description": "Only those created at this time or later.", "example": "2026-04-28T00:00:00Z"},
    )
    until = fields.AwareDateTime(
        format="iso",
        default_timezone=UTC,
        data_key="to",
        metadata={"description": "Only those created before this time.", "example": "2026-04-29T00:00:00Z"},
    )


def text(most: int, description: str, example: str, *, required: bool = False) -> fields.String:
    """A text in a query string, without NUL."""
    checks = [validate.Length(min=1, max=most), without_nul()]
    shown = {"description": description, "example": example}
    return fields.String(required=required, validate=checks, metadata=shown)


def enabled() -> fields.Boolean:
    """The filter of lists whose items can be disabled."""
    metadata = {"description": "Only enabled (or disabled) ones.", "example": True}
    return fields.Boolean(truthy={"true"}, falsy={"false"}, metadata=metadata)


def sort_by(columns: Sequence[str]) -> fields.String:
    """The column that a list is sorted by.

    Without one it is the time of creation.
    """
    metadata = {"description": "What the list is sorted by.", "example": "name"}
    return fields.String(load_default="created_at", validate=validate.OneOf(columns), metadata=metadata)


def sort_order() -> fields.String:
    """The direction of sorting; the last first by default."""
    metadata = {"description": "Ascending or descending.", "example": "asc"}
    return fields.String(load_default="desc", validate=validate.OneOf(("asc", "desc")), metadata=metadata)


def part(query: Mapping[str, Any]) -> Part:
    """What is wanted of a list, for the store.

    Raises:
        InvalidRequest: the cursor is not one of this list.
    """
    if "cursor" in query or "limit" in query:
        return Part(query.get("limit", query["per_page"]), after=_position(query), counted=False)
    return Part(query["per_page"], (query["page"] - 1) * query["per_page"])


#: the parameters that say which part of a list is wanted
_PARTS = ("page", "per_page", "cursor", "limit", "offset")


def _position(query: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The position behind which the list of the present request goes on."""
    return position(query["cursor"], _name(query)) if "cursor" in query else None


def position(cursor: str, name: str, *, pointer: str = "/query/cursor") -> tuple[Any, ...]:
    """The position in the list of this name that a cursor has.

    Raises:
        InvalidRequest: it is not one of this list; ``pointer`` says where it was given.
    """
    found = cursors.position(cursor, name) if len(cursor) <= _CURSOR_CHARACTERS else None
    if found is None:
        text = "is no next_cursor of this list with these filters; send it as it was given, or begin without one"
        problems = [Problem(pointer, text)]
        raise InvalidRequest("The list cannot be read on.", code="invalid_cursor", problems=problems)
    return found


def _name(query: Mapping[str, Any]) -> str:
    """The name of the list of the present request: workspace, path, filters."""
    return named(present().path.rstrip("/").removeprefix("/api").removeprefix("/v1"), query)


def named(listed: str, query: Mapping[str, Any]) -> str:
    """The name of a filtered list of the caller's, to which its cursors belong, at whatever address it is read."""
    filters = sorted((name, str(value)) for name, value in query.items() if name not in _PARTS)
    return json.dumps([caller().workspace_id, listed, filters])


def part_after(query: Mapping[str, Any], name: str, *, counted: bool = False) -> Part:
    """What is wanted of the list of this name, which has no pages.

    Raises:
        InvalidRequest: the cursor is not one of this list.
    """
    after = position(query["cursor"], name) if "cursor" in query else None
    return Part(query["limit"], query.get("offset", 0) if after is None else 0, after=after, counted=counted)


def next_cursor(found: Found, name: str) -> str | None:
    """What to send as cursor for what follows in the list of this name; None at its end."""
    return cursors.cursor(found.goes_on_after, name) if found.goes_on_after is not None else None


def read(query: Callable[Concatenate[Connection, Given], Rows], *args: Given.args, **more: Given.kwargs) -> Rows:
    """What ``query(connection, ...)`` reads of a list, while other requests go on.

    Raises:
        Unavailable: the database cannot be reached, or too many lists are being read.
    """
    with HERE.aside(), LISTS.turn():
        return db.read_aside(query, *args, **more)


def sorted_page(query: dict[str, Any]) -> Page:
    """The page of a sorted list, for the store."""
    return Page(query["sort_by"], query["sort_order"] == "desc", part(query))


def period(query: Mapping[str, Any]) -> dict[str, int]:
    """``since`` and ``until`` for the store, milliseconds, if given."""
    return {name: int((query[name] - _EPOCH).total_seconds() * 1000) for name in ("since", "until") if name in query}


def stamp_of(since: datetime | None) -> str:
    """What a stamp of this moment or later is not less than; '' of any."""
    if since is None:
        return ""
    milliseconds = math.ceil((since - _EPOCH).total_seconds() * 1000)
    return times.stamp(min(max(0, milliseconds), _LAST_STAMP))


def page(items: Sequence[Any], found: Found, query: Mapping[str, Any]) -> Response:
    """The answer that shows a part of a list."""
    meta: dict[str, Any] = {}
    if found.total is not None:
        size = query["per_page"]
        meta = {"total": found.total.number, "page": query["page"], "per_page": size}
        meta |= {"total_pages": -(-found.total.number // size), "total_is_estimate": found.total.is_estimate}
    meta["next_cursor"] = next_cursor(found, _name(query))
    return part_answer(items, meta, query)


def part_answer(items: Any, meta: Mapping[str, Any], query: Mapping[str, Any]) -> Response:
    """The answer that shows a part of a list, with the address of what follows."""
    return answer({"data": items, "meta": meta}, headers=_link(meta["next_cursor"], query))


def _link(cursor: str | None, query: Mapping[str, Any]) -> dict[str, str] | None:
    """The header that names what follows: the address of the present request, with that cursor."""
    if cursor is None:
        return None
    limit = query.get("limit", query.get("per_page", _PART))
    asked = parse_qsl(present().query_string.decode("ascii", "replace"), keep_blank_values=True)
    filters = [(name, value) for name, value in asked if name not in _PARTS]
    address = f"{quote(present().path)}?{urlencode([*filters, ('limit', limit), ('cursor', cursor)])}"
    return {"Link": f'<{address}>; rel="next"'}


def part_of(
    items: Iterable[Item], position: Callable[[Item], list[Any]], query: Mapping[str, Any]
) -> tuple[list[Item], dict[str, Any]]:
    """The wanted part of a list that is at hand, sorted by position, and its ``meta``.

    Without ``cursor`` and ``limit`` that is the whole list.
    """
    keyed = sorted(((position(item), item) for item in items), key=itemgetter(0))
    after = _position(query)
    if after is not None:
        keyed = keyed[bisect_right(keyed, list(after), key=itemgetter(0)) :]
    limit = query.get("limit", _PART if after is not None else len(keyed))
    goes_on = cursors.cursor(keyed[limit - 1][0], _name(query)) if len(keyed) > limit else None
    return [item for _, item in keyed[:limit]], {"next_cursor": goes_on}
