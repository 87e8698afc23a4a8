"""The pages of error codes: what a code means and what to do, at the address that the ``type`` of an error has.

They are the same for all and hold no value of any request, so they need no key and may be kept for an hour.
"""

import functools
import re
from http import HTTPStatus

from flask import Blueprint, Response
from markupsafe import Markup, escape

from api.http.auth import public
from api.pages.html import HEADERS, page
from config.error_codes.entry import ErrorCode
from config.error_codes.table import CODES, PAGES
from config.errors import NotFound
from expressions.suggestions import did_you_mean

blueprint = Blueprint("errors", __name__)

_KEPT = {**HEADERS, "Cache-Control": "public, max-age=3600"}
#: characters of an unknown code that are shown
_SHOWN_CHARACTERS = 64
_ENDS = "Executions, steps or runs end with it, or an answer names it for one of several things."
_BACK = Markup('<p><a href="{pages}">All error codes</a> · <a href="/docs">The API</a></p>').format(pages=PAGES)


@blueprint.get(PAGES)
@public
def list_codes() -> Response:
    """Every code with its meaning."""
    item = Markup('<dt><a href="{pages}/{code}"><code>{code}</code></a></dt><dd>{meaning}</dd>')
    items = Markup("").join(item.format(pages=PAGES, code=code, meaning=row.sentence()) for code, row in CODES.items())
    words = Markup("<p>Branch on <code>code</code>: it never changes its meaning. The text of an error may.</p>")
    return page("Error codes", words + Markup("<dl>{items}</dl>").format(items=items), headers=_KEPT)


@blueprint.get(f"{PAGES}/<string:code>")
@public
def show_code(code: str) -> Response:
    """One code.

    Raises:
        NotFound: there is no such code.
    """
    row = CODES.get(code)
    if row is None:
        shown = code[:_SHOWN_CHARACTERS]
        raise NotFound(f"There is no error code {shown!r}{did_you_mean(shown, CODES)}. All codes: {PAGES}")
    return page(code, _about(row), headers=_KEPT)


@functools.lru_cache(maxsize=256)
def _about(row: ErrorCode) -> Markup:
    where = [f"{status} {HTTPStatus(status).phrase}" for status in row.statuses] + ([_ENDS] if row.ends else [])
    pair = Markup("<dt>{name}</dt><dd>{value}</dd>")
    pairs = Markup("").join(
        pair.format(name=name, value=value)
        for name, value in (
            ("Meaning", row.sentence()),
            ("What to do", _with_code(row.remedy)),
            ("Where", Markup("<br>").join(where)),
        )
    )
    return Markup("<dl>{pairs}</dl>").format(pairs=pairs) + _BACK


def _with_code(text: str) -> Markup:
    """A text with what stands in backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - it is escaped
