"""The shapes and example bodies of events."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema
from webargs.fields import DelimitedList

from api.http import pages
from api.http.base_schema import Answer, Schema
from api.http.schemas import Strict, described, moment, text, without_nul

_NAME_CHARACTERS = 128
_LIMIT, _MOST, _MOST_LABELS = 100, 1_000, 10
#: entries of a history in one answer
HISTORY = 100


def _check_label(text: str) -> None:
    if not text.partition("=")[0] or "=" not in text:
        raise ValidationError("must be NAME=VALUE")


class ScopeQuery(Schema):
    """Where an event is looked for, if its fingerprint is not the only one."""

    namespace = pages.text(_NAME_CHARACTERS, "Only in this namespace.", "monitoring")
    tenant = pages.text(_NAME_CHARACTERS, "Only of this tenant.", "tenant-1")


class EventQuery(ScopeQuery):
    """The filters of the list, and which part of it is wanted."""

    status = pages.text(_NAME_CHARACTERS, "Only those in this state.", "firing")
    labels = DelimitedList(
        fields.String(validate=[_check_label, without_nul()]),
        validate=validate.Length(min=1, max=_MOST_LABELS),
        metadata={"description": "Only those with these labels: NAME=VALUE, separated by commas.", "example": ["a=b"]},
    )
    limit = fields.Integer(
        load_default=_LIMIT,
        validate=validate.Range(min=1, max=_MOST),
        metadata={"description": f"How many at most, up to {_MOST:,}.", "example": _LIMIT},
    )
    cursor = pages.CursorQuery().fields["cursor"]


class HistoryQuery(ScopeQuery):
    """Where an event is looked for, and from where on its history is wanted."""

    before = fields.Integer(
        validate=validate.Range(min=1, max=2**31 - 1),
        metadata={"description": "Only entries of the history before the one of this number.", "example": 101},
    )


class EventState(Answer):
    """Something that lasts, in the state in which it is."""

    fingerprint = text("What it is known by, within its tenant and namespace.")
    state = text("The state in which it is.")
    status = text("The same, by the name of the member with which dispatches ask for it.")
    active = fields.Boolean(metadata=described("Whether it goes on: it can inhibit others, and is never forgotten."))
    state_machine = text("The state machine to which it belongs.")
    namespace = text("Its namespace.")
    tenant = text("Its tenant, which is a workspace.")
    action_type = text("Its type: the action type of its last dispatch.")
    provider = text("The provider that its last dispatch has named.")
    labels = fields.Dict(metadata=described("The labels of its last dispatch that had any."))
    starts_at = moment("When what it is about began, as dispatches say.", null=True)
    ends_at = moment("When it ended, as its last dispatch says.", null=True)
    created_at = moment("When it was first heard of.")
    entered_at = moment("When it came into its state.")
    updated_at = moment("When it was last heard of, or moved.")
    timeout_at = moment("When its stay in this state is over; null: it may stay.", null=True)
    timeout_to = text("The state that follows then.", null=True)


class EventStates(Answer):
    """Some of the events."""

    events = fields.List(fields.Nested(EventState), metadata=described("The events, the newest first."))
    count = fields.Integer(metadata=described("How many are listed here."))
    next_cursor = text("What to send as cursor for those that follow; null at the end.", null=True)


class EventMove(Answer):
    """One thing that became of an event."""

    number = fields.Integer(metadata=described("Its place in the history, from 1."))
    at = moment("When it was.")
    event = fields.String(
        metadata=described("What it was.", enum=["event.opened", "event.moved", "event.timeout"]),
    )
    previous_state = text("The state that it left; null at the beginning.", null=True)
    new_state = text("The state into which it came.")
    cause = fields.String(
        metadata=described("A dispatch, a person, or time.", enum=["dispatch", "transition", "timeout"])
    )
    by = text("The key or user that has moved it; system: time.")
    action_id = text("The dispatch that has moved it.", null=True)
    notice = text("The dispatch that has made it known.", null=True)
    notice_error = text("Why it was not made known, though it was to be.", null=True)


class EventHistory(EventState):
    """An event, and what became of it."""

    history = fields.List(fields.Nested(EventMove), metadata=described("What became of it, the newest first."))
    history_before = fields.Integer(
        allow_none=True,
        metadata=described("What to send as before for the entries before these; null: there are none."),
    )


class EventTransition(Strict):
    """The state that an event is to take."""

    to_state = fields.String(
        validate=[validate.Length(1, _NAME_CHARACTERS), without_nul()], metadata=described("The state.")
    )
    to = fields.String(
        validate=[validate.Length(1, _NAME_CHARACTERS), without_nul()],
        metadata=described("The same, as existing clients call it."),
    )
    namespace = fields.String(
        validate=[validate.Length(1, _NAME_CHARACTERS), without_nul()], metadata=described("Its namespace.")
    )
    tenant = fields.String(
        validate=[validate.Length(1, _NAME_CHARACTERS), without_nul()], metadata=described("Its tenant.")
    )

    @validates_schema
    def _one_state(self, given: dict[str, Any], **_: Any) -> None:
        if "to" not in given and "to_state" not in given:
            raise ValidationError("is required: the state that it is to take", "to_state")
        if given.get("to", given.get("to_state")) != given.get("to_state", given.get("to")):
            raise ValidationError("says something else than to_state: keep one of them", "to")


class EventTransitioned(Answer):
    """A move that was made."""

    fingerprint = text("The event.")
    previous_state = text("The state that it has left.")
    new_state = text("The state in which it is.")
    notify = fields.Boolean(metadata=described("Whether a notice of it goes out."))


EVENT: dict[str, Any] = {
    "fingerprint": "alert-cluster1-cpu",
    "state": "firing",
    "status": "firing",
    "active": True,
    "state_machine": "alert",
    "namespace": "monitoring",
    "tenant": "tenant-1",
    "action_type": "cpu_high",
    "provider": "mail",
    "labels": {"cluster": "cluster1"},
    "starts_at": "2026-01-15T10:00:00Z",
    "ends_at": None,
    "created_at": "2026-01-15T10:00:02.117Z",
    "entered_at": "2026-01-15T10:00:02.117Z",
    "updated_at": "2026-01-15T10:04:02.300Z",
    "timeout_at": "2026-01-15T11:00:02.117Z",
    "timeout_to": "stale",
}
PAGE: dict[str, Any] = {"events": [EVENT], "count": 1, "next_cursor": None}
ONE: dict[str, Any] = {
    **EVENT,
    "history": [
        {
            "number": 1,
            "at": "2026-01-15T10:00:02.117Z",
            "event": "event.opened",
            "previous_state": None,
            "new_state": "firing",
            "cause": "dispatch",
            "by": "3f1c9a60b2d4",
            "action_id": "disp-0199f3c2a1b46d0e8f2c41",
            "notice": None,
            "notice_error": None,
        }
    ],
    "history_before": None,
}
TRANSITION: dict[str, Any] = {"to_state": "acknowledged"}
TRANSITIONED: dict[str, Any] = {
    "fingerprint": "alert-cluster1-cpu",
    "previous_state": "firing",
    "new_state": "acknowledged",
    "notify": False,
}
