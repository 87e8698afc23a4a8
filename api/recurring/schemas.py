"""The shapes of recurring actions."""

from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validate
from webargs.fields import DelimitedList

from api.http import pages
from api.http.base_schema import Answer, Schema
from api.http.schemas import Flag, Strict, bounded, described, failure, moment, number, text, without_nul
from gateway.recurring.times import CATCH_UP
from gateway.recurring.written import MAX_CALENDARS, OVERLAP
from gateway.requests import MAX_TEXT_CHARACTERS
from playbooks.definitions.fields import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS
from playbooks.definitions.schedules import MAX_CRON_CHARACTERS
from store.paging import DEEPEST
from store.records.recurring import STATUSES

_LIMIT, _MOST, _MOST_LABELS = 100, 1_000, 10
_MOST_EXECUTIONS, _LONGEST_JITTER = 1_000_000_000, 86_400
#: times of a backfill
BACKFILLED, MOST_BACKFILLED = 100, 500
_TEXT = {"type": "string"}
_TARGET: dict[str, Any] = {
    "type": ["object", "null"],
    "properties": {
        "action": {**_TEXT, "description": "The id of an action of the tenant."},
        "playbook": {**_TEXT, "description": "Or that of a playbook."},
        "parameters": {"type": "object", "description": "Its parameters, none of them secret."},
        "target": {**_TEXT, "description": "The asset of an action."},
    },
}


def _check_label(text: str) -> None:
    if not text.partition("=")[0] or "=" not in text:
        raise ValidationError("must be NAME=VALUE")


def _line(most: int, text: str, *, null: bool = False) -> fields.String:
    checks = [validate.Length(1, most), without_nul()]
    return fields.String(allow_none=null, validate=checks, metadata=described(text))


def _moment(text: str, *, required: bool = False) -> fields.AwareDateTime:
    return fields.AwareDateTime(format="iso", required=required, allow_none=not required, metadata=described(text))


class RecurringScope(Strict):
    """The tenant and the namespace, where a client names them in the body."""

    namespace = _line(MAX_NAME_CHARACTERS, "Its namespace; it may stand in the query instead.")
    tenant = _line(MAX_NAME_CHARACTERS, "Its tenant, which is a workspace; it may stand in the query instead.")


class RecurringBody(RecurringScope):
    """A recurring action as callers write it."""

    SYNONYMS: ClassVar[dict[str, str]] = {
        **dict.fromkeys(("cron", "schedule", "expression"), "cron_expr"),
        **dict.fromkeys(("tz", "time_zone", "zone"), "timezone"),
        **dict.fromkeys(("parameters", "params", "body", "data"), "payload"),
    }

    cron_expr = fields.String(
        metadata=described(f"When: five cron fields, of at most {MAX_CRON_CHARACTERS} characters.")
    )
    cron_expression = fields.String(metadata=described("The same, as existing clients call it."))
    timezone = fields.String(allow_none=True, metadata=described("The time zone of the fields; UTC without it."))
    provider = _line(MAX_NAME_CHARACTERS, "The provider that carries it out.", null=True)
    action_type = _line(MAX_NAME_CHARACTERS, "The type of its dispatches.", null=True)
    payload = fields.Dict(keys=fields.String(), allow_none=True, metadata=described("The payload of its dispatches."))
    target = fields.Raw(
        metadata={"description": "In place of provider, action_type and payload: an action or a playbook.", **_TARGET}
    )
    metadata = fields.Dict(
        keys=fields.String(), allow_none=True, metadata=described("Its labels, by themselves or under labels.")
    )
    labels = fields.Dict(keys=fields.String(), allow_none=True, metadata=described("The same."))
    dedup_key = _line(
        MAX_TEXT_CHARACTERS,
        "What rules deduplicate by; {{recurring_id}} and {{execution_time}} are filled in.",
        null=True,
    )
    name = _line(MAX_NAME_CHARACTERS, "What people call it.", null=True)
    description = fields.String(
        allow_none=True,
        validate=[validate.Length(max=MAX_DESCRIPTION_CHARACTERS), without_nul()],
        metadata=described("What it is for."),
    )
    enabled = Flag(metadata=described("Whether it fires; true unless said otherwise."))
    ends_at = _moment("It fires before this time only.")
    end_date = _moment("The same, as existing clients call it.")
    max_executions = bounded(1, _MOST_EXECUTIONS, "How often it fires at most.")
    catch_up = fields.String(
        validate=validate.OneOf(CATCH_UP),
        metadata=described("Of times that were missed: the last is made up for, none, or the last hundred."),
    )
    overlap = fields.String(
        validate=validate.OneOf(OVERLAP),
        metadata=described("While an earlier one goes on: it fires, it does not, or the earlier one is cancelled."),
    )
    jitter_seconds = bounded(0, _LONGEST_JITTER, "It fires later by up to this, each time by another amount.")
    skip_during = fields.List(
        _line(MAX_NAME_CHARACTERS, "A calendar."),
        allow_none=True,
        validate=validate.Length(max=MAX_CALENDARS),
        metadata=described("The calendars in which it does not fire."),
    )


class ScopeQuery(Schema):
    """Where a recurring action is looked for."""

    namespace = pages.text(MAX_NAME_CHARACTERS, "Only in this namespace.", "notifications")
    tenant = pages.text(MAX_NAME_CHARACTERS, "Only of this tenant.", "default")


class HistoryQuery(ScopeQuery):
    """Which part of the firings is wanted."""

    limit = fields.Integer(
        load_default=_LIMIT,
        validate=validate.Range(min=1, max=_MOST),
        metadata={"description": f"How many at most, up to {_MOST:,}.", "example": _LIMIT},
    )
    cursor = pages.CursorQuery().fields["cursor"]


class ListQuery(HistoryQuery):
    """Which recurring actions are wanted."""

    namespace = pages.text(MAX_NAME_CHARACTERS, "Those in this namespace.", "notifications", required=True)
    tenant = pages.text(MAX_NAME_CHARACTERS, "Those of this tenant.", "default", required=True)
    enabled = pages.enabled()
    status = DelimitedList(
        fields.String(validate=validate.OneOf(STATUSES)),
        validate=validate.Length(min=1, max=len(STATUSES)),
        metadata={"description": "Only these, separated by commas.", "example": ["active"]},
    )
    labels = DelimitedList(
        fields.String(validate=[_check_label, without_nul()]),
        validate=validate.Length(min=1, max=_MOST_LABELS),
        metadata={"description": "Only those with these labels: NAME=VALUE, separated by commas.", "example": ["a=b"]},
    )
    offset = fields.Integer(
        load_default=0,
        validate=validate.Range(min=0, max=DEEPEST),
        metadata={"description": "How many to leave out at the beginning.", "example": 0},
    )


class RecurringBackfill(RecurringScope):
    """A period whose times are made up for."""

    start = _moment("The first time, itself included; as long ago as executions are kept.", required=True)
    end = _moment("The time before which they lie; not in the future.", required=True)
    limit = fields.Integer(
        strict=True,
        load_default=BACKFILLED,
        validate=validate.Range(min=1, max=MOST_BACKFILLED),
        metadata=described(f"How many times are looked at, up to {MOST_BACKFILLED}."),
    )


class RecurringSummary(Answer):
    """A recurring action in a list."""

    id = text("Its id.")
    recurring_id = text("The same.")
    name = text("What people call it.", null=True)
    description = text("What it is for.", null=True)
    namespace = text("Its namespace.")
    tenant = text("Its tenant.")
    status = text("Whether it fires on, is paused, or is over.", enum=list(STATUSES))
    enabled = fields.Boolean(metadata=described("Whether it is not paused."))
    cron_expr = text("When: five cron fields.")
    cron_expression = text("The same.")
    timezone = text("The time zone of the fields.")
    description_in_words = text("The schedule in words.")
    provider = text("The provider that carries it out; action or playbook where target names one.")
    action_type = text("The type of its dispatches; the id of the action or playbook.")
    labels = fields.Dict(metadata=described("Its labels."))
    next_execution = moment("Its next time; null: there is none.", null=True)
    next_execution_at = moment("The same.", null=True)
    execution_count = number("How often it has fired.")
    last_executed_at = moment("The last time that something was decided about.", null=True)
    last_outcome = text("What became of that at first.", null=True)
    created_at = moment("When it was made.")
    updated_at = moment("When it was changed last.")


class RecurringCreated(Answer):
    """A new recurring action."""

    recurring_id, id, name, status, enabled, cron_expr, cron_expression = (
        RecurringSummary().fields[name]
        for name in ("recurring_id", "id", "name", "status", "enabled", "cron_expr", "cron_expression")
    )
    timezone, description_in_words, next_execution, next_execution_at = (
        RecurringSummary().fields[name]
        for name in ("timezone", "description_in_words", "next_execution", "next_execution_at")
    )
    next = fields.List(fields.String(), metadata=described("Its next times, up to five."))


class RecurringExecution(Answer):
    """The last firing, and what has become of it."""

    execution_time = moment("Its time.")
    outcome = text(
        "What became of it; accepted: it goes on; null: it was accepted, and its end is not known.", null=True
    )
    execution_id = text("The execution, the run, or the id of its record.", null=True)
    status = text("The status of the execution, as long as that is kept.", null=True)
    error = failure("Why it failed, or could not be accepted; null: it did not.")


class RecurringTarget(Answer):
    """What a recurring action starts; one of action and playbook is there."""

    ALWAYS = frozenset({"parameters"})

    action = text("The id of an action of the tenant.")
    playbook = text("Or that of a playbook.")
    parameters = fields.Dict(metadata=described("Its parameters, none of them secret."))
    target = text("The asset.", null=True)


class Recurring(RecurringSummary):
    """A recurring action, complete."""

    target = fields.Nested(
        RecurringTarget, allow_none=True, metadata=described("The action or playbook; null where it dispatches.")
    )
    payload = fields.Dict(metadata=described("The payload or the parameters; what is called like a secret is masked."))
    metadata = fields.Dict(metadata=described("Its labels, as dispatches have them."))
    dedup_key = text("What rules deduplicate by.", null=True)
    next = fields.List(fields.String(), metadata=described("Its next times, up to five."))
    ends_at = moment("It fires before this time only.", null=True)
    end_date = moment("The same.", null=True)
    max_executions = number("How often it fires at most.", null=True)
    catch_up = text("What is made up for of times that were missed.", enum=list(CATCH_UP))
    overlap = text("What becomes of it while an earlier one goes on.", enum=list(OVERLAP))
    jitter_seconds = number("By how much later it fires at most.")
    skip_during = fields.List(fields.String(), metadata=described("The calendars in which it does not fire."))
    last_execution = fields.Nested(RecurringExecution, allow_none=True, metadata=described("The last firing."))
    failures = number("Firings in a row that could not be accepted; three pause it.")
    paused_at = moment("When it was paused.", null=True)
    paused_by = text("Who has paused it; system: it could not be accepted three times in a row.", null=True)
    pause_reason = text("Why.", null=True)
    created_by = text("The key or user that has made it.")


class Recurrings(Answer):
    """Some of the recurring actions."""

    recurring_actions = fields.List(
        fields.Nested(RecurringSummary), metadata=described("The recurring actions, newest first.")
    )
    count = number("How many are listed here.")
    next_cursor = text("What to send as cursor for those that follow; null at the end.", null=True)


class RecurringFiring(RecurringExecution):
    """What became of one time of a schedule."""

    fired_at = moment("When it was decided.")
    reason = failure("Why nothing was accepted; null where something was.")
    missed_to = text("Of times that were missed: the last one.", null=True)
    backfilled_by = text("Who has asked for it; null: its time had come.", null=True)


class RecurringHistory(Answer):
    """Some of the firings."""

    firings = fields.List(fields.Nested(RecurringFiring), metadata=described("The firings, the newest first."))
    count = number("How many are listed here.")
    next_cursor = text("What to send as cursor for those that follow; null at the end.", null=True)


class RecurringBackfilled(Answer):
    """What was made up for."""

    accepted = number("How many of the times were accepted now.")
    repeated = number("How many were accepted before, and are left alone.")
    results = fields.List(fields.Nested(RecurringExecution), metadata=described("What became of each time, in order."))
    next_start = text("What to send as start for the times that follow; null: these are all.", null=True)
