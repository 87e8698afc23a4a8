"""The shapes and example bodies of dispatches."""

from typing import Any

from marshmallow import fields, validate

from api.gateway.dispatch.outcome_schemas import ACCEPTED, Outcome
from api.gateway.dispatch.prefer import PREFER
from api.http.base_schema import Answer
from api.http.schemas import Strict, described
from gateway.requests import MAX_ITEMS, MAX_TEXT_CHARACTERS
from playbooks.definitions.fields import MAX_NAME_CHARACTERS

__all__ = ["BATCH", "BATCH_ACCEPTED", "BATCH_BODY", "BATCH_OUTCOME", "DISPATCH", "EXECUTED", "PREFER", "TRACE"]

#: the trace context of the sender
TRACE: tuple[dict[str, Any], ...] = (
    {
        "in": "header",
        "name": "traceparent",
        "description": "W3C trace context: goes on to the receiver and into the log. A malformed one is ignored.",
        "schema": {"type": "string"},
        "example": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    },
    {
        "in": "header",
        "name": "tracestate",
        "description": "Vendor data of the trace, passed on with it.",
        "schema": {"type": "string"},
    },
)


def _name(text: str, *, required: bool = False) -> fields.String:
    return fields.String(
        required=required,
        allow_none=not required,
        validate=validate.Length(1, MAX_NAME_CHARACTERS),
        metadata=described(text),
    )


def _text(text: str) -> fields.String:
    return fields.String(allow_none=True, validate=validate.Length(1, MAX_TEXT_CHARACTERS), metadata=described(text))


def _time(text: str) -> fields.String:
    return fields.String(allow_none=True, metadata=described(text, format="date-time"))


class Dispatch(Strict):
    """Something that is to go out by a provider."""

    namespace = _name("What it belongs to.", required=True)
    tenant = _name("The tenant for which it goes out: a workspace.", required=True)
    provider = _name("The provider by which it goes out.", required=True)
    action_type = _name("What it is.", required=True)
    payload = fields.Dict(keys=fields.String(), required=True, metadata=described("What it carries."))
    metadata = fields.Dict(
        keys=fields.String(), allow_none=True, metadata=described("Its labels: texts, under labels or by themselves.")
    )
    dedup_key = _text("Dispatches with the same key are equal.")
    fingerprint = _text("What it is about, over time.")
    status = _name("The state of what it is about.")
    id = _name("The sender's name for it: sent again under the same id it is made once.")
    starts_at = _time("When what it is about began.")
    ends_at = _time("When it ended.")
    created_at = _time("When the sender made it.")


class Refused(Answer):
    """Why a dispatch of a batch was not accepted."""

    code = fields.String(metadata=described("A stable word to branch on."))
    message = fields.String(metadata=described("Why, for people."))
    retryable = fields.Boolean(metadata=described("Whether the same may succeed later."))


class BatchItem(Answer):
    """What became of one dispatch of a batch."""

    status = fields.String(metadata=described("Whether it was accepted.", enum=["success", "error"]))
    outcome = fields.Nested(Outcome, metadata=described("Its outcome, as for a single dispatch.", sometimes=True))
    error = fields.Nested(Refused, metadata=described("Why it was not accepted.", sometimes=True))


class BatchResults(Answer):
    """What became of each dispatch of a batch, in order."""

    results = fields.List(fields.Nested(BatchItem), metadata=described("One for each dispatch."))


#: what became of each dispatch, in order; a list alone where the request was a list
BATCH_ANSWER: dict[str, Any] = {"anyOf": [BatchResults(), BatchItem(many=True)]}
DISPATCH: dict[str, Any] = {
    "namespace": "notifications",
    "tenant": "default",
    "provider": "mail",
    "action_type": "send_email",
    "payload": {"to": "soc@example.org", "subject": "Hello!"},
    "dedup_key": "welcome-soc@example.org",
    "metadata": {"labels": {"priority": "high"}},
}
BATCH: dict[str, Any] = {"actions": [DISPATCH]}
EXECUTED: dict[str, Any] = {
    "outcome": "executed",
    "action_id": "disp-0199f3c2a1b46d0e8f2c41",
    "response": {"status": "success", "body": {"sent": True}},
}
BATCH_OUTCOME: dict[str, Any] = {
    "results": [
        {"status": "success", "outcome": EXECUTED},
        {
            "status": "error",
            "error": {"code": "provider_not_found", "message": "Provider not found: sms", "retryable": False},
        },
    ]
}
BATCH_ACCEPTED: dict[str, Any] = {"results": [{"status": "success", "outcome": ACCEPTED}]}
_LIST: dict[str, Any] = {
    "type": "array",
    "items": {"description": "A dispatch, as `POST /v1/dispatch` takes it. A fault of it is its own."},
    "minItems": 1,
    "maxItems": MAX_ITEMS,
}
#: a batch: an object with actions, or the list alone
BATCH_BODY: dict[str, Any] = {
    "anyOf": [
        {"type": "object", "properties": {"actions": _LIST}, "required": ["actions"], "additionalProperties": False},
        _LIST,
    ]
}
