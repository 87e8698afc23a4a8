"""The shapes of the bodies of ``/api/playbooks``.

The definitions themselves are checked in ``playbooks.checks``.
"""

from typing import Any

from marshmallow import fields, validate

from api.http import schemas as http_schemas
from api.http.base_schema import Answer
from api.http.schemas import Parameter, Strict, actor, described, moment
from playbooks.definitions import fields as common
from playbooks.definitions import parameters, step_types
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


#: where the document has the schemas of steps, which ``playbooks.schemas`` makes
SCHEMAS = "#/components/schemas/"


def _steps(form: str, **more: Any) -> fields.Raw:
    """The steps of a playbook, in the form of this name."""
    items = {"type": "array", "minItems": 1, "maxItems": step_types.MAX_STEPS, "items": {"$ref": f"{SCHEMAS}{form}"}}
    return fields.Raw(metadata=described("Its steps, in order.", **items), **more)


class StartError(Answer):
    """Why a trigger could not start a playbook; a failed run has the same reason."""

    at = moment("When it was to start: ISO 8601, UTC.")
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
    trigger: fields.Field[Any] = fields.Raw(metadata=_TRIGGER)
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
        metadata=described("When its schedule comes round next; ignored in requests.", format="date-time"),
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
    created_at = fields.String(
        dump_only=True, metadata=described("ISO 8601, UTC; ignored in requests.", format="date-time")
    )
    updated_at = fields.String(
        dump_only=True, metadata=described("ISO 8601, UTC; ignored in requests.", format="date-time")
    )


_NAME = validate.Length(1, common.MAX_NAME_CHARACTERS)


class PlaybookDefinition(_DescribedPlaybook):
    """A playbook as its author writes it."""

    name = fields.String(required=True, validate=_NAME, metadata=described("1 to 128 printable characters."))
    steps = _steps("StepDefinition", required=True)


class PlaybookChanges(_DescribedPlaybook):
    """The members of a playbook's definition that are to change."""

    name = fields.String(validate=_NAME, metadata=described("1 to 128 printable characters."))
    steps = _steps("StepDefinition")


class KeptTrigger(Answer):
    """What starts a playbook, as it is kept."""

    event = fields.String(metadata=described("manual, schedule, or the name of an event."))
    conditions = fields.Dict(metadata=described("What the event must meet."))
    cron = fields.String(metadata=described("Of a schedule: its five fields.", sometimes=True))
    timezone = fields.String(metadata=described("Of a schedule.", sometimes=True))


class Playbook(Answer, PlaybookDefinition):
    """A playbook as it is kept."""

    trigger = fields.Nested(KeptTrigger, metadata=described("What starts it."))
    parameters = fields.List(
        fields.Nested(http_schemas.KeptParameter), metadata=described("The parameters a run may be given.")
    )
    steps = _steps("Step")


_OF_NOW = ("step_count", "next_run_at", "last_error", "problems", "updated_at")


class StoredPlaybook(Playbook):
    """A playbook in its stored form."""

    class Meta(Strict.Meta):
        """It says nothing of the playbook's state."""

        exclude = (*_OF_NOW, "created_at")


class PlaybookVersion(Playbook):
    """A playbook as it was at one version."""

    class Meta(Strict.Meta):
        """It says nothing of the playbook's state."""

        exclude = _OF_NOW

    created_by = fields.String(metadata=described("The id of the key that made it."))
    created_by_actor = actor("Who that is.")


class PlaybookItem(Answer):
    """A playbook in a list."""

    id = fields.String(metadata=described("Its id."))
    name = fields.String(metadata=described("A name for people."))
    version = fields.String(metadata=described("Its present version."))
    description = fields.String(metadata=described("Its purpose."))
    trigger = fields.Nested(KeptTrigger, metadata=described("What starts it."))
    step_count = fields.Integer(metadata=described("Steps in all, inner ones too."))
    tags = fields.List(fields.String(), metadata=described("Words to search for."))
    enabled = fields.Boolean(metadata=described("Whether it may be started."))
    created_at = moment("ISO 8601, UTC.")
    updated_at = moment("ISO 8601, UTC.")
