"""The shapes of the bodies of ``/api/playbooks``.

The definitions themselves are checked in ``playbooks.checks``.
"""

from typing import Any

from marshmallow import INCLUDE, fields, validate

from api.http import schemas as http_schemas
from api.http.base_schema import Schema
from api.http.schemas import Parameter, Retry, Strict, actor, described
from playbooks.definitions import asking, parameters, step_types
from playbooks.definitions import fields as common
from playbooks.definitions.events import EVENTS, MAX_EVENT_CHARACTERS
from playbooks.definitions.triggers import MAX_CONDITIONS

_TRIGGER = described(
    "What starts it: the name of an event, or an object; manual when left out.",
    anyOf=[
        {"type": "string", "maxLength": MAX_EVENT_CHARACTERS},
        {
            "type": "object",
            "properties": {
                "event": {
                    "type": "string",
                    "examples": list(EVENTS),
                    "description": "manual, schedule, or the name of an event; finding.* is every event of findings.",
                },
                "conditions": {
                    "type": ["object", "null"],
                    "maxProperties": MAX_CONDITIONS,
                    "description": "What the event must meet: member → value, or an object of operators such as $in.",
                },
                "cron": {"type": ["string", "null"], "description": "Of a schedule: its five fields."},
                "timezone": {"type": ["string", "null"], "description": "Of a schedule; UTC unless said otherwise."},
            },
            "additionalProperties": False,
        },
        {"type": "null"},
    ],
)


_VOTERS = asking.MOST_VOTERS


def _of_an_approval(text: str, kind: str, **more: Any) -> fields.Raw:
    """A member that only approvals have; it is checked with the definition."""
    return fields.Raw(allow_none=True, metadata=described(f"Of an approval. {text}", type=[kind, "null"], **more))


class Step(Schema):
    """A step.

    Each type has members of its own: action_ref, expression, branches, items, seconds, message, ...
    """

    class Meta:
        """The members of each type are checked with the definition."""

        unknown = INCLUDE

    id = fields.String(
        required=True,
        metadata=described(
            "Unique in the whole playbook.",
            pattern="^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$",
            **{"not": {"enum": sorted(step_types.LINK_WORDS)}},
        ),
    )
    name = fields.String(allow_none=True, metadata=described("What people call it; its id unless said otherwise."))
    type = fields.String(required=True, metadata=described("What it does.", enum=list(step_types.TYPES)))
    description = fields.String(allow_none=True, metadata=described("What it is for."))
    when = fields.String(
        allow_none=True, metadata=described("A condition; the step is skipped where it does not hold.")
    )
    delay_seconds = fields.Float(
        allow_none=True,
        validate=validate.Range(0, step_types.MAX_WAIT_SECONDS),
        metadata=described("How long to wait before it, up to 30 days."),
    )
    timeout_seconds = fields.Integer(
        allow_none=True,
        validate=validate.Range(1, step_types.MAX_WAIT_SECONDS),
        metadata=described("How long it may take, up to 30 days."),
    )
    retry = fields.Nested(Retry, allow_none=True, metadata=described("What happens after a temporary failure."))
    continue_on_error = fields.Boolean(allow_none=True, metadata=described("Whether to go on after its failure."))
    outputs = fields.Dict(allow_none=True, metadata=described("Name → template; later steps read it as vars.name."))
    quorum = _of_an_approval(
        "How many votes approve it; 1 unless said otherwise.", "integer", minimum=1, maximum=_VOTERS
    )
    reject_quorum = _of_an_approval("How many votes reject it; 1 by default.", "integer", minimum=1, maximum=_VOTERS)
    notify = _of_an_approval("The provider by which the question goes out, with links that decide.", "string")
    reminder_seconds = _of_an_approval(
        "How often that is repeated.", "integer", minimum=asking.MIN_REMINDER, maximum=asking.MAX_SECONDS
    )
    on_success = fields.String(allow_none=True, metadata=described("The step that follows, next or end."))
    on_failure = fields.String(
        allow_none=True, metadata=described("The step that follows a failure, next, end, abort or continue.")
    )


class StartError(Schema):
    """Why a trigger could not start a playbook; a failed run has the same reason."""

    at = fields.String(metadata=described("When it was to start: ISO 8601, UTC."))
    code = fields.String(metadata=described("A stable word for the reason."))
    message = fields.String(metadata=described("The reason, for people."))


class _DescribedPlaybook(Strict):
    """The members of a playbook; null selects the default."""

    id = http_schemas.definition_id()
    version = http_schemas.definition_version()
    description = fields.String(
        allow_none=True,
        validate=validate.Length(max=common.MAX_DESCRIPTION_CHARACTERS),
        metadata=described("Its purpose, up to 1024 characters."),
    )
    trigger = fields.Raw(metadata=_TRIGGER)
    parameters = fields.List(
        fields.Nested(Parameter),
        allow_none=True,
        validate=validate.Length(max=parameters.MAX_PARAMETERS),
        metadata=described("The parameters a run may be given; none declared: any."),
    )
    variables = fields.List(fields.Nested(Parameter), load_only=True, metadata=described("Another name of parameters."))
    inputs = fields.List(fields.Nested(Parameter), load_only=True, metadata=described("Another name of parameters."))
    on_failure = fields.String(
        allow_none=True,
        metadata=described("What a step's failure means for the run; abort.", enum=[*step_types.STRATEGIES, None]),
    )
    max_retries = fields.Integer(
        allow_none=True,
        validate=validate.Range(0, step_types.MAX_RETRIES),
        metadata=described("With on_failure retry: how many failed steps are tried again in one run."),
    )
    timeout_minutes = fields.Integer(
        allow_none=True,
        validate=validate.Range(1, step_types.MAX_TIMEOUT_MINUTES),
        metadata=described("How long a run may take; default 10080, which is 7 days."),
    )
    tags = http_schemas.definition_tags()
    enabled = fields.Boolean(allow_none=True, metadata=described("Whether it may be started; default true."))
    target_required = fields.Boolean(
        allow_none=True, metadata=described("Whether a run needs a target; default false.")
    )
    exception_step = fields.String(
        allow_none=True, metadata=described("The step of the top level that is entered when a run would fail.")
    )
    step_count = fields.Integer(
        dump_only=True, metadata=described("Steps in all, inner ones too; ignored in requests.")
    )
    next_run_at = fields.String(
        dump_only=True,
        allow_none=True,
        metadata=described("When its schedule comes round next; ignored in requests."),
    )
    last_error = fields.Nested(
        StartError,
        dump_only=True,
        allow_none=True,
        metadata=described("Why its trigger could not start it last time; null since the next good start."),
    )
    problems = fields.List(
        fields.Nested(http_schemas.Fault),
        dump_only=True,
        metadata=described("Steps whose action or playbook is missing or disabled; ignored in requests."),
    )
    created_at = fields.String(dump_only=True, metadata=described("ISO 8601, UTC; ignored in requests."))
    updated_at = fields.String(dump_only=True, metadata=described("ISO 8601, UTC; ignored in requests."))


_NAME = validate.Length(1, common.MAX_NAME_CHARACTERS)
_STEPS = validate.Length(1, step_types.MAX_STEPS)


class PlaybookDefinition(_DescribedPlaybook):
    """A playbook as its author writes it."""

    name = fields.String(required=True, validate=_NAME, metadata=described("1 to 128 printable characters."))
    steps = fields.List(fields.Nested(Step), required=True, validate=_STEPS, metadata=described("Its steps, in order."))


class PlaybookChanges(_DescribedPlaybook):
    """The members of a playbook's definition that are to change."""

    name = fields.String(validate=_NAME, metadata=described("1 to 128 printable characters."))
    steps = fields.List(fields.Nested(Step), validate=_STEPS, metadata=described("Its steps, in order."))


class Playbook(PlaybookDefinition):
    """A playbook as it is kept."""


class PlaybookVersion(Playbook):
    """A playbook as it was at one version."""

    created_by = fields.String(metadata=described("The id of the key that made it."))
    created_by_actor = actor("Who that is.")


class PlaybookItem(Schema):
    """A playbook in a list."""

    id = fields.String(metadata=described("Its id."))
    name = fields.String(metadata=described("A name for people."))
    version = fields.String(metadata=described("Its present version."))
    description = fields.String(metadata=described("Its purpose."))
    trigger = fields.Dict(metadata=described("What starts it."))
    step_count = fields.Integer(metadata=described("Steps in all, inner ones too."))
    tags = fields.List(fields.String(), metadata=described("Words to search for."))
    enabled = fields.Boolean(metadata=described("Whether it may be started."))
    created_at = fields.String(metadata=described("ISO 8601, UTC."))
    updated_at = fields.String(metadata=described("ISO 8601, UTC."))
