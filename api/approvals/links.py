"""``/v1/approvals/{namespace}/{tenant}/{id}/approve`` and ``…/reject``: links that decide, without a login.

A link is signed. One that is wrong in any part, foreign or unknown is answered 404, always with the same body after the
same work: one look at the database, one signature for each key. Only one with a good signature learns that it has
expired, that its approval is decided, or that its recipient was revoked: 410. GET and HEAD show a page; POST decides. A
link stands for its recipient, whatever key a request carries besides.
"""

import re
from types import SimpleNamespace
from typing import Any, NamedTuple

from flask import Response

from api.approvals import deciding, page
from api.approvals import schemas as shapes
from api.http.auth import public
from api.http.blueprint import Blueprint, answer
from api.http.current_request import present
from api.http.documented import error_answers
from config.errors import CallerError, Conflict, Forbidden, Gone, NotFound
from gateway.approvals import signing
from store.engine import db
from store.gateway import approvals
from tasks.control import voting
from tasks.policy import approval_links

blueprint = Blueprint("approval_links", __name__, tag="approvals")

_ONCE = ("sig", "expires_at", "kid", "recipient")
_TIME = re.compile(r"[1-9][0-9]{0,11}")
_PATH = "/approvals/<path:namespace>/<path:tenant>/<path:approval_id>"
_DESCRIBED: tuple[dict[str, Any], ...] = (
    {"in": "path", "name": "namespace", "description": "The namespace of what waits.", "example": "alerts"},
    {"in": "path", "name": "tenant", "description": "Its tenant.", "example": "default"},
    {"in": "query", "name": "sig", "required": True, "description": "The signature.", "schema": {"type": "string"}},
    {
        "in": "query",
        "name": "expires_at",
        "required": True,
        "description": "Until when the link is good, seconds since 1970.",
        "schema": {"type": "string"},
    },
    {"in": "query", "name": "kid", "description": "The key of the signature.", "schema": {"type": "string"}},
    {
        "in": "query",
        "name": "recipient",
        "description": "The recipient, whose vote the link is.",
        "schema": {"type": "string"},
    },
)
#: what is compared in place of an approval that is not there
_NONE = SimpleNamespace(namespace="", workspace_id="", id="", digest="")


class Known(NamedTuple):
    """A link with a good signature."""

    row: Any
    recipient: str | None
    expires_at: int


@blueprint.get(f"{_PATH}/approve", parameters=_DESCRIBED)
@public
@blueprint.answers(200, words="A page with what is asked and one button. It decides nothing.", fails=(404, 410))
def get_approve_link(namespace: str, tenant: str, approval_id: str) -> Response:
    """Get what a link would approve.

    Nothing is decided.
    """
    return _shown(namespace, tenant, approval_id, voting.APPROVE)


@blueprint.get(f"{_PATH}/reject", parameters=_DESCRIBED)
@public
@blueprint.answers(200, words="A page with what is asked and one button. It decides nothing.", fails=(404, 410))
def get_reject_link(namespace: str, tenant: str, approval_id: str) -> Response:
    """Get what a link would reject.

    Nothing is decided.
    """
    return _shown(namespace, tenant, approval_id, voting.REJECT)


@blueprint.post(f"{_PATH}/approve", parameters=_DESCRIBED)
@public
@blueprint.answers(
    200,
    shapes.DecidedApproval(),
    example=shapes.DECIDED,
    words="The vote counts.",
    fails=(404, 409, 410, *error_answers.VOTED),
)
def approve_by_link(namespace: str, tenant: str, approval_id: str) -> Response:
    """Approve by a link.

    The vote is that of the recipient of the link. The answer comes with the outcome, as that of a dispatch.
    """
    return _decided(namespace, tenant, approval_id, voting.APPROVE)


@blueprint.post(f"{_PATH}/reject", parameters=_DESCRIBED)
@public
@blueprint.answers(
    200,
    shapes.DecidedApproval(),
    example=shapes.DECIDED,
    words="The vote counts.",
    fails=(404, 409, 410, *error_answers.VOTED),
)
def reject_by_link(namespace: str, tenant: str, approval_id: str) -> Response:
    """Reject by a link.

    The vote is that of the recipient of the link.
    """
    return _decided(namespace, tenant, approval_id, voting.REJECT)


@public
def nowhere(**_: str) -> Response:
    """Answer what is no link as a wrong link is answered."""
    return _decided("", "", "", voting.APPROVE)


def _shown(namespace: str, tenant: str, approval_id: str, decision: str) -> Response:
    try:
        known = _known(namespace, tenant, approval_id, decision)
    except Gone as gone:
        return page.refused(gone.status, str(gone))
    return page.question(known.row, decision, known.recipient)


def _decided(namespace: str, tenant: str, approval_id: str, decision: str) -> Response:
    try:
        known = _known(namespace, tenant, approval_id, decision)
        try:
            voter = voting.by_link(known.recipient)
            members = deciding.decide(known.row, voter, decision)
        except Conflict as conflict:
            if conflict.code != "not_waiting":
                raise
            raise Gone(str(conflict)) from conflict
    except (Conflict, Forbidden, Gone) as refusal:
        return _refused(refusal)
    return page.decided(known.row, members, known.recipient) if _wants_page() else answer(members)


def _refused(refusal: CallerError) -> Response:
    if _wants_page():
        return page.refused(refusal.status, str(refusal))
    raise refusal


def _wants_page() -> bool:
    """Whether a browser asks."""
    kinds = present().accept_mimetypes
    return kinds.best_match(("application/json", "text/html"), "application/json") == "text/html"


def _known(namespace: str, tenant: str, approval_id: str, decision: str) -> Known:
    """The approval of a link with a good signature.

    Raises:
        NotFound: it is wrong in any part, or there is no such approval. Gone: it has expired, is decided, or its
        recipient may not decide any more.
    """
    # a namespace may have slashes: the last two parts are tenant and id
    *front, tenant, approval_id = f"{namespace}/{tenant}/{approval_id}".split("/")
    namespace, given = "/".join(front), present().args
    once = all(name in _ONCE and len(given.getlist(name)) == 1 for name in given)
    sig, expires, kid, recipient = (given.get(name) for name in _ONCE)
    timed = expires is not None and _TIME.fullmatch(expires) is not None
    found = db.read_one(approvals.read, approval_id.replace("\0", ""))
    row = found if found is not None else _NONE
    link = approval_links.link_of(row, decision, int(expires) if timed and expires else 0, recipient)
    right = signing.is_right(approval_links.ring(), link, sig or "", kid)
    mine = (row.namespace, row.workspace_id, row.id) == (namespace, tenant, approval_id)
    if found is None or not (right and mine and once and timed):
        raise NotFound("There is no such approval.")
    if link.expires_at * 1000 <= db.now_ms() or found.status == approvals.EXPIRED:
        raise Gone("The link has expired.")
    if found.status != approvals.PENDING:
        raise Gone(f"It is decided already: it is {found.status}.")
    if voting.is_revoked(recipient, found.workspace_id):
        raise Gone("The link is no good any more: the key or the user to which it was given was revoked.")
    return Known(found, recipient, link.expires_at)
