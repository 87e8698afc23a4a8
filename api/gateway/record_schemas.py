"""The shapes of audit records, and the filters of their list."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.http import pages
from api.http.base_schema import Answer, Schema
from api.http.schemas import described, failure, moment, text, time_filter
from gateway import outcomes
from gateway.facts import ORIGINS
from gateway.verdicts import EFFECTS
from store.paging import DEEPEST

#: items of a page, unless the query says otherwise, and at most
_LIMIT, _MOST = 50, 1_000
_NAME_CHARACTERS = 128
#: the outcomes of dispatches, and of executions that were stopped by no rule
OUTCOMES = (*outcomes.NAMES, "cancelled", "skipped")
_VERDICTS = EFFECTS

RECORD: dict[str, Any] = {
    "id": "48211",
    "action_id": "alert-7731",
    "execution_id": "exec-9912",
    "chain_id": None,
    "origin": "dispatch",
    "replayed_from": None,
    "namespace": "notifications",
    "tenant": "tenant-1",
    "provider": "email",
    "action_type": "send_email",
    "outcome": "executed",
    "verdict": "allow",
    "matched_rule": None,
    "reason": None,
    "caller_id": "3f1c9a60b2d4",
    "payload": {"to": "user@example.com", "subject": "Hello!"},
    "payload_omitted": False,
    "payload_sha256": None,
    "error": None,
    "details": {"attempt": 1},
    "dispatched_at": "2026-04-28T12:00:00.000Z",
    "completed_at": "2026-04-28T12:00:00.420Z",
    "duration_ms": 420,
}
PAGE: dict[str, Any] = {
    "records": [RECORD],
    "total": 1,
    "limit": _LIMIT,
    "offset": 0,
    "next_cursor": None,
    "total_is_estimate": False,
}


def _word(choices: tuple[str, ...], text: str, example: str) -> fields.String:
    return fields.String(validate=validate.OneOf(choices), metadata={"description": text, "example": example})


class AuditFilters(Schema):
    """The filters of records."""

    namespace = pages.text(_NAME_CHARACTERS, "Only those of this namespace.", "notifications")
    tenant = pages.text(_NAME_CHARACTERS, "Only those of this tenant.", "default")
    provider = pages.text(_NAME_CHARACTERS, "Only those by this provider.", "webhook")
    action_type = pages.text(_NAME_CHARACTERS, "Only those of this action type.", "act-act-1")
    outcome = _word(OUTCOMES, "Only those with this outcome.", "failed")
    verdict = _word(_VERDICTS, "Only those with this verdict; allow where no rule decided.", "suppress")
    matched_rule = pages.text(_NAME_CHARACTERS, "Only those that this rule decided.", "block-spam")
    caller_id = pages.text(_NAME_CHARACTERS, "Only those that this key or user asked for.", "key")
    chain_id = pages.text(_NAME_CHARACTERS, "Only those of this run of a chain or playbook.", "pexec-7721")
    since = time_filter("from", "Only those recorded at this time or later.", "2026-04-28T00:00:00Z")
    until = time_filter("to", "Only those recorded before this time.", "2026-04-29T00:00:00Z")

    @validates_schema
    def _in_order(self, query: dict[str, Any], **_: Any) -> None:
        if "since" in query and "until" in query and query["since"] > query["until"]:
            raise ValidationError("lies before from", "to")


class AuditQuery(AuditFilters):
    """The filters of the list, and which part of it is wanted."""

    limit = fields.Integer(
        load_default=_LIMIT,
        validate=validate.Range(min=1, max=_MOST),
        metadata={"description": f"How many records at most, up to {_MOST:,}.", "example": _LIMIT},
    )
    offset = fields.Integer(
        validate=validate.Range(min=0, max=DEEPEST),
        metadata={
            "description": f"How many records to pass over. With limit at most {DEEPEST:,} together: "
            "read on with cursor instead.",
            "example": 50,
        },
    )
    cursor = pages.CursorQuery().fields["cursor"]

    @validates_schema
    def _one_way(self, query: dict[str, Any], **_: Any) -> None:
        if "cursor" in query and "offset" in query:
            raise ValidationError("Give offset or cursor, not both.", "offset")
        if query.get("offset", 0) + query["limit"] > DEEPEST:
            text = f"offset and limit are at most {DEEPEST:,} together. To read on, send next_cursor as cursor."
            raise ValidationError(text, "offset")


class OneQuery(Schema):
    """Whether all records of one action id are wanted."""

    all = fields.Boolean(
        load_default=False,
        truthy={"true"},
        falsy={"false"},
        metadata={"description": "Whether all of them are wanted, not the newest alone.", "example": False},
    )


class Record(Answer):
    """What became of one dispatch, triggered action or step."""

    id = text("The id of the record.")
    action_id = text("The id that the dispatch gave itself, else that of the execution or the record.")
    execution_id = text("The execution; null where none was made, or it has been deleted.", null=True)
    chain_id = text("The run of a chain or playbook that it belongs to.", null=True)
    origin = fields.String(metadata={"description": "What made it.", "enum": list(ORIGINS)})
    replayed_from = text("Of a replay: the action id of the record that it does again.", null=True)
    namespace = text("Its namespace: actions or playbooks, unless a dispatch names another.")
    tenant = text("The tenant, which is a workspace.")
    provider = text("The provider that it went to; of an action its executor or channel.", null=True)
    action_type = text("Its action type: of an action the action's id.")
    outcome = fields.String(metadata={"description": "What became of it.", "enum": list(OUTCOMES)})
    verdict = fields.String(metadata={"description": "What the rules decided.", "enum": list(_VERDICTS)})
    matched_rule = text("The rule that decided.", null=True)
    reason = text("The reason that the rule gives.", null=True)
    caller_id = text("The key or user that asked for it.")
    payload = fields.Dict(
        allow_none=True,
        metadata={"description": "What it carried, without secrets; null when it is not kept any more."},
    )
    payload_omitted = fields.Boolean(metadata={"description": "Whether the payload is too large for a list."})
    payload_sha256 = text("Of a dispatch without an execution: the SHA-256 of its payload as it is kept.", null=True)
    error = failure("Why it failed; null unless it did.")
    details = fields.Dict(metadata={"description": "What else the trail says of it."})
    dispatched_at = moment("When it was accepted.", null=True)
    completed_at = moment("When it ended, and was recorded.")
    duration_ms = fields.Integer(allow_none=True, metadata={"description": "The time between both, milliseconds."})
    unreadable = fields.List(
        fields.String(), metadata=described("The columns that were damaged and cannot be read.", sometimes=True)
    )


class Records(Answer):
    """Some of the records."""

    records = fields.List(fields.Nested(Record), metadata={"description": "The records, newest first."})
    total = fields.Integer(allow_none=True, metadata={"description": "How many match; null where read by cursor."})
    limit = fields.Integer(metadata={"description": "How many were asked for."})
    offset = fields.Integer(metadata={"description": "How many were passed over."})
    next_cursor = text("What to send as cursor for those that follow; null at the end.", null=True)
    total_is_estimate = fields.Boolean(
        allow_none=True, metadata={"description": "Whether total was counted up to a minute ago, or not to its end."}
    )


class AllRecords(Answer):
    """All records of an action id."""

    records = fields.List(fields.Nested(Record), metadata={"description": "Every one, newest first."})


#: one record; with all=true every one of its action id
ONE_OR_ALL: dict[str, Any] = {"anyOf": [Record(), AllRecords()]}
