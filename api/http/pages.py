"""Lists in pages: their query parameters and their answers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Response
from marshmallow import fields, validate

from api.http.base_schema import Schema
from api.http.blueprint import answer
from store.definitions.versioned import Page

#: beyond this a page number is a mistake, and its offset would not fit into the database's integers
_LAST_PAGE = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PageQuery(Schema):
    """The query parameters of every list."""

    page = fields.Integer(
        load_default=1,
        validate=validate.Range(min=1, max=_LAST_PAGE),
        metadata={"description": "Which page, from 1.", "example": 1},
    )
    per_page = fields.Integer(
        load_default=20,
        validate=validate.Range(min=1, max=100),
        metadata={"description": "Items on a page, up to 100.", "example": 20},
    )


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


def text(most: int, description: str, example: str) -> fields.String:
    """A text in a query string, without NUL.

    No database stores NUL.
    """
    checks = [validate.Length(min=1, max=most), validate.ContainsNoneOf("\0", error="Must not hold NUL.")]
    return fields.String(validate=checks, metadata={"description": description, "example": example})


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


def bounds(query: dict[str, Any]) -> dict[str, int]:
    """``limit`` and ``offset`` for the store."""
    return {"limit": query["per_page"], "offset": (query["page"] - 1) * query["per_page"]}


def sorted_page(query: dict[str, Any]) -> Page:
    """The page of a sorted list, for the store."""
    return Page(query["sort_by"], query["sort_order"] == "desc", **bounds(query))


def period(query: Mapping[str, Any]) -> dict[str, int]:
    """``since`` and ``until`` for the store, milliseconds, if given."""
    return {name: int((query[name] - _EPOCH).total_seconds() * 1000) for name in ("since", "until") if name in query}


def page(items: Sequence[Any], total: int, query: dict[str, Any]) -> Response:
    """The answer that shows one page."""
    size = query["per_page"]
    meta = {"total": total, "page": query["page"], "per_page": size, "total_pages": -(-total // size)}
    return answer({"data": items, "meta": meta})
