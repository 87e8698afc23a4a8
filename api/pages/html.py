"""The frame of every page: our style, and headers by which nothing is loaded, run or framed."""

import base64
import hashlib

from flask import Response
from markupsafe import Markup, escape

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#1b1f24}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}dt{color:#57606a}dd{margin:0;"
    "overflow-wrap:anywhere}pre{white-space:pre-wrap;background:#f6f8fa;padding:1rem;border-radius:6px}"
    "code{background:#f6f8fa;padding:.1rem .3rem;border-radius:4px}a{color:#0550ae}"
    "button{font:inherit;padding:.6rem 1.6rem;border:0;border-radius:6px;color:#fff;background:#1f6feb;cursor:pointer}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: a form goes to where the page comes from
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
#: the same for a page that shows what only its reader may see
PRIVATE = {**HEADERS, "Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow"}
_PAGE = Markup(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
    "<style>{style}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>\n"
)


def page(title: str, body: Markup, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A page with this title and body."""
    text = _PAGE.format(title=escape(title), style=Markup(_STYLE), body=body)  # noqa: S704 - the style is ours
    return Response(str(text), status, headers or HEADERS, content_type="text/html; charset=utf-8")
