"""The shapes and example bodies of groups."""

from typing import Any

from marshmallow import fields, validate

from api.http import pages
from api.http.base_schema import Answer, Schema
from api.http.schemas import anything, described, moment, text
from store.gateway.groups import CALLER, FIRST, FULL, RESOLVED, TIME

_NAME_CHARACTERS = 255
_LIMIT, _MOST = 50, 1_000
#: of a group that is shown
STATES = ("pending", "notified")


class GroupQuery(Schema):
    """The filters of the list, and which part of it is wanted."""

    namespace = pages.text(_NAME_CHARACTERS, "Only those of this namespace.", "alerts")
    tenant = pages.text(_NAME_CHARACTERS, "Only those of this tenant.", "default")
    rule = pages.text(_NAME_CHARACTERS, "Only those of this rule.", "by-cluster")
    limit = fields.Integer(
        load_default=_LIMIT,
        validate=validate.Range(min=1, max=_MOST),
        metadata={"description": f"How many at most, up to {_MOST:,}.", "example": _LIMIT},
    )
    cursor = pages.CursorQuery().fields["cursor"]


class MemberQuery(Schema):
    """Which part of the members is wanted."""

    limit = fields.Integer(
        load_default=_MOST,
        validate=validate.Range(min=1, max=_MOST),
        metadata={"description": f"How many members at most, up to {_MOST:,}.", "example": _LIMIT},
    )
    cursor = pages.CursorQuery().fields["cursor"]


class Group(Answer):
    """One window of a group."""

    group_id = text("Its id.")
    group_key = text("The key that its members share; the next window of the group has it too.")
    state = fields.String(metadata=described("pending until its summary is accepted.", enum=list(STATES)))
    event_count = fields.Integer(metadata=described("How many members it has."))
    max_size = fields.Integer(metadata=described("At this number it is full, and its summary goes out at once."))
    rule = text("The rule that gathers it.")
    namespace = text("Its namespace, and that of its summary.")
    tenant = text("Its tenant, and that of its summary.")
    provider = text("The provider by which its summary goes out.")
    labels = fields.Dict(metadata=described("What its members have in common."))
    created_at = moment("When its first member came.")
    notify_at = moment("When its summary is due.")
    closed_at = moment("Since when nothing joins it any more.", null=True)
    closed_by = fields.String(
        allow_none=True, metadata=described("Why it was closed.", enum=[TIME, FULL, RESOLVED, FIRST, CALLER, None])
    )
    notified_at = moment("When its summary was accepted.", null=True)
    summary_id = text("The last summary: a dispatch.", null=True)
    summaries = fields.Integer(metadata=described("How many summaries were accepted, repetitions included."))
    error = text("Why there is no summary yet; it is tried again.", null=True)


class Member(Answer):
    """What was gathered."""

    id = text("Its action id, under which its record is found.")
    provider = text("The provider by which it was to go out.")
    action_type = text("Its action type.")
    status = text("Its status, as it was sent.", null=True)
    resolved = fields.Boolean(metadata=described("Whether it says that its cause is over."))
    fingerprint = text("Its fingerprint.", null=True)
    severity = text("The severity in its payload or its labels.", null=True)
    received_at = moment("When it came.")
    payload = anything("Its payload, secrets masked; null once it is too old to be kept.")


class Groups(Answer):
    """Some of the groups."""

    groups = fields.List(fields.Nested(Group), metadata=described("The groups, the newest first."))
    total = fields.Integer(metadata=described("How many are pending, counted up to 10,000."))
    next_cursor = text("What to send as cursor for those that follow; null at the end.", null=True)


class GroupWithMembers(Answer):
    """A group and its members."""

    group = fields.Nested(Group)
    labels = fields.Dict(metadata=described("What its members have in common."))
    events = fields.List(
        fields.Nested(Member),
        metadata=described("Its members in the order in which they came; under /compat/v1 their fingerprints."),
    )
    next_cursor = text("What to send as cursor for the members that follow; null at the end.", null=True)


class Flushed(Answer):
    """A group that was flushed, or whose repetition has ended."""

    group_id = text("Its id.")
    group_key = text("Its key.")
    event_count = fields.Integer(metadata=described("How many members its summary tells of."))
    status = fields.String(metadata=described("What became of it.", enum=["flushed", "ended"]))
    notified = fields.Boolean(metadata=described("Whether a summary goes out; false where a rule has stopped it."))
    summary_id = text("The last summary: a dispatch, or the record of one that a rule has stopped.", null=True)


_ID, _KEY = "grp-0199f3c2a1b46d0e8f2c41", "5f0c2a9be1d34c7f9f0c2a9be1d34c7f5f0c2a9be1d34c7f9f0c2a9be1d34c7f"
GROUP: dict[str, Any] = {
    "group_id": _ID,
    "group_key": _KEY,
    "state": "pending",
    "event_count": 2,
    "max_size": 100,
    "rule": "by-cluster",
    "namespace": "alerts",
    "tenant": "default",
    "provider": "chat",
    "labels": {"cluster": "eu-1"},
    "created_at": "2026-04-28T09:00:00.000Z",
    "notify_at": "2026-04-28T09:00:30.000Z",
    "closed_at": None,
    "closed_by": None,
    "notified_at": None,
    "summary_id": None,
    "summaries": 0,
    "error": None,
}
_EVENT: dict[str, Any] = {
    "id": "disp-0199f3c2a1b46d0e8f2c40",
    "provider": "chat",
    "action_type": "alert",
    "status": "firing",
    "resolved": False,
    "fingerprint": "disk:db-1",
    "severity": "high",
    "received_at": "2026-04-28T09:00:00.000Z",
    "payload": {"host": "db-1", "severity": "high"},
}
PAGE: dict[str, Any] = {"groups": [GROUP], "total": 1, "next_cursor": None}
ONE: dict[str, Any] = {"group": GROUP, "labels": GROUP["labels"], "events": [_EVENT], "next_cursor": None}
FLUSHED: dict[str, Any] = {
    "group_id": _ID,
    "group_key": _KEY,
    "event_count": 2,
    "status": "flushed",
    "notified": True,
    "summary_id": "disp-0199f3c2a1b46d0e8f2c42",
}
