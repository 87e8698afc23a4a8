"""The shapes and example bodies of replays."""

from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validate, validates_schema

from api.gateway.dispatch.outcome_schemas import ACCEPTED, Outcome
from api.gateway.record_schemas import AuditFilters
from api.http import pages
from api.http.base_schema import Answer
from api.http.schemas import Flag, Strict, described, text

_LIMIT, _MOST = 100, 1_000


class Wanted(AuditFilters, Strict):
    """Which records are replayed: those that match all filters, the oldest first."""

    SYNONYMS: ClassVar[dict[str, str]] = {"dry_run": "preview", "since": "from", "until": "to"}

    limit = fields.Integer(
        strict=True,
        load_default=_LIMIT,
        validate=validate.Range(min=1, max=_MOST),
        metadata={"description": f"How many records at most, up to {_MOST:,}.", "example": _LIMIT},
    )
    preview = Flag(
        load_default=False, metadata=described("Say what would become of each by the rules of today, and send nothing.")
    )
    include_replays = Flag(load_default=False, metadata=described("Whether what is itself a replay is replayed, too."))
    cursor = pages.CursorQuery().fields["cursor"]

    @validates_schema
    def _of_some(self, given: dict[str, Any], **_: Any) -> None:
        """Refuse to replay whatever there is: an empty body is more likely a mistake."""
        if not given["preview"] and not given.keys() & FILTERS:
            known = ", ".join(field.data_key or name for name, field in AuditFilters().fields.items())
            text = f"name at least one filter: {known}"
            raise ValidationError(text)


#: the filters, by the names under which they are loaded
FILTERS = frozenset(AuditFilters().fields)


class Replayed(Answer):
    """A record, and what it was replayed as."""

    id = text("The id of the record.")
    action_id = text("The action id of the record.")
    replayed_as = fields.String(
        allow_none=True, metadata=described("The action id of the replay; null in a preview of what was not replayed.")
    )
    repeated = fields.Boolean(metadata=described("Whether it was replayed before; then nothing is sent again."))
    outcome = fields.Nested(
        Outcome,
        metadata=described(
            "What became of the replay, as for a dispatch: accepted where its execution goes on. In a preview dry_run, "
            "with verdict, matched_rule and would_be_provider; accepted for what was replayed before."
        ),
    )


class Skipped(Answer):
    """A record that is not replayed, and why."""

    id = text("The id of the record.")
    action_id = text("The action id of the record.")
    code = text("Why, for programs.")
    message = text("Why, in words.")
    retryable = fields.Boolean(metadata=described("Whether the same may succeed later."))


class Replays(Answer):
    """What became of a bulk replay."""

    preview = fields.Boolean(metadata=described("Whether nothing was sent."))
    replayed = fields.Integer(metadata=described("How many are replayed now, or would be."))
    repeated = fields.Integer(metadata=described("How many were replayed before."))
    results = fields.List(fields.Nested(Replayed), metadata=described("Those of both, oldest first."))
    skipped = fields.List(fields.Nested(Skipped), metadata=described("Those that cannot be replayed, oldest first."))
    next_cursor = fields.String(
        allow_none=True, metadata=described("What to send as cursor for the records that follow; null at the end.")
    )


WANTED: dict[str, Any] = {"outcome": "failed", "provider": "email", "from": "2026-04-28T00:00:00Z", "limit": 100}
REPLAYS: dict[str, Any] = {
    "preview": False,
    "replayed": 1,
    "repeated": 0,
    "results": [
        {
            "id": "48211",
            "action_id": "alert-7731",
            "replayed_as": ACCEPTED["action_id"],
            "repeated": False,
            "outcome": ACCEPTED,
        }
    ],
    "skipped": [
        {
            "id": "48212",
            "action_id": "exec-9912",
            "code": "not_replayable",
            "message": "It was a step of a run: retry the run.",
            "retryable": False,
        }
    ],
    "next_cursor": None,
}
