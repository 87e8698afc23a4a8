"""The shapes and example bodies of approvals."""

from typing import Any

from marshmallow import fields, validate
from webargs.fields import DelimitedList

from api.gateway.dispatch.schemas import EXECUTED
from api.http import pages
from api.http.base_schema import Answer, Schema
from api.http.examples import ACTOR
from api.http.schemas import actor, described, moment, text
from store.gateway.approvals import PENDING, STATUSES

_NAME_CHARACTERS = 255
_LIMIT, _MOST = 50, 1_000


def _status() -> Any:
    return DelimitedList(
        fields.String(validate=validate.OneOf(STATUSES)),
        load_default=[PENDING],
        validate=validate.Length(min=1, max=len(STATUSES)),
        metadata={"description": "Only these statuses, separated by commas.", "example": [PENDING]},
    )


class ApprovalQuery(Schema):
    """The filters of the list under ``/v1``, and which part of it is wanted."""

    status = _status()
    namespace = pages.text(_NAME_CHARACTERS, "Only those of this namespace.", "notifications")
    tenant = pages.text(_NAME_CHARACTERS, "Only those of this tenant.", "default")
    limit = fields.Integer(
        load_default=_LIMIT,
        validate=validate.Range(min=1, max=_MOST),
        metadata={"description": f"How many at most, up to {_MOST:,}.", "example": _LIMIT},
    )
    cursor = pages.CursorQuery().fields["cursor"]


class ApprovalPageQuery(pages.PageQuery):
    """The filters of the list under ``/api``."""

    status = _status()
    namespace = pages.text(_NAME_CHARACTERS, "Only those of this namespace.", "notifications")
    tenant = pages.text(_NAME_CHARACTERS, "Only those of this tenant.", "default")


class Vote(Answer):
    """One vote about an approval."""

    voter = text("Whose vote it is: a key, a user, an approver by name, the recipient of a link.")
    voter_actor = actor("Who that is.")
    decision = fields.String(metadata=described("What it says.", enum=["approve", "reject"]))
    note = text("Why.")
    at = moment("When it was given.")
    via = fields.String(metadata=described("How it was given.", enum=["api", "link"]))


class Approval(Answer):
    """Something that waits for a decision, or has been decided."""

    id = text("Its id.")
    token = text("The same, as existing clients call it.")
    status = fields.String(metadata=described("Where it stands.", enum=list(STATUSES)))
    origin = fields.String(metadata=described("Who asks.", enum=["rule", "step", "action"]))
    rule = text("The rule that asks.", null=True)
    message = text("What is asked.")
    namespace = text("The namespace of what waits.")
    tenant = text("Its tenant, which is a workspace.")
    provider = text("The provider by which it would go out; approval where nothing goes out.")
    action_type = text("Its action type.")
    execution_id = text("The execution that waits.")
    requested_by = text("The key or user that has asked for it.")
    requested_by_actor = actor("Who that is.")
    approvers = fields.List(fields.String(), metadata=described("The only ones who may decide, if there are any."))
    quorum = fields.Integer(metadata=described("Votes that approve it."))
    reject_quorum = fields.Integer(metadata=described("Votes that reject it."))
    requester_may_approve = fields.Boolean(
        allow_none=True, metadata=described("Whether who has asked may approve; null: as the definition says.")
    )
    created_at = moment("When it was asked.")
    expires_at = moment("Until when it can be decided.")
    decided_at = moment("When it was decided.", null=True)
    decided_by = text("The voter whose vote decided it.", null=True)
    decided_by_actor = actor("Who that is.")
    note = text("Why.", null=True)
    notify = text("The provider by which it is made known.", null=True)
    notification_sent = fields.Boolean(metadata=described("Whether a notice was accepted."))
    notices = fields.Integer(metadata=described("How often notices were accepted, reminders included."))
    notice_ids = fields.List(fields.String(), metadata=described("The dispatches of the last notice."))
    notice_error = text("Why the last notice was not sent; it is tried again.", null=True)
    votes = fields.List(
        fields.Nested(Vote), metadata=described("Of one approval: its votes, the oldest first.", sometimes=True)
    )


class Approvals(Answer):
    """Some of the approvals."""

    approvals = fields.List(fields.Nested(Approval), metadata=described("The approvals, the newest first."))
    count = fields.Integer(metadata=described("How many are listed here."))
    next_cursor = text("What to send as cursor for those that follow; null at the end.", null=True)


class DecidedApproval(Answer):
    """What a decision has come to."""

    id = text("The approval.")
    status = fields.String(
        metadata=described("approved or rejected; pending where further votes are needed.", enum=list(STATUSES))
    )
    outcome = fields.Dict(
        allow_none=True,
        metadata=described("What became of what waited, as a dispatch is answered; null while votes are missing."),
    )


class DecidedApprovalAnswer(DecidedApproval):
    """The same, also as data."""

    data = fields.Nested(DecidedApproval)


_ID = "apr-9f0c2a9be1d34c7f5f0c2a9be1d34c7f"
APPROVAL: dict[str, Any] = {
    "id": _ID,
    "token": _ID,
    "status": PENDING,
    "origin": "rule",
    "rule": "ask-before-containment",
    "message": "Isolate web-02?",
    "namespace": "alerts",
    "tenant": "default",
    "provider": "contain",
    "action_type": "isolate",
    "execution_id": "disp-0199f3c2a1b46d0e8f2c41",
    "requested_by": "3f1c9a60b2d4",
    "requested_by_actor": ACTOR,
    "approvers": [],
    "quorum": 1,
    "reject_quorum": 1,
    "requester_may_approve": False,
    "created_at": "2026-04-28T09:00:00.000Z",
    "expires_at": "2026-04-28T10:00:00.000Z",
    "decided_at": None,
    "decided_by": None,
    "decided_by_actor": None,
    "note": None,
    "notify": "mail",
    "notification_sent": True,
    "notices": 1,
    "notice_ids": ["disp-0199f3c2a1b46d0e8f2c42"],
    "notice_error": None,
}
PAGE: dict[str, Any] = {"approvals": [APPROVAL], "count": 1, "next_cursor": None}
ONE: dict[str, Any] = {**APPROVAL, "votes": []}
DECIDED: dict[str, Any] = {"id": _ID, "status": "approved", "outcome": EXECUTED}
ANSWERED: dict[str, Any] = {**DECIDED, "data": DECIDED}
