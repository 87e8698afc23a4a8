"""The shapes of the API's bodies. Those of requests are checked with; those of answers are documented with."""

from typing import Any, cast

from marshmallow import INCLUDE, RAISE, ValidationError, fields, validate, validates_schema

from api.http.base_schema import Schema
from playbooks import actions as meaning
from playbooks import parameters
from playbooks.actions import EXECUTORS, TYPES
from playbooks.parameter_values import TYPES as VALUE_TYPES
from store.access import ROLES, known_scopes
from store.executions import STATUSES

ID_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
#: ids that are words in our own paths
RESERVED_IDS = ("executions", "import", "validate")


def _words(text: str, **more: Any) -> dict[str, Any]:
    return {"description": text, **more}


_NAME = validate.Length(1, meaning.MAX_NAME_CHARACTERS)
_NOTE = validate.Length(max=parameters.MAX_TEXT_CHARACTERS)
_TYPE = _words("What kind of action it is.", enum=list(TYPES))
_EXECUTOR = _words(
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
#: what the library cannot say of a shape, by its name
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


class Flag(fields.Boolean):
    """true or false, and nothing that merely looks like it."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> bool:  # noqa: ARG002
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Strict(Schema):
    """A body in which unknown members are errors."""

    class Meta:
        """Unknown members are errors."""

        unknown = RAISE


class Fault(Schema):
    """One fault of a request."""

    pointer = fields.String(metadata=_words("JSON pointer into the request body; '' is the whole body."))
    detail = fields.String(metadata=_words("What is wrong, with a remedy."))


class Error(Schema):
    """The body of every error (RFC 9457)."""

    type = fields.String(metadata=_words("Always about:blank: branch on code."))
    title = fields.String(metadata=_words("The HTTP status in words."))
    status = fields.Integer(metadata=_words("The HTTP status."))
    detail = fields.String(metadata=_words("What happened, for people."))
    code = fields.String(metadata=_words("A stable word to branch on."))
    error = fields.String(metadata=_words("The same as detail."))
    message = fields.String(metadata=_words("The same as detail."))
    retryable = fields.Boolean(metadata=_words("Whether the same request may succeed later."))
    errors = fields.List(fields.Nested(Fault), metadata=_words("Each fault, where there are several to name."))
    request_id = fields.String(allow_none=True, metadata=_words("Names this request in the server's log."))


class Meta(Schema):
    """Where a page stands in its list."""

    total = fields.Integer(metadata=_words("How many items match."))
    page = fields.Integer(metadata=_words("The number of this page, from 1."))
    per_page = fields.Integer(metadata=_words("Items on a full page."))
    total_pages = fields.Integer(metadata=_words("How many pages there are."))


class Retry(Strict):
    """How often and when a failed attempt is repeated."""

    max_attempts = fields.Integer(
        validate=validate.Range(1, meaning.MAX_ATTEMPTS), metadata=_words("Attempts in all, 1 to 10.")
    )
    backoff_seconds = fields.Float(
        validate=validate.Range(0, meaning.MAX_BACKOFF_SECONDS),
        metadata=_words("Pause before the first retry, up to an hour; it doubles each time."),
    )
    jitter = fields.Boolean(metadata=_words("Whether pauses vary by a fifth."))


class Parameter(Schema):
    """A declared parameter of an action; members that mean nothing here are kept as notes."""

    class Meta:
        """Unknown members are notes."""

        unknown = INCLUDE

    name = fields.String(
        required=True,
        metadata=_words(
            "1 to 64 letters, digits and underscores, not beginning with a digit.",
            pattern="^[A-Za-z_][A-Za-z0-9_]{0,63}$",
            **{"not": {"enum": sorted(parameters.RESERVED)}},
        ),
    )
    type = fields.String(metadata=_words("What its values are; string unless said otherwise.", enum=list(VALUE_TYPES)))
    required = fields.Boolean(metadata=_words("Whether a trigger must give it."))
    default = fields.Raw(allow_none=True, metadata=_words("Its value when a trigger gives none."))
    label = fields.String(allow_none=True, validate=_NOTE, metadata=_words("What people call it."))
    description = fields.String(allow_none=True, validate=_NOTE, metadata=_words("What it is for."))
    options = fields.List(
        fields.Raw(),
        allow_none=True,
        validate=validate.Length(1, parameters.MAX_OPTIONS),
        metadata=_words("The values of an enum."),
    )
    validation = fields.Dict(allow_none=True, metadata=_words("pattern, min, max, min_length, max_length."))


class _Described(Strict):
    """What may be said of an action; null says nothing, so the default holds."""

    id = fields.String(
        allow_none=True,
        metadata=_words(
            "Given by the author, else made from the name; it never changes.",
            pattern=ID_PATTERN,
            **{"not": {"enum": list(RESERVED_IDS)}},
        ),
    )
    description = fields.String(
        allow_none=True,
        validate=validate.Length(max=meaning.MAX_DESCRIPTION_CHARACTERS),
        metadata=_words("What it is for, up to 1024 characters."),
    )
    version = fields.String(
        allow_none=True,
        metadata=_words(
            "MAJOR.MINOR.PATCH; goes up by itself when not given.",
            pattern=r"^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$",
        ),
    )
    parameters = fields.List(
        fields.Nested(Parameter),
        allow_none=True,
        validate=validate.Length(max=parameters.MAX_PARAMETERS),
        metadata=_words("The parameters a trigger may give."),
    )
    config = fields.Dict(
        allow_none=True, metadata=_words("What the executor needs; secrets in it are stored encrypted.")
    )
    tags = fields.List(
        fields.String(validate=validate.Length(1, meaning.MAX_TAG_CHARACTERS)),
        allow_none=True,
        validate=validate.Length(max=meaning.MAX_TAGS),
        metadata=_words("Words to find it by."),
    )
    timeout_seconds = fields.Integer(
        allow_none=True,
        validate=validate.Range(1, meaning.MAX_TIMEOUT_SECONDS),
        metadata=_words("How long one attempt may take, 1 to 86400; default 300."),
    )
    retry = fields.Nested(Retry, allow_none=True, metadata=_words("What happens after a failure that may pass."))
    idempotent = fields.Boolean(
        allow_none=True, metadata=_words("Whether repeating it in doubt does no harm; default true.")
    )
    enabled = fields.Boolean(allow_none=True, metadata=_words("Whether it may be triggered; default true."))
    conditions = fields.Raw(allow_none=True, metadata=_words("Kept and shown; an action by itself has no use for it."))
    input_mapping = fields.Raw(allow_none=True, metadata=_words("Kept and shown, likewise."))
    output_mapping = fields.Raw(allow_none=True, metadata=_words("Kept and shown, likewise."))
    created_at = fields.String(dump_only=True, metadata=_words("ISO 8601, UTC; passed over when sent."))
    updated_at = fields.String(dump_only=True, metadata=_words("ISO 8601, UTC; passed over when sent."))


class ActionDefinition(_Described):
    """An action as its author writes it."""

    name = fields.String(required=True, validate=_NAME, metadata=_words("1 to 128 printable characters."))
    type = fields.String(required=True, metadata=_TYPE)
    executor = fields.Raw(metadata=_EXECUTOR)


class ActionChanges(_Described):
    """The members of an action's definition that are to change."""

    name = fields.String(validate=_NAME, metadata=_words("1 to 128 printable characters."))
    type = fields.String(metadata=_TYPE)
    executor = fields.Raw(metadata=_EXECUTOR)


class Action(ActionDefinition):
    """An action as it is kept; secrets in its config are masked."""


class Version(Action):
    """An action as it was at one version."""

    created_by = fields.String(metadata=_words("The id of the key that made it."))


class Finding(Schema):
    """A fault of a definition."""

    path = fields.String(metadata=_words("Where, as a JSON path."))
    pointer = fields.String(metadata=_words("Where, as a JSON pointer."))
    message = fields.String(metadata=_words("What is wrong."))


WARNINGS = fields.List(fields.Nested(Fault), metadata=_words("What is allowed but doubtful, each with its place."))


class Verdict(Schema):
    """Whether a definition could be stored."""

    valid = fields.Boolean(metadata=_words("Whether it has no faults."))
    warnings = fields.List(fields.Nested(Finding), metadata=_words("What is allowed but doubtful."))
    errors = fields.List(fields.Nested(Finding), metadata=_words("Every fault."))


class Trigger(Strict):
    """A request to perform an action now."""

    target = fields.String(
        allow_none=True,
        load_default=None,
        validate=validate.Length(min=1, max=255),
        metadata=_words("The asset it is about."),
    )
    parameters = fields.Dict(
        keys=fields.String(), required=True, metadata=_words("Values for the declared parameters; {} for none.")
    )
    sandbox = Flag(load_default=False, metadata=_words("Run it with every outside call recorded instead of made."))
    dry_run = Flag(load_default=False, metadata=_words("Check and render everything, perform nothing."))

    @validates_schema
    def one_mode(self, data: dict[str, Any], **_: Any) -> None:
        """Sandbox and dry_run exclude each other."""
        if data["sandbox"] and data["dry_run"]:
            raise ValidationError("Ask for a sandbox or a dry run, not both.", "dry_run")


class Accepted(Schema):
    """The execution that a trigger has made."""

    execution_id = fields.String(metadata=_words("Its id."))
    action_id = fields.String(metadata=_words("The action."))
    status = fields.String(metadata=_words("pending: a worker has yet to take it up."))
    created_at = fields.String(metadata=_words("When it was accepted, ISO 8601, UTC."))
    started_at = fields.String(allow_none=True, metadata=_words("null: it has not started."))
    sandbox = fields.Boolean(metadata=_words("Whether outside calls are recorded instead of made."))
    dry_run = fields.Boolean(metadata=_words("Whether nothing is performed."))


class ExecutionItem(Schema):
    """An execution in a list."""

    execution_id = fields.String(metadata=_words("Its id."))
    action_id = fields.String(metadata=_words("The action."))
    version = fields.String(metadata=_words("The action's version that runs."))
    status = fields.String(metadata=_words("Where it is in its life.", enum=list(STATUSES)))
    target = fields.String(allow_none=True, metadata=_words("The asset it is about."))
    parameters = fields.Dict(
        allow_none=True, metadata=_words("The values it runs with; secrets masked. null in a list if over 16 KiB.")
    )
    parameters_omitted = fields.Boolean(metadata=_words("true, only in a list: parameters are too large for it."))
    output = fields.Raw(allow_none=True, metadata=_words("What it brought. null in a list if over 16 KiB."))
    output_omitted = fields.Boolean(metadata=_words("true, only in a list: the output is too large for it."))
    error = fields.Dict(allow_none=True, metadata=_words("code, message, outcome_unknown; null unless it failed."))
    created_at = fields.String(metadata=_words("ISO 8601, UTC."))
    started_at = fields.String(allow_none=True, metadata=_words("When its first attempt began."))
    completed_at = fields.String(allow_none=True, metadata=_words("When it ended."))
    duration_seconds = fields.Float(allow_none=True, metadata=_words("From start to end."))
    sandbox = fields.Boolean(metadata=_words("Whether outside calls were recorded instead of made."))
    dry_run = fields.Boolean(metadata=_words("Whether nothing was performed."))
    run_id = fields.String(allow_none=True, metadata=_words("The playbook execution it is a step of."))
    step_id = fields.String(allow_none=True, metadata=_words("Which step of the playbook it is."))


class LogLine(Schema):
    """A line of an execution's log."""

    timestamp = fields.String(metadata=_words("ISO 8601, UTC."))
    level = fields.String(metadata=_words("DEBUG, INFO, WARNING or ERROR."))
    message = fields.String(metadata=_words("What happened."))


class RetryState(Schema):
    """How the retries of an execution stand."""

    failures = fields.Integer(metadata=_words("Attempts that failed."))
    max_attempts = fields.Integer(metadata=_words("Attempts allowed."))
    next_attempt_at = fields.String(allow_none=True, metadata=_words("When it is tried again, if it waits for that."))


class SandboxReport(Schema):
    """What a sandboxed execution would have done."""

    intercepted_calls = fields.List(fields.Dict(), metadata=_words("Outside calls that were recorded."))
    commands_executed = fields.List(fields.Dict(), metadata=_words("Scripts that ran in isolation."))
    output = fields.Raw(allow_none=True, metadata=_words("What it brought."))


class Execution(ExecutionItem):
    """An execution in full."""

    action_name = fields.String(metadata=_words("The action's name at that version."))
    logs = fields.List(fields.Nested(LogLine), metadata=_words("What happened, in order."))
    attempt = fields.Integer(metadata=_words("How often a worker has taken it up."))
    waiting_for = fields.String(allow_none=True, metadata=_words("retry, approval or delay, while it waits."))
    waiting_until = fields.String(allow_none=True, metadata=_words("When the wait ends by itself."))
    retry = fields.Nested(RetryState, metadata=_words("How its retries stand."))
    sandbox_report = fields.Nested(SandboxReport, metadata=_words("Only of sandboxed executions."))


class Decision(Strict):
    """What goes with an approval or a rejection."""

    note = fields.String(
        load_default="", validate=validate.Length(max=1024), metadata=_words("Why; kept with the decision.")
    )


class NewKey(Strict):
    """The key that is wanted."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=128), metadata=_words("Who uses it."))
    role = fields.String(
        load_default="operator", validate=validate.OneOf(sorted(ROLES)), metadata=_words("The most it may do.")
    )
    scopes = fields.List(
        fields.String(validate=validate.OneOf(sorted(known_scopes()))),
        load_default=[],
        validate=validate.Length(max=50),
        metadata=_words("Narrow the role to these permissions; none means all of the role."),
    )
    expires_at = fields.AwareDateTime(
        format="iso", allow_none=True, load_default=None, metadata=_words("ISO 8601 with a time zone; null: never.")
    )


class Key(Schema):
    """An API key without its secret."""

    id = fields.String(metadata=_words("Its id, also the second part of the key."))
    name = fields.String(metadata=_words("Who uses it."))
    role = fields.String(metadata=_words("The most it may do."))
    scopes = fields.List(fields.String(), metadata=_words("What the role is narrowed to."))
    created_at = fields.String(metadata=_words("ISO 8601, UTC."))
    expires_at = fields.String(allow_none=True, metadata=_words("ISO 8601, UTC; null: never."))
    last_used = fields.String(allow_none=True, metadata=_words("To the minute; null: never."))


class FreshKey(Key):
    """An API key, this one time with its secret."""

    key = fields.String(metadata=_words("The key itself. It is never shown again."))


def enveloped(schema: type[Schema], named: str = "", **more: fields.Field[Any]) -> Schema:
    """The shape ``{data: ...}`` around one thing, ``named`` otherwise where it holds ``more`` beside it."""
    name = f"{named or schema.__name__}Answer"
    return cast("Schema", Schema.from_dict({"data": fields.Nested(schema), **more}, name=name)())


def page_of(schema: type[Schema]) -> Schema:
    """The shape ``{data: [...], meta}`` of a list."""
    members: dict[str, fields.Field[Any]] = {"data": fields.List(fields.Nested(schema)), "meta": fields.Nested(Meta)}
    return cast("Schema", Schema.from_dict(members, name=f"{schema.__name__}Page")())
