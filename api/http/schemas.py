"""The shapes that bodies of several families share."""

from datetime import UTC
from typing import Any, cast

from marshmallow import INCLUDE, RAISE, fields, validate

from api.http.base_schema import Answer, Schema
from playbooks.definitions import actions as meaning
from playbooks.definitions import parameters
from playbooks.definitions.parameter_values import TYPES as VALUE_TYPES
from store.callers import actors
from store.paging import EXACT, MOST

ID_PATTERN = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"


#: ids that are words in our own paths
RESERVED_IDS = ("executions", "import", "schema", "simulate", "validate")


def described(text: str, **more: Any) -> dict[str, Any]:
    """The metadata of a field: its description, and underivable parts.

    ``more`` is what the library cannot derive of its shape; ``sometimes`` says that not all
    answers have the member.
    """
    return {"description": text, **more}


def text(description: str, *, null: bool = False, **more: Any) -> fields.String:
    """A text of an answer; ``more`` as in ``described``."""
    return fields.String(allow_none=null, metadata=described(description, **more))


def number(description: str, *, null: bool = False) -> fields.Integer:
    """A whole number of an answer."""
    return fields.Integer(allow_none=null, metadata=described(description))


def moment(description: str, *, null: bool = False, **more: Any) -> fields.String:
    """A time of an answer, ISO 8601 in UTC; ``more`` as in ``described``."""
    return fields.String(allow_none=null, metadata=described(description, format="date-time", **more))


#: every type that a JSON value can have
ANY = ("object", "array", "string", "number", "boolean", "null")


def anything(description: str, **more: Any) -> fields.Raw:
    """A member that may be any JSON value; ``more`` as in ``described``."""
    return fields.Raw(allow_none=True, metadata=described(description, type=list(ANY), **more))


def bounded(least: int, most: int, description: str) -> fields.Integer:
    """A whole number of a request that may also be null."""
    bounds = validate.Range(min=least, max=most)
    return fields.Integer(strict=True, allow_none=True, validate=bounds, metadata=described(description))


def time_filter(name: str, description: str, example: str) -> fields.AwareDateTime:
    """A moment of a query string, as ``name``; without zone it is in UTC."""
    metadata = described(description, example=example)
    return fields.AwareDateTime(format="iso", default_timezone=UTC, data_key=name, metadata=metadata)


def without_nul() -> validate.Validator:
    """The check that a text holds no NUL, which PostgreSQL does not store."""
    return validate.ContainsNoneOf("\0", error="Must not hold NUL.")


def definition_id() -> fields.String:
    """The id that a versioned definition may give itself."""
    metadata = described(
        "Given by the author, else made from the name; it never changes.",
        pattern=ID_PATTERN,
        **{"not": {"enum": list(RESERVED_IDS)}},
    )
    return fields.String(allow_none=True, metadata=metadata)


def definition_version() -> fields.String:
    """The version that a definition may give itself."""
    metadata = described(
        "MAJOR.MINOR.PATCH; goes up by itself when not given.",
        pattern=r"^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$",
    )
    return fields.String(allow_none=True, metadata=metadata)


def definition_tags() -> fields.List[str]:
    """The tags of a definition."""
    return fields.List(
        fields.String(validate=validate.Length(1, meaning.MAX_TAG_CHARACTERS)),
        allow_none=True,
        validate=validate.Length(max=meaning.MAX_TAGS),
        metadata=described("Words to search for."),
    )


#: the longest that a reader may wait, seconds
MOST_SECONDS = 30


def wait(for_what: str) -> fields.Float:
    """How long a reader may wait; ``for_what`` ends the description."""
    metadata = described(f"Seconds to wait, up to {MOST_SECONDS}, {for_what}", example=10)
    return fields.Float(load_default=0, validate=validate.Range(min=0, max=MOST_SECONDS), metadata=metadata)


#: how long a name may be
NAME = validate.Length(1, meaning.MAX_NAME_CHARACTERS)


#: how long a text may be
NOTE = validate.Length(max=parameters.MAX_TEXT_CHARACTERS)


#: other words for the member ``parameters``
WORDS_FOR_PARAMETERS = dict.fromkeys(
    ("params", "param", "args", "arguments", "inputs", "input", "variables", "vars", "values", "data"), "parameters"
)


class Flag(fields.Boolean):
    """true or false; a word or number of that meaning is refused."""

    takes_only_booleans = True

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> bool:  # noqa: ARG002
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Strict(Schema):
    """A body in which unknown members are errors."""

    class Meta:
        """Unknown members are errors."""

        unknown = RAISE


class Fault(Answer):
    """One fault of a request."""

    pointer = fields.String(metadata=described("JSON pointer into the request body; '' is the whole body."))
    detail = fields.String(metadata=described("What is wrong, with a remedy."))


class UsedStep(Answer):
    """A step that names what is in use."""

    pointer = fields.String(metadata=described("JSON pointer into the playbook."))
    step_id = fields.String(metadata=described("The step's id."))


class User(Answer):
    """A playbook that uses what was to be deleted or disabled."""

    playbook_id = fields.String(metadata=described("The playbook."))
    name = fields.String(metadata=described("What people call it."))
    enabled = fields.Boolean(metadata=described("Whether it may be started."))
    trigger = fields.String(metadata=described("What starts it."))
    scheduled = fields.Boolean(metadata=described("Whether a schedule starts it."))
    next_run_at = moment("When the schedule starts it next.", null=True)
    steps = fields.List(fields.Nested(UsedStep), metadata=described("The first 20 steps that name it."))


class Actor(Answer):
    """Who has done something."""

    id = fields.String(metadata=described("The id, as other members have it."))
    kind = fields.String(
        metadata=described("A key, a user, the holder of a link, the system itself.", enum=list(actors.KINDS))
    )
    name = fields.String(metadata=described("What people call it."))


def actor(text: str, **more: Any) -> fields.Nested:
    """The actor of a deed; null before the deed."""
    return fields.Nested(Actor, allow_none=True, metadata=described(text, **more))


class Error(Answer):
    """The body of every error (RFC 9457)."""

    type = fields.String(
        metadata=described("The address of the code's page, below that of the server.", format="uri-reference")
    )
    title = fields.String(metadata=described("The HTTP status in words."))
    status = fields.Integer(metadata=described("The HTTP status."))
    detail = fields.String(metadata=described("What happened, for people."))
    code = fields.String(metadata=described("A stable word to branch on."))
    error = fields.String(metadata=described("The same as detail."))
    message = fields.String(metadata=described("The same as detail."))
    retryable = fields.Boolean(metadata=described("Whether the same request may succeed later."))
    errors = fields.List(fields.Nested(Fault), metadata=described("Each fault, where there are several to name."))
    used_by = fields.List(
        fields.Nested(User),
        metadata=described("Only with in_use: the playbooks that use it, up to 50.", sometimes=True),
    )
    running_execution_id = fields.String(
        metadata=described(
            "Only with already_running: the run of the playbook for this asset that is under way.", sometimes=True
        )
    )
    state = fields.String(
        metadata=described("Only with transition_not_allowed: the state of the event.", sometimes=True)
    )
    decided_by = fields.String(
        metadata=described("Only with a decision that comes too late: the id of who was first.", sometimes=True)
    )
    decided_by_actor = actor("Only with decided_by: who that is.", sometimes=True)
    decided_at = moment("Only with decided_by: when that was.", null=True, sometimes=True)
    created_id = fields.String(
        metadata=described(
            "Only with already_created: the id of what an earlier copy of the request has created.", sometimes=True
        )
    )
    allowed = fields.List(
        fields.String(),
        metadata=described("Only with transition_not_allowed: the states to which the event can go.", sometimes=True),
    )
    faults = fields.List(
        fields.Dict(),
        metadata=described("Only with invalid_bundle: file, line and detail of each fault.", sometimes=True),
    )
    request_id = fields.String(allow_none=True, metadata=described("Names this request in the server's log."))


class PartMeta(Answer):
    """Where a list goes on."""

    next_cursor = fields.String(
        allow_none=True, metadata=described("Send it as cursor to read on; null at the end of the list.")
    )


class Meta(PartMeta):
    """Where a page stands in its list; of a part read by cursor only next_cursor is said."""

    total = fields.Integer(metadata=described("How many items match.", sometimes=True))
    total_is_estimate = fields.Boolean(
        metadata=described(
            f"Totals up to {EXACT:,} are exact (false). Longer lists are counted at most once a minute and up to "
            f"{MOST:,} (true).",
            sometimes=True,
        )
    )
    page = fields.Integer(metadata=described("The number of this page, from 1.", sometimes=True))
    per_page = fields.Integer(metadata=described("Items on a full page.", sometimes=True))
    total_pages = fields.Integer(metadata=described("How many pages there are, by that total.", sometimes=True))


class Retry(Strict):
    """How often and when a failed attempt is repeated."""

    max_attempts = fields.Integer(
        validate=validate.Range(1, meaning.MAX_ATTEMPTS), metadata=described("Attempts in all, 1 to 10.")
    )
    backoff_seconds = fields.Float(
        validate=validate.Range(0, meaning.MAX_BACKOFF_SECONDS),
        metadata=described("Pause before the first retry, up to an hour; it doubles each time."),
    )
    jitter = fields.Boolean(metadata=described("Whether pauses vary by a fifth."))


class Parameter(Schema):
    """A declared parameter of an action; unknown members are notes."""

    class Meta:
        """Unknown members are notes."""

        unknown = INCLUDE

    name = fields.String(
        required=True,
        metadata=described(
            "1 to 64 letters, digits and underscores, not beginning with a digit.",
            pattern="^[A-Za-z_][A-Za-z0-9_]{0,63}$",
            **{"not": {"enum": sorted(parameters.RESERVED)}},
        ),
    )
    type = fields.String(
        metadata=described("What its values are; string unless said otherwise.", enum=list(VALUE_TYPES))
    )
    required = fields.Boolean(metadata=described("Whether a trigger must give it."))
    default = anything("Its value when a trigger gives none.")
    label = fields.String(allow_none=True, validate=NOTE, metadata=described("A name for people."))
    description = fields.String(allow_none=True, validate=NOTE, metadata=described("What it is for."))
    options = fields.List(
        fields.Raw(),
        allow_none=True,
        validate=validate.Length(1, parameters.MAX_OPTIONS),
        metadata=described("The values of an enum."),
    )
    validation = fields.Dict(allow_none=True, metadata=described("pattern, min, max, min_length, max_length."))


class KeptRetry(Answer, Retry):
    """How often and when a failed attempt is repeated, defaults filled in."""


class KeptParameter(Answer, Parameter):
    """A declared parameter as it is kept."""

    ALWAYS = frozenset({"name", "type", "required"})


class Finding(Answer):
    """A fault of a definition."""

    path = fields.String(metadata=described("Where, as a JSON path."))
    pointer = fields.String(metadata=described("Where, as a JSON pointer."))
    message = fields.String(metadata=described("What is wrong."))


WARNINGS = fields.List(fields.Nested(Fault), metadata=described("What is allowed but doubtful, each with its place."))


class Verdict(Answer):
    """Whether a definition could be stored."""

    valid = fields.Boolean(metadata=described("Whether it has no faults."))
    warnings = fields.List(fields.Nested(Finding), metadata=described("What is allowed but doubtful."))
    errors = fields.List(fields.Nested(Finding), metadata=described("Every fault."))


class Failure(Answer):
    """Why an execution, a step or a run failed; ``/docs/errors`` has every code with a remedy."""

    code = fields.String(metadata=described("A stable word to branch on."))
    message = fields.String(metadata=described("What happened, for people."))
    outcome_unknown = fields.Boolean(
        metadata=described(
            "Whether it is not known if the action had its effect: look before you repeat it.", sometimes=True
        )
    )
    effect_possible = fields.Boolean(
        metadata=described("true: the effect may have happened all the same.", sometimes=True)
    )
    retryable = fields.Boolean(metadata=described("Whether the same may succeed later.", sometimes=True))
    step_id = fields.String(metadata=described("Of a run: the step that failed.", sometimes=True))
    cause = fields.String(
        allow_none=True, metadata=described("With step_failed: the code of the step's own error.", sometimes=True)
    )
    details = fields.Dict(
        metadata=described("What else is known, by code: status, exit_code and others.", sometimes=True)
    )


def failure(description: str) -> fields.Nested:
    """The member ``error`` of an execution, a step or a run."""
    return fields.Nested(Failure, allow_none=True, metadata=described(description))


class LogLine(Answer):
    """A line of an execution's log."""

    timestamp = moment("ISO 8601, UTC.")
    level = fields.String(metadata=described("DEBUG, INFO, WARNING or ERROR."))
    message = fields.String(metadata=described("What happened."))


class Decision(Strict):
    """The body of an approval or a rejection."""

    note = fields.String(
        load_default="", validate=validate.Length(max=1024), metadata=described("Why; kept with the decision.")
    )


def enveloped(schema: type[Schema], named: str = "", **more: fields.Field[Any]) -> Schema:
    """The shape ``{data: ...}`` around one object.

    ``named`` names it otherwise where it also holds ``more``.
    """
    name = f"{named or schema.__name__}Answer"
    return cast("Schema", Answer.from_dict({"data": fields.Nested(schema), **more}, name=name)())


def page_of(schema: type[Schema]) -> Schema:
    """The shape ``{data: [...], meta}`` of a list."""
    members: dict[str, fields.Field[Any]] = {"data": fields.List(fields.Nested(schema)), "meta": fields.Nested(Meta)}
    return cast("Schema", Answer.from_dict(members, name=f"{schema.__name__}Page")())


def listed(schema: type[Schema]) -> Schema:
    """The shape ``{data: [...], meta}`` of a list without pages."""
    members: dict[str, fields.Field[Any]] = {
        "data": fields.List(fields.Nested(schema)),
        "meta": fields.Nested(PartMeta),
    }
    return cast("Schema", Answer.from_dict(members, name=f"{schema.__name__}List")())
