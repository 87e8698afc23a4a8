"""The shapes of the bodies of playbook executions."""

from collections.abc import Mapping
from typing import ClassVar

from marshmallow import fields, validate

from api.gateway.decided import Decided
from api.http import schemas as http_schemas
from api.http.base_schema import Answer
from api.http.schemas import Decision, Flag, LogLine, Strict, anything, described, moment
from playbooks.definitions import step_types
from playbooks.states import Status, WaitingFor
from store.executions.lists import run_listing

_STEP_STATUSES = [
    Status.PENDING,
    Status.RUNNING,
    Status.WAITING,
    Status.COMPLETED,
    Status.FAILED,
    Status.TIMEOUT,
    Status.CANCELLED,
    Status.SKIPPED,
]
_WAITS = [WaitingFor.APPROVAL, WaitingFor.GATE, WaitingFor.DELAY, WaitingFor.RETRY, None]
_WAITS_OF_A_PAUSED_RUN = [WaitingFor.OPERATOR, WaitingFor.APPROVAL, WaitingFor.GATE, WaitingFor.DELAY, None]


class RunRequest(Strict):
    """The body that starts a run of a playbook."""

    SYNONYMS: ClassVar[Mapping[str, str]] = {
        **http_schemas.WORDS_FOR_PARAMETERS,
        "target": "target_asset_id",
        "asset": "target_asset_id",
        "asset_id": "target_asset_id",
        "simulate": "dry_run",
    }

    target_asset_id = fields.String(
        allow_none=True,
        load_default=None,
        validate=validate.Length(1, 255),
        metadata=described("The asset it is to work on; a playbook may require one."),
    )
    parameters = fields.Dict(
        keys=fields.String(),
        load_default=dict,
        metadata=described("Values for the playbook's parameters, in place of their defaults."),
    )
    dry_run = Flag(load_default=False, metadata=described("Evaluate all conditions and templates, execute nothing."))


class RetryRequest(Strict):
    """The body that starts a retry of a run."""

    start = fields.String(
        data_key="from",
        load_default="failed",
        validate=validate.OneOf(("failed", "start")),
        metadata=described("failed: what was completed is not repeated. start: everything is executed again."),
    )
    revisions = fields.String(
        load_default="pinned",
        validate=validate.OneOf(("pinned", "present")),
        metadata=described(
            "pinned: the actions as the run used them. present: as they are now; "
            "secrets of which the receiver has changed since must be given again."
        ),
    )
    parameters = fields.Dict(
        keys=fields.String(),
        load_default=dict,
        metadata=described("Secrets given again, by the names of the parameters; everything else is the run's own."),
    )


class StepDecision(Decision):
    """The body that approves or rejects a step."""

    iteration = fields.String(
        allow_none=True,
        load_default=None,
        validate=validate.Regexp(r"\A([0-9]{1,4}(\.[0-9]{1,4}){0,4})?\Z"),
        metadata=described(
            "Of a step inside a loop: which pass of it, such as 3.1; the last that waits unless said otherwise.",
            pattern=r"^([0-9]{1,4}(\.[0-9]{1,4}){0,4})?$",
        ),
    )


class _Step(Answer):
    """The members of a step in every answer."""

    index = fields.Integer(metadata=described("Its place in the playbook, from 0, inner steps counted."))
    step_id = fields.String(metadata=described("Its id in the playbook."))
    step_name = fields.String(metadata=described("A name for people."))
    name = fields.String(metadata=described("The same as step_name."))
    action_id = fields.String(allow_none=True, metadata=described("The action it performs, if it does."))
    type = fields.String(metadata=described("What it does.", enum=list(step_types.TYPES)))
    execution_id = fields.String(
        allow_none=True,
        metadata=described("The execution of the step; an action's is also found at /api/actions/executions."),
    )
    id = fields.String(allow_none=True, metadata=described("The same as execution_id."))
    status = fields.String(metadata=described("Its status.", enum=_STEP_STATUSES))
    output = anything("Its output; null if over 16 KiB.")
    output_omitted = fields.Boolean(
        metadata=described(
            "true: the output is too large to be shown among others, or outputs=false leaves it out.", sometimes=True
        )
    )
    error = http_schemas.failure("Why it failed; null unless it did.")
    started_at = moment("When its first attempt began.", null=True)
    completed_at = moment("When it ended.", null=True)
    duration_ms = fields.Integer(allow_none=True, metadata=described("From start to end; null until it has ended."))


class RunStep(_Step):
    """A step of a run; in a loop, its last iteration."""

    passes = fields.Integer(metadata=described("How many times the run entered it."))


class StepDoing(_Step, Decided):
    """One execution of a step; in a loop one for each iteration."""

    iteration = fields.String(
        metadata=described("The iteration of the loops around it, such as 3.1; empty outside loops.")
    )
    parent = fields.String(allow_none=True, metadata=described("The id of the step around it."))
    attempt = fields.Integer(metadata=described("How many times a worker has claimed it."))
    retries = fields.Integer(metadata=described("How many times it was retried."))
    waiting_for = fields.String(allow_none=True, metadata=described("What it waits for.", enum=_WAITS))
    waiting_until = moment("When the wait ends by itself.", null=True)
    target = fields.String(allow_none=True, metadata=described("The asset it is about."))
    input = fields.Dict(allow_none=True, metadata=described("What it was given; secrets masked; null if over 16 KiB."))
    input_omitted = fields.Boolean(
        metadata=described(
            "true: what it was given is too large to be shown among others, or outputs=false.", sometimes=True
        )
    )
    vars = fields.Dict(allow_none=True, metadata=described("The variables that it set."))
    report = fields.Dict(
        allow_none=True,
        metadata=described(
            "Only of a dry run: taken, verdict, what was proved and what was assumed; null if over 16 KiB."
        ),
    )
    created_at = moment("When the run reached it; null: it has not.", null=True)


class _Run(Answer):
    """The members of a run in every answer."""

    execution_id = fields.String(metadata=described("Its id."))
    id = fields.String(metadata=described("The same as execution_id."))
    playbook_id = fields.String(metadata=described("The playbook."))
    playbook_name = fields.String(metadata=described("The playbook's name at that version."))
    version = fields.String(metadata=described("The playbook's version that runs."))
    status = fields.String(metadata=described("Its status.", enum=list(run_listing.SHOWN)))
    dry_run = fields.Boolean(metadata=described("Whether it is a dry run, which executes nothing."))
    target_asset_id = fields.String(allow_none=True, metadata=described("The asset it works on."))
    created_at = moment("When it was accepted, ISO 8601, UTC.")
    started_at = moment("When it began; null: it has not.", null=True)


class AcceptedRun(_Run):
    """A run that has been accepted."""

    retry_of = fields.String(metadata=described("Only of a retry: the run that is tried again.", sometimes=True))
    steps = fields.List(fields.Nested(RunStep), metadata=described("The steps of the playbook, in order."))


class ParentStep(Answer):
    """A step that has started a run."""

    execution_id = fields.String(metadata=described("The run that the step is of."))
    step_id = fields.String(metadata=described("The step's id in the playbook of that run."))


class RunItem(_Run):
    """A run in a list."""

    parameters = fields.Dict(
        allow_none=True, metadata=described("The values it runs with; secrets masked. null in a list if over 16 KiB.")
    )
    parameters_omitted = fields.Boolean(
        metadata=described("true, only in a list: parameters are too large for it.", sometimes=True)
    )
    paused_by = fields.String(
        allow_none=True,
        metadata=described(
            "Why a paused run does not go on: an operator paused it, or it waits for an approval or a delay. "
            "null: it is not paused.",
            enum=_WAITS_OF_A_PAUSED_RUN,
        ),
    )
    trigger = fields.String(metadata=described("What started it.", enum=list(run_listing.TRIGGERS)))
    started_by = fields.String(metadata=described("The id of the key that asked for it, or system."))
    started_by_actor = http_schemas.actor("Who that is.")
    retry_of = fields.String(allow_none=True, metadata=described("The run that it tries again."))
    parent = fields.Nested(
        ParentStep, allow_none=True, metadata=described("What has started it, if that is a step of another run.")
    )
    error = http_schemas.failure("Why it failed; null unless it did.")
    completed_at = moment("When it ended.", null=True)
    deadline = moment("When it fails unless it has ended; null: it was never to begin.", null=True)
    duration_seconds = fields.Float(allow_none=True, metadata=described("From start to end; null until it has ended."))
    duration_ms = fields.Integer(allow_none=True, metadata=described("The same in milliseconds."))


class Run(RunItem, Decided):
    """A run in full."""

    waiting_for = fields.String(
        allow_none=True,
        metadata=described("The same as paused_by.", enum=_WAITS_OF_A_PAUSED_RUN),
    )
    current_step = fields.String(allow_none=True, metadata=described("The step under way; null: none."))
    steps_completed = fields.Integer(metadata=described("How many steps are completed."))
    steps_total = fields.Integer(metadata=described("How many steps the playbook has, with inner ones."))
    event = fields.Dict(allow_none=True, metadata=described("The event that started it, if one did."))
    output = anything("Its output.")
    steps = fields.List(fields.Nested(RunStep), metadata=described("The steps of the playbook, in order."))


class AcceptedRunAnswer(AcceptedRun):
    """An accepted run, at the top level and under ``data``; with ``envelope=data`` there alone."""

    ALWAYS = frozenset({"data"})

    data = fields.Nested(AcceptedRun, metadata=described("The same members again, in an envelope."))


class RunAnswer(Run):
    """A run in full, at the top level and under ``data``; with ``envelope=data`` there alone."""

    ALWAYS = frozenset({"data"})

    data = fields.Nested(Run, metadata=described("The same members again, in an envelope."))


class RunLogLine(LogLine):
    """A line of the log of a step of a run."""

    step_id = fields.String(metadata=described("The step."))
    iteration = fields.String(metadata=described("The iteration of the loops around it; empty outside loops."))


class Bar(Answer):
    """When a step began and ended, and how its time was spent."""

    id = fields.String(metadata=described("The id of the execution of the step."))
    execution_id = fields.String(metadata=described("The same as id."))
    duration_ms = fields.Integer(allow_none=True, metadata=described("From start to end; null until it has ended."))
    step_id = fields.String(metadata=described("Its id in the playbook."))
    name = fields.String(metadata=described("A name for people."))
    iteration = fields.String(metadata=described("The iteration of the loops around it; empty outside loops."))
    parent = fields.String(allow_none=True, metadata=described("The id of the step around it."))
    type = fields.String(metadata=described("What it does.", enum=list(step_types.TYPES)))
    status = fields.String(metadata=described("Its status.", enum=_STEP_STATUSES))
    attempts = fields.Integer(metadata=described("How many times a worker has claimed it."))
    retries = fields.Integer(metadata=described("How many times it was retried."))
    queued_ms = fields.Integer(metadata=described("How long it was queued."))
    run_ms = fields.Integer(metadata=described("How long it was executing."))
    waited_ms = fields.Integer(metadata=described("How long it waited: for a time, a retry or a decision."))
    created_at = moment("When the run reached it.")
    started_at = moment("When its first attempt began.", null=True)
    completed_at = moment("When it ended.", null=True)


class Timeline(Answer):
    """How a run's time was spent."""

    started_at = moment("When the run began.", null=True)
    completed_at = moment("When it ended.", null=True)
    steps = fields.List(fields.Nested(Bar), metadata=described("Every execution of a step, in order."))
