"""The page behind a link: what is to be decided, for which tenant, and one button.

It has no script and loads nothing. To look at it decides nothing, because mail scanners follow links; the button sends
the request that does.
"""

from typing import Any

from flask import Response
from markupsafe import Markup

from api.http.times import stamp
from api.pages.html import PRIVATE, page

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
    return page(title, body, status, PRIVATE)
