"""The page behind a link: what is to be decided, for which tenant, and one button.

It has no script and loads nothing. To look at it decides nothing, because mail scanners follow links; the button sends
the request that does.
"""

import base64
import hashlib
from typing import Any

from flask import Response
from markupsafe import Markup, escape

from api.http.times import stamp

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#1b1f24}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}dt{color:#57606a}dd{margin:0;"
    "overflow-wrap:anywhere}pre{white-space:pre-wrap;background:#f6f8fa;padding:1rem;border-radius:6px}"
    "button{font:inherit;padding:.6rem 1.6rem;border:0;border-radius:6px;color:#fff;background:#1f6feb;cursor:pointer}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: nothing is loaded, run or framed; the form goes to where the page comes from
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}
_PAGE = Markup(
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
    "<style>{style}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>\n"
)
_VERBS = {"approve": "Approve", "reject": "Reject"}
_SAID = {
    "approved": "It is approved.",
    "rejected": "It is rejected.",
    "pending": "Your vote counts; further votes are needed.",
}


def question(row: Any, decision: str, recipient: str | None) -> Response:
    """The page that asks whether to decide so."""
    button = Markup('<form method="post"><button type="submit">{verb}</button></form>').format(verb=_VERBS[decision])
    return _page(f"{_VERBS[decision]} this?", _about(row, recipient) + button)


def decided(row: Any, members: dict[str, Any], recipient: str | None) -> Response:
    """The page after a decision."""
    outcome = members["outcome"] or {}
    word = outcome.get("outcome") if isinstance(outcome, dict) else None
    more = Markup("<p>Outcome: {word}</p>").format(word=word) if word else Markup("")
    return _page(_SAID.get(members["status"], members["status"]), more + _about(row, recipient))


def refused(status: int, text: str) -> Response:
    """The page that says why nothing was decided."""
    return _page("Nothing was decided", Markup("<p>{text}</p>").format(text=text), status)


def _about(row: Any, recipient: str | None) -> Markup:
    facts = {
        "Tenant": row.workspace_id,
        "Namespace": row.namespace,
        "What": row.action_type,
        "By": row.provider,
        "Rule": row.rule,
        "Asked by": row.requested_by,
        "For": recipient,
        "Open until": stamp(row.expires_at),
    }
    pair = Markup("<dt>{name}</dt><dd>{value}</dd>")
    pairs = Markup("").join(pair.format(name=name, value=value) for name, value in facts.items() if value)
    return Markup("<pre>{message}</pre><dl>{pairs}</dl>").format(message=row.message, pairs=pairs)


def _page(title: str, body: Markup, status: int = 200) -> Response:
    text = _PAGE.format(title=escape(title), style=Markup(_STYLE), body=body)  # noqa: S704 - the style is ours
    return Response(str(text), status, HEADERS, content_type="text/html; charset=utf-8")
