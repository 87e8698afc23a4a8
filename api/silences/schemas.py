"""The shapes and example bodies of silences."""

from typing import Any

from marshmallow import fields, validate
from webargs.fields import DelimitedList

from api.http import pages
from api.http.base_schema import Answer, Schema
from api.http.schemas import Strict, bounded, described, moment, number, text
from gateway.silences.in_force import AFTER
from gateway.silences.matchers import MAX_MATCHERS, MAX_VALUE_CHARACTERS, OPERATORS
from playbooks.definitions.fields import MAX_NAME_CHARACTERS
from store.records.silences import ACTIVE, PENDING, STATUSES

_LIMIT, _MOST = 50, 1_000
MAX_COMMENT = 1024
_MINUTES = 366 * 24 * 60

_MATCHERS: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_MATCHERS,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": MAX_NAME_CHARACTERS},
            "op": {"type": "string", "description": f"{', '.join(OPERATORS)}; = unless said otherwise."},
            "value": {"type": "string", "maxLength": MAX_VALUE_CHARACTERS},
        },
        "required": ["name", "value"],
        "additionalProperties": False,
    },
}
_TENANT = "The tenant, which covers its children; * for all; the caller's own workspace unless said otherwise."


def _moment(text: str) -> fields.AwareDateTime:
    return fields.AwareDateTime(format="iso", allow_none=True, metadata=described(text))


class Matching(Strict):
    """What a silence matches, and when."""

    tenant = fields.String(validate=validate.Length(1, MAX_NAME_CHARACTERS), metadata=described(_TENANT))
    matchers = fields.Raw(
        required=True, metadata={"description": "What is kept quiet: where all of these match.", **_MATCHERS}
    )
    cron = fields.String(
        allow_none=True, metadata=described("A window that comes back begins at these times: five fields.")
    )
    timezone = fields.String(allow_none=True, metadata=described("The time zone of cron; UTC unless said otherwise."))
    duration_minutes = bounded(1, _MINUTES, "How long a window lasts.")


class NewSilence(Matching):
    """A silence as callers write it."""

    comment = fields.String(
        required=True, validate=validate.Length(1, MAX_COMMENT), metadata=described("Why it is quiet, for people.")
    )
    starts_at = _moment("When it begins; now unless said otherwise.")
    ends_at = _moment("When it ends; a window that comes back may have no end.")
    duration_seconds = bounded(1, 366 * 86_400, "In place of ends_at: for how long.")
    after = fields.String(
        load_default=AFTER[0],
        validate=validate.OneOf(AFTER),
        metadata=described(
            "What becomes of what it keeps back: dropped; dropped, and one dispatch at the end says what came; held, "
            "and let go at the end.",
        ),
    )
    notify = fields.String(
        allow_none=True,
        validate=validate.Length(1, MAX_NAME_CHARACTERS),
        metadata=described("The provider by which summaries and reminders go out."),
    )
    remind_before_minutes = bounded(1, _MINUTES, "A dispatch by notify reminds this long before the end.")


class Matcher(Answer):
    """What a silence asks of one fact."""

    name = text("The fact or label.")
    op = text("How it is compared.", enum=list(OPERATORS))
    value = text("What it is compared with.")


class KindCount(Answer):
    """How many of one provider and action type match."""

    provider = text("The provider.")
    action_type = text("The action type.")
    count = number("How many.")


class Previewed(Answer):
    """How many of the last day's executions a silence would have kept back."""

    matched = fields.Integer(metadata=described("How many of those that were looked at."))
    looked_at = fields.Integer(metadata=described("Records of the last day that were looked at, the newest."))
    complete = fields.Boolean(metadata=described("Whether these are all."))
    kinds = fields.List(fields.Nested(KindCount), metadata=described("How many of each provider and action type."))


class SilenceQuery(Schema):
    """The filters of the list, and which part of it is wanted."""

    status = DelimitedList(
        fields.String(validate=validate.OneOf(STATUSES)),
        load_default=[ACTIVE, PENDING],
        validate=validate.Length(min=1, max=len(STATUSES)),
        metadata={"description": "Only these, separated by commas.", "example": [ACTIVE]},
    )
    tenant = pages.text(MAX_NAME_CHARACTERS, "Only those of this tenant.", "default")
    limit = fields.Integer(
        load_default=_LIMIT,
        validate=validate.Range(min=1, max=_MOST),
        metadata={"description": f"How many at most, up to {_MOST:,}.", "example": _LIMIT},
    )
    cursor = pages.CursorQuery().fields["cursor"]


class Silence(Answer):
    """A silence, and where it stands."""

    id = text("Its id.")
    status = fields.String(metadata=described("Where it stands.", enum=list(STATUSES)))
    silent = fields.Boolean(metadata=described("Whether it keeps something back now: a window may be between two."))
    silent_until = moment("Until when, if so.", null=True)
    tenant = text("The tenant.")
    covers_children = fields.Boolean(metadata=described("Whether it covers the tenant's children."))
    matchers = fields.List(fields.Nested(Matcher), metadata=described("What it matches."))
    comment = text("Why it is quiet.")
    author = text("The key or user that has made it.")
    starts_at = moment("When it begins.")
    ends_at = moment("When it ends; null: a window that comes back for ever.", null=True)
    cron = text("When a window begins.", null=True)
    timezone = text("The time zone of cron.", null=True)
    duration_minutes = fields.Integer(allow_none=True, metadata=described("How long a window lasts."))
    after = fields.String(metadata=described("What becomes of what it keeps back.", enum=list(AFTER)))
    notify = text("The provider of summaries and reminders.", null=True)
    remind_before_minutes = fields.Integer(allow_none=True, metadata=described("When it is reminded of its end."))
    notice_error = text("Why the last summary or reminder was not sent; it is tried again.", null=True)
    created_at = moment("When it was made.")
    updated_at = moment("When it was changed last.")
    ended_at = moment("When it ended.", null=True)
    ended_by = text("Who ended it; system at its time.", null=True)
    applied = text("After a change: which processes obey it, as 9 of 9.", sometimes=True)


class Silences(Answer):
    """Some of the silences."""

    silences = fields.List(fields.Nested(Silence), metadata=described("The silences, the newest first."))
    count = fields.Integer(metadata=described("How many are listed here."))
    next_cursor = text("What to send as cursor for those that follow; null at the end.", null=True)


NEW: dict[str, Any] = {
    "matchers": [{"name": "severity", "op": "=~", "value": "info|warning"}],
    "cron": "0 22 * * sat",
    "timezone": "Europe/Berlin",
    "duration_minutes": 480,
    "comment": "Weekly patches; see CHG-1042.",
}
ONE: dict[str, Any] = {
    "id": "sil-9f0c2a9be1d34c7f",
    "status": "active",
    "silent": False,
    "silent_until": None,
    "tenant": "default",
    "covers_children": True,
    **NEW,
    "author": "3f1c9a60b2d4",
    "starts_at": "2026-04-28T09:00:00.000Z",
    "ends_at": None,
    "after": "drop",
    "notify": None,
    "remind_before_minutes": None,
    "notice_error": None,
    "created_at": "2026-04-28T09:00:00.000Z",
    "updated_at": "2026-04-28T09:00:00.000Z",
    "ended_at": None,
    "ended_by": None,
}
MATCHING: dict[str, Any] = {"matchers": NEW["matchers"]}
PREVIEWED: dict[str, Any] = {
    "matched": 12,
    "looked_at": 480,
    "complete": True,
    "kinds": [{"provider": "mail", "action_type": "send_email", "count": 12}],
}
CHANGED: dict[str, Any] = {**ONE, "applied": "9 of 9"}
PAGE: dict[str, Any] = {"silences": [ONE], "count": 1, "next_cursor": None}
