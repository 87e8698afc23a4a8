"""The shapes of the bodies of ``/api/actions``.

Request shapes validate, answer shapes document.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validate, validates_schema

from api.gateway.decided import Decided
from api.http import schemas as http_schemas
from api.http.base_schema import Answer
from api.http.schemas import (
    NAME,
    Flag,
    KeptParameter,
    KeptRetry,
    LogLine,
    Parameter,
    Retry,
    Strict,
    anything,
    described,
    moment,
)
from playbooks.definitions import actions as meaning
from playbooks.definitions import parameters
from playbooks.definitions.actions import EXECUTORS, TYPES
from store.executions.lists import listing
from store.executions.transitions import STATUSES

_TYPE = described("What kind of action it is.", enum=list(TYPES))
_EXECUTOR = described(
    "Who carries it out: the name, or an object with the name as type and the rest of config. "
    "An approval without config may leave it out.",
    oneOf=[
        {"type": "string", "enum": list(EXECUTORS)},
        {
            "type": "object",
            "properties": {"type": {"type": "string", "enum": list(EXECUTORS)}},
            "required": ["type"],
        },
    ],
)
#: for a shape, by name, the parts of its schema that the library cannot derive
BEYOND: dict[str, dict[str, Any]] = {
    "ActionDefinition": {
        "anyOf": [
            {"required": ["executor"]},
            {"properties": {"type": {"const": "approval"}, "config": {"maxProperties": 0}}, "required": ["type"]},
        ]
    },
    "Trigger": {
        "not": {
            "properties": {"sandbox": {"const": True}, "dry_run": {"const": True}},
            "required": ["sandbox", "dry_run"],
        }
    },
}


class _DescribedAction(Strict):
    """The members of an action; null selects the default."""

    SYNONYMS: ClassVar[Mapping[str, str]] = {
        **http_schemas.WORDS_FOR_PARAMETERS,
        "timeout": "timeout_seconds",
        "retries": "retry",
        "labels": "tags",
        "kind": "type",
        "title": "name",
        "settings": "config",
        "configuration": "config",
    }

    id = http_schemas.definition_id()
    description = fields.String(
        allow_none=True,
        validate=validate.Length(max=meaning.MAX_DESCRIPTION_CHARACTERS),
        metadata=described("What it is for, up to 1024 characters."),
    )
    version = http_schemas.definition_version()
    parameters = fields.List(
        fields.Nested(Parameter),
        allow_none=True,
        validate=validate.Length(max=parameters.MAX_PARAMETERS),
        metadata=described("The parameters a trigger may give."),
    )
    config = fields.Dict(
        allow_none=True, metadata=described("What the executor needs; secrets in it are stored encrypted.")
    )
    tags = http_schemas.definition_tags()
    timeout_seconds = fields.Integer(
        allow_none=True,
        validate=validate.Range(1, meaning.MAX_TIMEOUT_SECONDS),
        metadata=described("How long one attempt may take, 1 to 86400; default 300."),
    )
    retry = fields.Nested(Retry, allow_none=True, metadata=described("What happens after a temporary failure."))
    idempotent = fields.Boolean(
        allow_none=True, metadata=described("Whether repeating it in doubt does no harm; default true.")
    )
    enabled = fields.Boolean(allow_none=True, metadata=described("Whether it may be triggered; default true."))
    conditions = anything("Stored and returned; has no effect.", sometimes=True)
    input_mapping = anything("Stored and returned; has no effect.", sometimes=True)
    output_mapping = anything("Stored and returned; has no effect.", sometimes=True)
    created_at = fields.String(
        dump_only=True, metadata=described("ISO 8601, UTC; ignored in requests.", format="date-time")
    )
    updated_at = fields.String(
        dump_only=True, metadata=described("ISO 8601, UTC; ignored in requests.", format="date-time")
    )


class ActionDefinition(_DescribedAction):
    """An action as its author writes it."""

    name = fields.String(required=True, validate=NAME, metadata=described("1 to 128 printable characters."))
    type = fields.String(required=True, metadata=_TYPE)
    executor: fields.Field[Any] = fields.Raw(metadata=_EXECUTOR)


class ActionChanges(_DescribedAction):
    """The members of an action's definition that are to change."""

    name = fields.String(validate=NAME, metadata=described("1 to 128 printable characters."))
    type = fields.String(metadata=_TYPE)
    executor = fields.Raw(metadata=_EXECUTOR)


class Action(Answer, ActionDefinition):
    """An action as it is kept; secrets in its config are masked."""

    executor = fields.String(metadata=described("Who carries it out.", enum=list(EXECUTORS)))
    parameters = fields.List(fields.Nested(KeptParameter), metadata=described("The parameters a trigger may give."))
    retry = fields.Nested(KeptRetry, metadata=described("What happens after a temporary failure."))


class Version(Action):
    """An action as it was at one version."""

    class Meta(Strict.Meta):
        """A version does not change."""

        exclude = ("updated_at",)

    created_by = fields.String(metadata=described("The id of the key that made it."))
    created_by_actor = http_schemas.actor("Who that is.")


class Trigger(Strict):
    """A request to trigger an action."""

    SYNONYMS: ClassVar[Mapping[str, str]] = {
        **http_schemas.WORDS_FOR_PARAMETERS,
        "asset": "target",
        "target_asset_id": "target",
        "host": "target",
        "simulate": "dry_run",
    }

    APART = frozenset({"sandbox", "dry_run"})

    target = fields.String(
        allow_none=True,
        load_default=None,
        validate=validate.Length(min=1, max=255),
        metadata=described("The asset it is about."),
    )
    parameters = fields.Dict(
        keys=fields.String(),
        load_default=dict,
        metadata=described("Values for the declared parameters; none unless given."),
    )
    sandbox = Flag(load_default=False, metadata=described("Run it with every outside call recorded instead of made."))
    dry_run = Flag(
        load_default=False, metadata=described("Check the values and render the templates, execute nothing.")
    )

    @validates_schema
    def one_mode(self, data: dict[str, Any], **_: Any) -> None:
        """Sandbox and dry_run exclude each other."""
        if data["sandbox"] and data["dry_run"]:
            raise ValidationError("Ask for a sandbox or a dry run, not both.", "dry_run")


class Accepted(Decided):
    """The execution that a trigger has made."""

    execution_id = fields.String(metadata=described("Its id."))
    id = fields.String(metadata=described("The same as execution_id."))
    action_id = fields.String(metadata=described("The action."))
    status = fields.String(
        metadata=described(
            "pending: no worker has claimed it yet. Where a rule concerns it: failed or cancelled, it does not go out; "
            "waiting, it goes out later."
        )
    )
    created_at = moment("When it was accepted, ISO 8601, UTC.")
    started_at = moment("null: it has not started.", null=True)
    sandbox = fields.Boolean(metadata=described("Whether outside calls are recorded instead of made."))
    dry_run = fields.Boolean(metadata=described("Whether it is a dry run, which executes nothing."))


class ExecutionItem(Decided):
    """An execution in a list."""

    execution_id = fields.String(metadata=described("Its id."))
    id = fields.String(metadata=described("The same as execution_id."))
    action_id = fields.String(metadata=described("The action."))
    version = fields.String(metadata=described("The action's version that runs."))
    status = fields.String(metadata=described("Its status.", enum=list(STATUSES)))
    target = fields.String(allow_none=True, metadata=described("The asset it is about."))
    parameters = fields.Dict(
        allow_none=True, metadata=described("The values it runs with; secrets masked. null in a list if over 16 KiB.")
    )
    parameters_omitted = fields.Boolean(
        metadata=described("true, only in a list: parameters are too large for it.", sometimes=True)
    )
    output = anything("Its output; null in a list if over 16 KiB.")
    output_omitted = fields.Boolean(
        metadata=described("true, only in a list: the output is too large for it.", sometimes=True)
    )
    error = http_schemas.failure("Why it failed; null unless it did.")
    created_at = moment("ISO 8601, UTC.")
    started_at = moment("When its first attempt began.", null=True)
    completed_at = moment("When it ended.", null=True)
    duration_seconds = fields.Float(allow_none=True, metadata=described("From start to end."))
    duration_ms = fields.Integer(allow_none=True, metadata=described("The same in milliseconds."))
    trigger = fields.String(
        metadata=described(
            "What has it carried out: a request (api), a recurring action, the replay of a record, or a playbook.",
            enum=[*listing.TRIGGERS, "playbook", "dispatch"],
        )
    )
    sandbox = fields.Boolean(metadata=described("Whether outside calls were recorded instead of made."))
    dry_run = fields.Boolean(metadata=described("Whether it is a dry run, which executes nothing."))
    run_id = fields.String(allow_none=True, metadata=described("The playbook execution it is a step of."))
    step_id = fields.String(allow_none=True, metadata=described("Which step of the playbook it is."))


class RetryState(Answer):
    """The retries of an execution."""

    failures = fields.Integer(metadata=described("Attempts that failed."))
    max_attempts = fields.Integer(metadata=described("Attempts allowed."))
    next_attempt_at = moment("When it is tried again, if it waits for that.", null=True)


class SandboxReport(Answer):
    """What a sandboxed execution would have done."""

    intercepted_calls = fields.List(fields.Dict(), metadata=described("Outside calls that were recorded."))
    commands_executed = fields.List(fields.Dict(), metadata=described("Scripts that ran in isolation."))
    output = anything("Its output.")


class Execution(ExecutionItem):
    """An execution in full."""

    action_name = fields.String(metadata=described("The action's name at that version."))
    logs = fields.List(fields.Nested(LogLine), metadata=described("What happened, in order."))
    attempt = fields.Integer(metadata=described("How many times a worker has claimed it."))
    waiting_for = fields.String(allow_none=True, metadata=described("retry, approval, gate or delay, while it waits."))
    waiting_until = moment("When the wait ends by itself.", null=True)
    retry = fields.Nested(RetryState, metadata=described("The state of its retries."))
    sandbox_report = fields.Nested(
        SandboxReport, allow_none=True, metadata=described("Only of sandboxed executions.", sometimes=True)
    )
